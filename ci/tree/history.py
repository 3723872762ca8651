"""What a branch had of an application, commit by commit, and what a person took back of it.

A branch's own commits count, as `git log --first-parent` has them: a merge brings its changes when it is merged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from ci.base.errors import UsageError
from ci.tree import quarantine, tree
from ci.tree.git import Repository, Snapshot
from ci.tree.message import TOOL
from ci.tree.quarantine import DIGESTS, PARTS
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application, Release

FIELDS = ("%H", "%P", "%cI", "%an", "%(trailers:only,unfold)", "%B")


class _Commit(NamedTuple):
    """What git tells of a commit, in the order of `FIELDS`."""

    hash: str
    parents: str
    at: str
    who: str
    trailers: str
    message: str


@dataclass(frozen=True)
class Step:
    """One commit of the branch that changed an application's file.

    Attributes:
        commit: Its hash.
        at: When it was made.
        who: Its author's name.
        trailers: What stands at the end of its message, or of `merged`, a (name, value) each.
        message: The whole of it.
        application: As this commit has it; None where there is no file, or one that cannot be read.
        unread: Why it cannot be read; empty where it can, or where there is none.
        merged: Message of the commit of this tool's that it merges; empty where it merges none.
        barred: Whether it put something of the application into quarantine, as a rollback does: whatever became of the
            trailers when it was squashed, that is what keeps it away, and lifting that what lets it through.
    """

    commit: str
    at: datetime
    who: str
    trailers: Sequence[tuple[str, str]]
    message: str
    application: Application | None
    unread: str = ""
    merged: str = ""
    barred: bool = False

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def action(self) -> str:
        """What this tool did by it ("bump", "promote", "rollback"); empty for a commit of a person's."""
        tool = (value.split() for name, value in self.trailers if name == "Tool")
        return next((words[1] for words in tool if words[:1] == [TOOL] and len(words) > 1), "")

    def said(self, name: str) -> str:
        """Return what a line of its message says ("Why: …"), or of `merged`; empty where there is no such line."""
        lines = (line.partition(": ") for line in (self.merged or self.message).splitlines())
        return next((text for first, _, text in lines if first == name), "")

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
    path = snapshot.repository.at(application.file)
    commits = await _listed(snapshot.repository, "--first-parent", "--end-of-options", snapshot.commit, "--", path)
    merged = await _merged(snapshot.repository, commits)
    files = await _files(snapshot.repository, application, [each.hash for each in (*commits, *merged.values())])
    barring = await _barring(snapshot, application, commits)
    found = []
    for commit in commits:
        told = merged.get(commit.hash)
        own = told is not None and _same_set(files[commit.hash][0], files[told.hash][0])
        step = _step(commit, told if own else None, files[commit.hash])
        found.append(replace(step, barred=commit.hash in barring))
    return found


def in_force(history: Sequence[Step]) -> list[TakenBack]:
    """Return what a person took back, and nobody has put there again since; the newest first.

    It is told by content: a commit that is neither this tool's nor bars anything, and after which a part of the set is
    what it was before the part that was there.

    Args:
        history: As `steps` returns it.
    """
    found: list[TakenBack] = []
    for back, release in _returns(history):
        found = [each for each in found if not each.matches(release)]
        if back is not None:
            found.append(back)
    return found[::-1]


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
        if before is not None and not (step.action or step.barred):
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


async def _listed(repository: Repository, *words: str, stdin: str | None = None) -> list[_Commit]:
    """Return what `git log` lists."""
    log = ("log", "-z", f"--format={'%x00'.join(FIELDS)}", *words)
    told = (await repository.run(*log, stdin=stdin)).stdout.split("\0")
    return [_Commit(*told[start : start + len(FIELDS)]) for start in range(0, len(told) - 1, len(FIELDS))]


async def _merged(repository: Repository, commits: Sequence[_Commit]) -> dict[str, _Commit]:
    """Return the newest commit of the branch that each merge brings, but for merges into that branch, by the merge."""
    found: dict[str, _Commit] = {}
    wanted = {each.hash: each.parents.split()[1] for each in commits if " " in each.parents}
    while wanted:
        names = "".join(f"{name}\n" for name in {*wanted.values()})
        told = {each.hash: each for each in await _listed(repository, "--no-walk", "--stdin", stdin=names)}
        found |= {merge: told[name] for merge, name in wanted.items() if " " not in told[name].parents}
        wanted = {merge: told[name].parents.split()[0] for merge, name in wanted.items() if merge not in found}
    return found


async def _barring(snapshot: Snapshot, application: Application, commits: Sequence[_Commit]) -> set[str]:
    """Return the commits of a branch that put something of an application into quarantine, at least those of some.

    Of most applications there never was anything, and then the branch is not gone through for it.
    """
    repository = snapshot.repository
    entries = repository.at(quarantine.folder_of(application.project, application.name))
    if not any(await repository.objects_of(*(f"{each.hash}:{entries}" for each in commits))):
        return set()
    words = ("log", "--first-parent", "--format=%H", "--diff-filter=A", "--end-of-options", snapshot.commit)
    return {*(await repository.output(*words, "--", entries)).split()}


async def _files(
    repository: Repository, application: Application, commits: Sequence[str]
) -> dict[str, tuple[Application | None, str]]:
    """Return an application as each commit has it, or why it cannot be read."""
    if not commits:
        return {}
    path = repository.at(application.file)
    contents = await repository.found(*(f"{commit}:{path}" for commit in commits))
    read = {content: (None, "") if content is None else _read(application, content) for content in {*contents}}
    return {commit: read[content] for commit, content in zip(commits, contents, strict=True)}


def _step(commit: _Commit, merged: _Commit | None, file: tuple[Application | None, str]) -> Step:
    at = datetime.fromisoformat(commit.at)
    step = Step(commit.hash, at, commit.who, _trailers(commit.trailers), commit.message, *file)
    if merged is None or step.action:
        return step
    brought = replace(step, trailers=_trailers(merged.trailers), merged=merged.message)
    return brought if brought.action else step


def _same_set(one: Application | None, other: Application | None) -> bool:
    return one is not None and other is not None and one.release == other.release


def _read(application: Application, content: bytes) -> tuple[Application | None, str]:
    found = Application(application.project, application.environment, application.name, content)
    try:
        return found.checked(), ""
    except UsageError as error:
        return None, error.message


def _trailers(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in text.splitlines())]
