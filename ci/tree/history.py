"""What a branch had of an application, commit by commit, and what a person took back of it.

A branch's own commits count, as `git log --first-parent` has them: a merge brings its changes when it is merged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ci.base.errors import UsageError
from ci.tree import quarantine, tree
from ci.tree.git import Snapshot
from ci.tree.message import TOOL
from ci.tree.quarantine import DIGESTS, PARTS
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application, Release

FIELDS = ("%H", "%cI", "%an", "%(trailers:only,unfold)", "%B")


@dataclass(frozen=True)
class Step:
    """One commit of the branch that changed an application's file.

    Attributes:
        commit: Its hash.
        at: When it was made.
        who: Its author's name.
        trailers: What stands at the end of its message, a (name, value) each.
        message: The whole of it.
        application: As this commit has it; None where there is no file, or one that cannot be read.
        unread: Why it cannot be read; empty where it can, or where there is none.
    """

    commit: str
    at: datetime
    who: str
    trailers: Sequence[tuple[str, str]]
    message: str
    application: Application | None
    unread: str = ""

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def action(self) -> str:
        """What this tool did by it ("bump", "promote", "rollback"); empty for a commit of a person's."""
        tool = (value.split() for name, value in self.trailers if name == "Tool")
        return next((words[1] for words in tool if words[:1] == [TOOL] and len(words) > 1), "")

    def __str__(self) -> str:
        return f"{self.commit[:12]} by {self.who}: {self.subject}"


@dataclass(frozen=True)
class TakenBack:
    """A part of a set, or several that moved as one, that a person put back to what was there before.

    Attributes:
        step: The person's commit.
        parts: The keys of each part that went back.
        values: What they were.
    """

    step: Step
    parts: Sequence[Sequence[KeyPath]]
    values: Release

    def matches(self, release: Release) -> bool:
        """Tell whether a release has all of what was taken back."""
        return all(quarantine.same({key: self.values[key] for key in part}, release) for part in self.parts)


async def steps(snapshot: Snapshot, application: Application) -> list[Step]:
    """Return the commits up to a tree that changed an application's file, the newest first.

    Args:
        snapshot: The tree.
        application: Which; it need not be in the tree any more.
    """
    repository, path = snapshot.repository, snapshot.repository.at(application.file)
    words = ("log", "-z", "--first-parent", f"--format={'%x00'.join(FIELDS)}", "--end-of-options", snapshot.commit)
    listed = (await repository.run(*words, "--", path)).stdout.split("\0")
    rows = [listed[start : start + len(FIELDS)] for start in range(0, len(listed) - 1, len(FIELDS))]
    objects = await repository.objects_of(*(f"{commit}:{path}" for commit, *_ in rows)) if rows else []
    distinct = [*dict.fromkeys(each for each in objects if each is not None)]
    contents = await repository.contents_of(*distinct) if distinct else []
    read = {each: _read(application, content) for each, content in zip(distinct, contents, strict=True)}
    return [
        Step(commit, datetime.fromisoformat(at), who, _trailers(trailers), message, *read.get(each or "", (None, "")))
        for (commit, at, who, trailers, message), each in zip(rows, objects, strict=True)
    ]


def taken_back(history: Sequence[Step], wanted: Release) -> TakenBack | None:
    """Return what a person took back and a release would bring again; None where there is nothing of the kind.

    It is told by content: a commit that is not this tool's, and after which a part of the set is what it was before the
    part that was there. Whoever put that part there again since has lifted it.

    Args:
        history: As `steps` returns it.
        wanted: The release that is about to be written.
    """
    found = None
    for back, release in _returns(history):
        if found is not None and found.matches(release):
            found = None
        if back is not None and back.matches(wanted):
            found = back
    return found


def _returns(history: Sequence[Step]) -> Iterator[tuple[TakenBack | None, Release]]:
    """Yield each release of a history, the oldest first, with what a person took back by it."""
    since: dict[tuple[str, ...], int] = {}
    before: Release | None = None
    for number, step in enumerate(reversed(history)):
        if step.application is None:
            continue
        release = step.application.release
        for name in (name for part in PARTS for name in _names(part, release)):
            since.setdefault(name, number)
        back = None
        if before is not None and not step.action:
            parts = [part for part in PARTS if _older(part, release, before, since)]
            back = TakenBack(step, parts, before) if parts else None
        yield back, release
        before = release


def _older(part: Sequence[KeyPath], now: Release, before: Release, since: dict[tuple[str, ...], int]) -> bool:
    """Tell whether a part is another one than before, and was there first."""
    if quarantine.same({key: before[key] for key in part}, now):
        return False
    first, second = (min(since[name] for name in _names(part, release)) for release in (now, before))
    return first < second


def _names(part: Sequence[KeyPath], release: Release) -> Iterator[tuple[str, ...]]:
    """Yield what a part is called: by its digest, where it has one, and by all else."""
    yield (tree.dotted(part[0]), *(release[key] for key in part if key not in DIGESTS))
    yield from ((tree.dotted(key), release[key]) for key in part if key in DIGESTS and release[key])


def _read(application: Application, content: bytes) -> tuple[Application | None, str]:
    found = Application(application.project, application.environment, application.name, content)
    try:
        return found.checked(), ""
    except UsageError as error:
        return None, error.message


def _trailers(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in text.splitlines())]
