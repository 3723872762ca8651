"""`status`: every application and environment at a glance."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import typer
from rich.table import Table
from rich.text import Text

from ci.base import progress, tasks
from ci.base.errors import MachineError
from ci.base.progress import note
from ci.base.text import lasting, one_line
from ci.commands import reading, tables, writing
from ci.commands.options import OneApplicationOption, OneEnvironmentOption, Output, OutputOption
from ci.commands.reading import NONE, Clusters
from ci.commands.runner import run_async
from ci.release import status as statuses
from ci.release.status import Seen, Status
from ci.tree import tree
from ci.tree.tree import Application

AT_ONCE = 8
"""Applications that are looked at side by side, each by a few commands of git's and kubectl's."""


def status(
    environment: OneEnvironmentOption = None,
    app: OneApplicationOption = None,
    output: OutputOption = Output.TEXT,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    remote: reading.RemoteOption = None,
    branch: writing.BranchOption = None,
) -> None:
    """Show each application's set in each environment: since when, how it is, what is barred.

    With --kubeconfig or --context also what Argo CD and Argo Rollouts say: health, the canary under way, and how long
    the set must still run well before it may move on. Each environment's own context is asked where none is given.
    """
    clusters = Clusters(kubeconfig, context)
    found: Sequence[Status] = run_async(_status, environment, app, clusters, remote, branch)
    if output is Output.JSON:
        typer.echo(json.dumps([_data(each) for each in found], indent=2, ensure_ascii=False))
    else:
        _show(found)
    if not clusters.asked:
        note(f"{NONE}: no cluster was asked; --kubeconfig FILE or --context NAME does")


async def _status(
    environment: str | None, app: str | None, clusters: Clusters, remote: str | None, branch: str | None
) -> Sequence[Status]:
    snapshot = await reading.snapshot(remote, branch)
    project = await tree.project(snapshot)
    places = [environment] if environment else project.names
    keys = [(place, name) for place in places for name in await tree.names(snapshot, place) if app in (None, name)]
    if app is not None and not keys:
        await tree.load(snapshot, places[0], app)  # which says what there is
    if snapshot.repository.shallow:
        progress.warning("this clone is shallow: since when a set runs may be missing", "git fetch --unshallow")
    reached = {place: await clusters.reached(project.environment(place)) for place in places}
    found: dict[tuple[str, str], Status] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def look(application: Application) -> Seen | None:
        kubectl = reached[application.environment]
        if isinstance(kubectl, MachineError):
            raise kubectl
        return None if kubectl is None else await statuses.ask(kubectl, application)

    async def one(key: tuple[str, str]) -> None:
        async with limit:
            found[key] = await statuses.read(snapshot, *key, look)

    async with tasks.group() as group:
        for key in keys:
            group.start_soon(one, key)
    return [found[key] for key in keys]


def _show(found: Sequence[Status]) -> None:
    table = Table("env", "app", "model", "image", "chart", "since", "health", "soak left", "canary", box=None)
    for each in found:
        table.add_row(*(Text(one_line(text)) for text in (each.environment, each.name, *_cells(each))))
    tables.show(table)
    for each in found:
        if each.wrong:
            progress.warning(f"{each.environment}/{each.name} cannot be read", each.wrong)
        if each.unseen:
            progress.warning(f"{each.environment}/{each.name}: its cluster does not say", each.unseen)
        if each.break_glass and each.since is not None:
            why = one_line(f"{each.break_glass}, in {each.since}")
            typer.echo(f"break-glass: {each.environment}/{each.name}: {why}")
    for line in dict.fromkeys(f"barred: {each.name}: {one_line(line)}" for each in found for line in each.barred):
        typer.echo(line)


def _cells(each: Status) -> list[str]:
    if each.release is None:
        return ["cannot be read"]
    since = each.since
    known = f"{reading.when(since.at)} in {since.commit[: reading.SHORT]}" if since is not None else NONE
    cells = [*reading.shown(each.release), known]
    if each.seen is None:
        return [*cells, NONE, NONE, NONE]
    health, serving = each.seen.health, each.seen.serving
    left = each.soak_left
    return [
        *cells,
        f"{health.sync}, {health.health}{f' ({health.message})' if health.message else ''}",
        NONE if left is None else lasting(left),
        (serving.text if serving is not None else "") or NONE,
    ]


def _data(each: Status) -> dict[str, Any]:
    seen = each.seen
    return {
        "environment": each.environment,
        "application": each.name,
        "error": each.wrong or each.unseen or None,
        "set": reading.data(each.release) if each.release is not None else None,
        "since": each.since.at.isoformat() if each.since is not None else None,
        "commit": each.since.commit if each.since is not None else None,
        "sync": seen.health.sync if seen is not None else None,
        "health": seen.health.health if seen is not None else None,
        "soakLeftSeconds": each.soak_left,
        "canary": _canary(seen),
        "barred": list(each.barred),
        "breakGlass": each.break_glass or None,
    }


def _canary(seen: Seen | None) -> dict[str, Any] | None:
    serving = seen.serving if seen is not None else None
    if serving is None or not serving.text:
        return None
    return {
        "aborted": serving.aborted,
        "weight": serving.weight,
        "step": serving.step,
        "steps": serving.steps,
        "message": serving.message or None,
    }
