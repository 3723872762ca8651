"""`history`: the sets that ran in an environment."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ci.base import progress
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.text import one_line
from ci.commands import reading, tables, writing
from ci.commands.options import EnvironmentOption, Output, OutputOption
from ci.commands.reading import Clusters
from ci.commands.runner import run_async
from ci.release import ran, serving
from ci.release.ran import History, Ran
from ci.tree import tree
from ci.tree.git import Snapshot
from ci.tree.tree import Application

ROWS = 20


def history(
    environment: EnvironmentOption,
    app: writing.AppOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Sets of an application.")] = ROWS,
    output: OutputOption = Output.TEXT,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    remote: reading.RemoteOption = None,
    branch: writing.BranchOption = None,
) -> None:
    """List the sets that ran in an environment, the newest first: when, who, why, whether healthy or barred.

    `rollback --to` takes a commit of the list. With --kubeconfig or --context, the set that a Rollout serves as stable
    counts as healthy.
    """
    found = run_async(_history, environment, app, Clusters(kubeconfig, context), remote, branch)
    if output is Output.JSON:
        rows = [_data(each, row) for each in found for row in each.rows[:limit]]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for each in found:
        _show(each, each.rows[:limit])


async def _history(
    environment: str, app: str | None, clusters: Clusters, remote: str | None, branch: str | None
) -> Sequence[History]:
    snapshot = await reading.snapshot(remote, branch)
    found, failed = [], []
    for name in [app] if app else await tree.names(snapshot, environment):
        try:
            found.append(await _one(snapshot, environment, name, clusters))
        except UsageError as error:
            failed.append(error)
    if failed and not found:
        raise failed[0]
    for wrong in failed:
        progress.warning(wrong.message)
    for each in found:
        for line in each.left_out:
            note(line)
    if any(each.shallow for each in found):
        progress.warning("this clone is shallow: older sets are missing", "git fetch --unshallow")
    return found


async def _one(snapshot: Snapshot, environment: str, name: str, clusters: Clusters) -> History:
    application = Application(await tree.project(snapshot), environment, name, b"")
    if await snapshot.read(application.file) is not None:
        application = await tree.load(snapshot, environment, name)
    kubectl = await clusters.of(application.place)
    found = await ran.read(snapshot, application, await serving.known(kubectl, application) if kubectl else None)
    if not (found.rows or found.unread):
        await tree.load(snapshot, environment, name)  # which says what there is
    return found


def _show(found: History, rows: Sequence[Ran]) -> None:
    headings = ["", "commit", "when", "who", "model", "image", "chart", "state", "why", "evidence"]
    evidence = [row.step.said("Evidence") for row in rows]
    table = Table(*(headings if any(evidence) else headings[:-1]), box=None)
    for row, where in zip(rows, evidence, strict=True):
        state = f"{row.state}: {row.because}" if row.because else row.state
        mark = "*" if found.application.content and row is found.rows[0] else ""
        texts = [mark, row.step.commit[: reading.SHORT], reading.when(row.step.at), row.step.who]
        texts += [*reading.shown(row.release), state, row.why, where]
        table.add_row(*(Text(one_line(text)) for text in texts[: len(table.columns)]))
    typer.echo(f"{found.application.name} in {found.application.environment}")
    tables.show(table)
    if more := len(found.rows) - len(rows):
        note(f"{more} older; --limit N shows more")


def _data(found: History, row: Ran) -> dict[str, Any]:
    return {
        "environment": found.application.environment,
        "application": found.application.name,
        "commit": row.step.commit,
        "when": row.step.at.isoformat(),
        "who": row.step.who,
        "why": row.why,
        "state": row.state,
        "because": row.because,
        "lift": row.barred.lift if row.barred else None,
        "evidence": row.step.said("Evidence") or None,
        "runs": bool(found.application.content) and row is found.rows[0],
        "set": reading.data(row.release),
    }
