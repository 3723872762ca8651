"""The two commits that are compared, and what each of them puts on the clusters."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import yaml

from ci.base import tasks
from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.supply import supply
from ci.tree import git, merge_base, tree
from ci.tree.git import Repository, Snapshot
from ci.tree.render import render
from ci.tree.tree import Application

HOOK = "helm.sh/hook"
TEST_HOOKS = frozenset({"test", "test-success", "test-failure"})
"""Argo CD does not know these and leaves the objects out."""


@dataclass
class Side:
    """One commit.

    Attributes:
        snapshot: The tree, and the branch that Argo CD will read it from.
        applications: By place, as ENV/NAME.
        places: Place to the objects of every place whose input is not the same on the other side.
        environments: Which are looked at, in order.
    """

    snapshot: Snapshot
    applications: Mapping[str, Application] = field(default_factory=dict)
    places: dict[str, Sequence[Document]] = field(default_factory=dict)
    environments: Sequence[str] = ()


async def both(repository: Repository, base: str | None, remote: str, environments: Sequence[str]) -> tuple[Side, Side]:
    """Return base and head, rendered; an application with the same input on both is not rendered at all.

    Args:
        repository: Has both; head is what it has checked out.
        base: The branch that head is to be merged into, or any other revision; the remote's main by default.
        remote: Whose branches the applications follow.
        environments: Which are rendered; all of both by default.

    Raises:
        UsageError: There is no such revision, the two have no common commit, or a file of the tree is wrong.
        CheckFailedError: Helm refuses an application.
    """
    snapshots = await merge_base.sides(repository, base, remote)
    sides = Side(snapshots[0]), Side(snapshots[1])
    known = await _environments(sides)
    for environment in environments:
        if environment not in known:
            raise UsageError(f"--env {environment}: not one of {', '.join(known)}")
    for side in sides:
        side.environments = [each for each in known if each in environments or not environments]
    base_inputs, head_inputs = [await _inputs(side, remote) for side in sides]
    helm = supply.installed("helm")
    limiter = anyio.CapacityLimiter(os.cpu_count() or 2)

    async def rendered(side: Side, place: str, revision: str) -> None:
        application = side.applications[place]
        try:
            async with limiter:
                text = await render(repository, helm, application, revision, plain=side is sides[1])
        except CheckFailedError as error:
            said = f"{side.snapshot.commit[:12]}: {error.message}"
            raise CheckFailedError(said, detail=error.detail) from error
        objects = _parsed(text, application.file)
        side.places[place] = [each for each in objects if not _is_test(each)]

    async with tasks.group() as group:
        for side, own, other in ((sides[0], base_inputs, head_inputs), (sides[1], head_inputs, base_inputs)):
            for place, (revision, key) in own.items():
                if place not in other or other[place][1] != key:
                    group.start_soon(rendered, side, place, revision)
    for side in sides:
        folder = (await tree.project(side.snapshot)).paths.argocd
        side.places[folder] = await _manifests(side.snapshot, folder)
    return sides


async def _environments(sides: Sequence[Side]) -> list[str]:
    """Return the environments of head in their order, and those that are gone from it."""
    base, head = [(await tree.project(side.snapshot)).names for side in sides]
    return list(dict.fromkeys((*head, *base)))


async def _inputs(side: Side, remote: str) -> dict[str, tuple[str, tuple[str, bytes]]]:
    """Find a side's applications; return place to the chart's commit, and all that Helm would be given."""
    snapshot = side.snapshot
    found: dict[str, tuple[str, tuple[str, bytes]]] = {}
    applications: dict[str, Application] = {}
    charts: dict[str, str | None] = {}
    own = (await tree.project(snapshot)).names
    for environment in [each for each in side.environments if each in own]:
        for name in await tree.names(snapshot, environment):
            application = await tree.load(snapshot, environment, name)
            commit = await tree.chart_commit(snapshot, application, remote)
            if commit not in charts:
                charts[commit] = await tree.chart(snapshot, commit)
            chart = charts[commit]
            if chart is None:
                raise UsageError(f"{application.file}: there is no {application.project.paths.chart} at {commit[:12]}")
            place = f"{environment}/{name}"
            applications[place] = application
            found[place] = (
                commit,
                (
                    f"{chart} {await _values(snapshot, application, commit)} {application.namespace}",
                    application.content,
                ),
            )
    side.applications = applications
    return found


async def _values(snapshot: Snapshot, application: Application, commit: str) -> str | None:
    """Return git's name for the environment's values in the tree, which go with the chart's commit."""
    file = f"{application.project.paths.tree}/{application.environment}/{tree.VALUES}"
    return await snapshot.repository.object_of(f"{commit}:{snapshot.repository.at(file)}")


async def _manifests(snapshot: Snapshot, folder: str) -> list[Document]:
    found: list[Document] = []
    entries = await snapshot.entries(folder)
    for name, mode in sorted(entries.items()):
        path = f"{folder}/{name}"
        if mode == git.FOLDER:
            found += await _manifests(snapshot, path)
        elif name.endswith((".yaml", ".yml")):
            content = await snapshot.read(path)
            assert content is not None
            found += _parsed(content.decode(errors="replace"), path)
    return found


def _parsed(text: str, file: str) -> list[Document]:
    """Return the objects of a text; one without a kind and a name, such as a patch, gets its file's name.

    Raises:
        UsageError: The text is no YAML, or a document in it is no mapping.
    """
    try:
        objects = documents.parse(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{file}: not YAML: {' '.join(str(error).split())}", fix=f"yamllint {file}") from error
    for each in objects:
        if not isinstance(each, dict):
            raise UsageError(f"{file}: a document in it is no mapping", fix="Leave manifests alone in that folder.")
        metadata = each.get("metadata")
        each["metadata"] = {"name": file, **(metadata if isinstance(metadata, dict) else {})}
        each["metadata"]["name"], each["kind"] = str(each["metadata"]["name"]), str(each.get("kind", "Patch"))
    return [_as_json(each) for each in objects]


def _as_json(value: Any) -> Any:
    """Return a value as Kubernetes gets it, by way of JSON: keys are strings, and so is what JSON has no type for."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _is_test(document: Document) -> bool:
    hooks = str((document["metadata"].get("annotations") or {}).get(HOOK, ""))
    return bool(hooks) and {hook.strip() for hook in hooks.split(",")} <= TEST_HOOKS
