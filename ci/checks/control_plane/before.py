"""Applications as they were before a change: rendered as Argo CD has them, out of git."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from ci.base import tasks
from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.manifests import documents, hooks
from ci.manifests.chart import Target
from ci.manifests.documents import Document
from ci.tree import render, tree
from ci.tree.git import Snapshot
from ci.tree.render import Charts
from ci.tree.tree import Application, Key


async def rendered(
    snapshot: Snapshot, helm: Path, targets: Sequence[Target], now: Mapping[Key, Application | None]
) -> dict[str, list[Document] | None]:
    """Return the objects of each application that was there before, by its target's name; hooks are left out.

    One that ran elsewhere was not there, and none was without a project file that can be read. Of one that cannot be
    rendered there is None, and that is said.

    Args:
        snapshot: Where the change began.
        helm: The executable.
        targets: Applications as the change has them.
        now: The same, by environment and name.
    """
    found: dict[str, list[Document] | None] = {}
    try:
        known = (await tree.project(snapshot)).names
    except UsageError:
        return found
    limiter = anyio.CapacityLimiter(os.cpu_count() or 2)

    async def add(charts: Charts, target: Target) -> None:
        try:
            application = await _was(snapshot, target, now)
            if application is not None:
                async with limiter:
                    found[target.name] = await _objects(snapshot, helm, application, charts)
        except (CheckFailedError, UsageError) as error:
            found[target.name] = None
            note(f"before, {target.name} cannot be rendered, so nothing is told of what becomes of it: {error.message}")

    with tempfile.TemporaryDirectory() as work:
        charts = Charts(snapshot.repository, helm, Path(work))
        async with tasks.group() as group:
            for target in targets:
                if target.environment in known:
                    group.start_soon(add, charts, target)
    return found


async def _was(snapshot: Snapshot, target: Target, now: Mapping[Key, Application | None]) -> Application | None:
    """Return an application as it was, None where it was not there."""
    name, environment = str(target.application), target.environment
    if name not in await tree.names(snapshot, environment):
        return None
    before = (await tree.load(snapshot, environment, name)).checked()
    after = now[environment, name]
    same = after is not None and (before.namespace, before.place.cluster) == (after.namespace, after.place.cluster)
    return before if same else None


async def _objects(snapshot: Snapshot, helm: Path, application: Application, charts: Charts) -> list[Document]:
    commit = await tree.chart_commit(snapshot, application)
    text = await render.render(snapshot, helm, application, commit, plain=False, charts=charts)
    return [each for each in documents.parse(text, f"{application.file}, rendered") if not hooks.is_hook(each)]
