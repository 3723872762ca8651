"""What a person took back comes again only when somebody says why (argocd-image-updater#1249, kargo#3016)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.release import reason as reasons
from ci.tree import git, history, tree
from ci.tree.git import Snapshot
from ci.tree.history import TakenBack
from ci.tree.tree import Application, Release

TRAILER = "Over-revert"


class TakenBackError(CheckFailedError):
    """A person took this very value back; a machine does not put it there again."""


@dataclass(frozen=True)
class Said:
    """What a commit says of a person's word that it goes over; nothing where it goes over none.

    Attributes:
        lines: For its body.
        trailers: For its end.
    """

    lines: Sequence[str] = ()
    trailers: Mapping[str, str] = field(default_factory=dict)


async def require_wanted(snapshot: Snapshot, application: Application, release: Release, reason: str | None) -> Said:
    """Refuse a release that a person took back, unless somebody says why it is wanted again.

    Args:
        snapshot: The tree.
        application: The application that is to get it.
        release: The release.
        reason: Why it is wanted again, where somebody said so.

    Raises:
        TakenBackError: It was taken back; the error names the commit and the way out.
        UsageError: The reason is empty, or the clone is shallow and cannot tell.
    """
    why = None if reason is None else reasons.of("--over-revert", reason)
    found = None
    for back in history.in_force(await history.steps(snapshot, application)):
        if await _brings(snapshot, release, back):
            found = back
            break
    if found is not None and why is None:
        raise TakenBackError(
            f"{_what(found)} was taken back in {found.step} ({found.step.at.isoformat()})",
            fix=f'git show {found.step.commit[:12]}; if it is wanted again: --over-revert "REASON"',
        )
    if found is None and snapshot.repository.shallow:
        raise UsageError(
            f"{application.file}: this clone is shallow, and cannot tell what a person took back",
            fix="git fetch --unshallow",
        )
    if found is not None and why is not None:
        note(f"{_what(found)} was taken back in {found.step}: gone over")
        return Said([f"Taken back in {found.step.commit[:12]}, and wanted again: {why}"], {TRAILER: why})
    if why is not None:
        note("--over-revert: nobody has taken this back")
    return Said()


async def _brings(snapshot: Snapshot, release: Release, back: TakenBack) -> bool:
    """Tell whether a release brings what was taken back.

    A chart that follows a branch is another commit with each promotion, so it counts for itself only where nothing else
    went back, and by its content.
    """
    others = [part for part in back.parts if part != tree.CHART]
    if others:
        return replace(back, parts=others).matches(release)
    old, new = (values[tree.CHART[0]] for values in (back.values, release))
    if old == new or not (git.COMMIT.fullmatch(old) and git.COMMIT.fullmatch(new)):
        return old == new
    chart = await tree.chart(snapshot, old)
    return chart is not None and chart == await tree.chart(snapshot, new)


def _what(found: TakenBack) -> str:
    values = [(key, found.values[key]) for part in found.parts for key in part]
    return ", ".join(f"{tree.dotted(key)} {value}" for key, value in values if value)
