"""`plan`: what `test` would run, and why."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ci.base import jsonfile
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.text import visible
from ci.commands import here
from ci.commands.options import RemoteOption
from ci.commands.runner import run_async
from ci.results import Report
from ci.tree import change, git, merge_base
from ci.tree.change import Change, Reason
from ci.tree.git import Snapshot

REPORT = Path("report", "report.json")
"""Where `test` leaves what its stages took, from the project's folder."""
SHOWN = 3
"""How many reasons of a part are shown in words; --json has all."""
MINUTE = 60


def plan(
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="What differs from where HEAD left it; everything by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    remote: RemoteOption = "origin",
) -> None:
    """Show each part that `test` would run, why, and how many minutes it took last."""
    folder = here.folder()
    found: Change = run_async(_plan, folder, base, remote)
    minutes = _minutes(folder / REPORT) if found.runs_platform else None
    if as_json:
        typer.echo(json.dumps(_data(found, minutes), indent=2))
    else:
        _show(found, minutes)
    if found.malformed:
        run_async(_refuse, found)


async def _plan(folder: Path, base: str | None, remote: str) -> Change:
    repository = await git.opened(folder)
    if await repository.has_uncommitted():
        note("changes that are not committed are left out")
    if base is not None:
        return await change.between(*await merge_base.sides(repository, base, remote))
    head = Snapshot(repository, await repository.commit_of("HEAD"), "")
    return await change.everything(head)


async def _refuse(found: Change) -> None:
    first, *more = found.malformed.values()
    raise UsageError(
        f"{first}{f' (and {len(more)} more)' if more else ''}",
        fix="python ci/main.py lint   # has every finding",
        detail="\n".join(found.malformed.values()),
    )


def _show(found: Change, minutes: float | None) -> None:
    rows = []
    if found.runs_platform:
        rows.append(("platform", "", _why(found.platform), "" if minutes is None else f"{minutes:.0f} min last"))
    rows += [(f"{each.environment}/{each.name}", each.kind, _why(each.why), "") for each in found.applications]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for *words, why, last in rows:
        shown = [word.ljust(width) for word, width in zip(words, widths, strict=True)]
        typer.echo("  ".join([*shown, *filter(None, (why, last))]).rstrip())
    if not rows and not found.malformed:
        typer.echo("nothing to run")
    if found.aside:
        note(f"no part of it: {_why(found.aside)}")


def _why(reasons: Sequence[Reason]) -> str:
    """Return reasons in one line, the first few of them in words."""
    said = [visible(reason.text) for reason in reasons[:SHOWN]]
    more = len(reasons) - len(said)
    return "; ".join([*said, *([f"{more} more"] if more else [])])


def _data(found: Change, minutes: float | None) -> dict[str, Any]:
    return {
        "base": found.base,
        "head": found.head,
        "platform": {"runs": found.runs_platform, "minutes": minutes, "why": _plain(found.platform)},
        "applications": [
            {"environment": each.environment, "name": each.name, "kind": each.kind, "why": _plain(each.why)}
            | ({"was": "/".join(each.was)} if each.was else {})
            for each in found.applications
        ],
        "aside": _plain(found.aside),
        "malformed": list(found.malformed.values()),
    }


def _plain(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [dataclasses.asdict(reason) for reason in reasons]


def _minutes(file: Path) -> float | None:
    """Return what the stages of the last whole run took; None where no report of one is there."""
    if not file.is_file():
        return None
    try:
        report = jsonfile.read(file, Report)
    except UsageError:  # another version's
        return None
    if report.outcome != "passed" or report.left_out:
        return None
    return sum(stage.seconds for stage in report.stages) / MINUTE
