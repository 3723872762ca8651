"""`plan`: what `test` would run, and why."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ci.base import jsonfile
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.text import visible
from ci.commands import here
from ci.commands.options import AskedOption, RemoteOption
from ci.commands.runner import run_async
from ci.results import Report
from ci.tree import change, git, merge_base, tree, worktree
from ci.tree.change import ApplicationChange, Change, Reason
from ci.tree.git import Snapshot
from ci.tree.tree import Key

REPORT = Path("report", "report.json")
"""Where `test` leaves what its stages took, from the project's folder."""
SHOWN = 3
"""How many reasons of a part are shown in words; --json has all."""
MINUTE = 60


@dataclasses.dataclass(frozen=True)
class Last:
    """What the last run took, in minutes.

    Attributes:
        platform: Everything but the applications; None where it was not a whole run that passed.
        applications: Each application that was proven to the end.
    """

    platform: float | None = None
    applications: Mapping[Key, float] = dataclasses.field(default_factory=dict)

    def of(self, change: ApplicationChange) -> tuple[float, str] | None:
        """Return what an application took, and whose minutes these are; None where there is nothing to go by.

        One that was not in the run may take what those took that were, in the median.
        """
        if change.kind == "deleted" or not self.applications:  # which is told alone
            return None
        own = self.applications.get((change.environment, change.name))
        return (statistics.median(self.applications.values()), "as others") if own is None else (own, "last")


def plan(
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="What differs from where HEAD left it; everything by default."),
    ] = None,
    app: AskedOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    remote: RemoteOption = "origin",
) -> None:
    """Show each part that `test` would run, why, and how many minutes it took last."""
    folder = here.folder()
    found: Change = run_async(_plan, folder, base, app, remote)
    last = _last(folder / REPORT)
    if as_json:
        typer.echo(json.dumps(_data(found, last), indent=2))
    else:
        _show(found, last)
    if found.malformed:
        run_async(_refuse, found)


async def _plan(folder: Path, base: str | None, app: str | None, remote: str) -> Change:
    asked = tree.asked(app) if app is not None else None
    if asked is not None:
        worktree.require_known(folder, here.found(), asked)
    repository = await git.opened(folder)
    if await repository.has_uncommitted():
        note("changes that are not committed are left out")
    if base is not None:
        found = await change.between(*await merge_base.sides(repository, base, remote))
    else:
        found = await change.everything(Snapshot(repository, await repository.commit_of("HEAD"), ""))
    return found if asked is None or found.nothing else found.narrowed(asked)


async def _refuse(found: Change) -> None:
    first, *more = dict.fromkeys(found.malformed.values())  # a chart that cannot be read is that of many
    raise UsageError(
        f"{first}{f' (and {len(more)} more)' if more else ''}",
        fix="python ci/main.py lint   # has every finding",
        detail="\n".join((first, *more)),
    )


def _show(found: Change, last: Last) -> None:
    rows = []
    if found.runs_platform:
        took = "" if last.platform is None else _took(last.platform, "last")
        rows.append(("platform", "", _why(found.platform), took))
    for each in found.applications:
        own = last.of(each)
        rows.append((f"{each.environment}/{each.name}", each.kind, _why(each.why), _took(*own) if own else ""))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for *words, why, took in rows:
        shown = [word.ljust(width) for word, width in zip(words, widths, strict=True)]
        typer.echo("  ".join([*shown, *filter(None, (why, took))]).rstrip())
    if not rows and not found.malformed:
        typer.echo("nothing to run")
    for line in dict.fromkeys(found.untouched.values()):
        note(f"not of this change: {line}")
    if found.everything and found.applications:
        note("unchanged: nothing is compared without --base; whether it was ever deployed is not looked at")
    if found.only_deletes:
        note("there is nothing to serve: lint and template alone, on what is left")
    if found.aside:
        note(f"no part of it: {_why(found.aside)}")


def _took(minutes: float, whose: str) -> str:
    return f"{minutes:.0f} min {whose}" if round(minutes) else f"under 1 min {whose}"


def _why(reasons: Sequence[Reason]) -> str:
    """Return reasons in one line, the first few of them in words."""
    said = [visible(reason.text) for reason in reasons[:SHOWN]]
    more = len(reasons) - len(said)
    return "; ".join([*said, *([f"{more} more"] if more else [])])


def _data(found: Change, last: Last) -> dict[str, Any]:
    return {
        "base": found.base,
        "head": found.head,
        "platform": {
            "runs": found.runs_platform,
            "minutes": last.platform if found.runs_platform else None,
            "why": _plain(found.platform),
        },
        "applications": [_application(each, last) for each in found.applications],
        "aside": _plain(found.aside),
        "malformed": list(found.malformed.values()),
        "untouched": list(found.untouched.values()),
    }


def _application(change: ApplicationChange, last: Last) -> dict[str, Any]:
    own = last.of(change)
    told = {"environment": change.environment, "name": change.name, "kind": change.kind, "why": _plain(change.why)}
    return {**told, "minutes": own and own[0], **({"was": "/".join(change.was)} if change.was else {})}


def _plain(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [{"path": reason.path, "said": reason.said} for reason in reasons]


def _last(file: Path) -> Last:
    """Return what the last run took; nothing where no report of one is there."""
    if not file.is_file():
        return Last()
    try:
        report = jsonfile.read(file, Report)
    except UsageError:  # another version's
        return Last()
    applications = {(each.environment, each.name): each.seconds for each in report.applications if each.seconds}
    whole = report.platform and report.outcome == "passed" and not report.left_out
    platform = sum(stage.seconds for stage in report.stages) - sum(applications.values())
    return Last(platform / MINUTE if whole else None, {key: seconds / MINUTE for key, seconds in applications.items()})
