"""Writing an edit to a branch that others write to as well."""

import contextlib
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import tenacity

from ci.base import locks
from ci.base.errors import CheckFailedError, CommandError, MachineError, UsageError
from ci.tree import blocks, scalars
from ci.tree.git import HEADS, LockedError, PushRefusedError, Repository, Snapshot, told
from ci.tree.scalars import KeyPath
from ci.tree.tree import Blocks

REFUSALS = 5
"""Pushes refused, one after the other, while the branch stays where it is: then it is no race."""
RACE_SECONDS = 120.0
"""How long others may keep winning."""
TURN_SECONDS = 60.0
"""How long to wait for others on this machine."""
_MOVE = ("read-tree", "-m", "-u")
"""Moves work tree and index from one commit to another, if nothing in between is changed."""


class ChangedMeanwhileError(CheckFailedError):
    """Somebody else changed the same key since it was first read: theirs stands, ours is not written."""


class RaceLostError(PushRefusedError):
    """The branch moved between our look and our push."""


@dataclass(frozen=True)
class Edit:
    """One change of the tree.

    Attributes:
        file: The file whose scalars change.
        values: Key path to new value.
        message: The commit's.
        added: Path to content of files that come with it.
        blocks: Key path to the mapping that is written there, in the same file.
        rendered: Whether the chart was seen to take the result.
        new: What the file begins with where there is none; None where there has to be one.
    """

    file: str
    values: Mapping[KeyPath, str]
    message: str
    added: Mapping[str, bytes] = field(default_factory=dict)
    blocks: Blocks = field(default_factory=dict)
    rendered: bool = True
    new: bytes | None = None

    async def files(self, snapshot: Snapshot) -> dict[str, bytes]:
        """Return the content of every file that differs, made from the snapshot's own."""
        found = await snapshot.read(self.file)
        content = self.new if found is None else found
        if content is None:
            raise UsageError(f"{self.file}: no such file in the tree")
        edited = scalars.set_scalars(content, self.values, self.file)
        for path, value in self.blocks.items():
            edited = blocks.set_block(edited, path, value, self.file)
        return {self.file: edited, **self.added}


Change = Callable[[Snapshot], Awaitable[Edit | None]]
"""Looks at the tree and returns the edit it needs, or None where everything is as wanted."""


class Target(Protocol):
    """A branch that can be moved forward."""

    @property
    def branch(self) -> str:
        """Its name."""

    async def tip(self) -> str:
        """Return the commit it is at now."""

    async def advance(self, old: str, new: str, files: Mapping[str, bytes]) -> str:
        """Move it from one commit to the next, or raise `PushRefusedError` and leave it where it is.

        Returns:
            The commit that has the change there.
        """


@dataclass(frozen=True)
class Written:
    """A change that is on the branch.

    Attributes:
        commit: The commit.
        edit: What it did.
    """

    commit: str
    edit: Edit


async def write(repository: Repository, target: Target, change: Change) -> Written | None:
    """Make a change on the branch's tip; when somebody else was faster, make it again on theirs.

    The edit is never merged or rebased: it is made anew from the new tip's own bytes, so both changes survive.

    Args:
        repository: Where commits are made.
        target: The branch.
        change: Returns the edit that a tip needs.

    Returns:
        What was written, or None where nothing had to change.

    Raises:
        ChangedMeanwhileError: Another commit changed the same key.
        PushRefusedError: The branch stays where it is and takes no commit of ours.
    """
    first: Snapshot | None = None
    edit: Edit | None = None
    refusals = 0

    async def attempt() -> Written | None:
        nonlocal first, edit, refusals
        snapshot = Snapshot(repository, await target.tip(), target.branch)
        first = first or snapshot
        if edit is not None:
            await _require_unchanged(first, snapshot, edit)
        edit = await change(snapshot)
        if edit is None:
            return None
        files = await edit.files(snapshot)
        commit = await snapshot.with_files(files, edit.message)
        try:
            commit = await target.advance(snapshot.commit, commit, files)
        except PushRefusedError as error:
            if await target.tip() != snapshot.commit:
                refusals = 0
                raise RaceLostError(error.message, detail=error.detail) from error
            refusals += 1
            raise
        return Written(commit, edit)

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(PushRefusedError),
        stop=lambda state: refusals >= REFUSALS or (state.seconds_since_start or 0) > RACE_SECONDS,
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    )
    async with _turn(repository):
        return await retrying(attempt)


@contextlib.asynccontextmanager
async def _turn(repository: Repository) -> AsyncIterator[None]:
    """Wait until no other run on this machine writes from the repository: a race lost is work done twice.

    A turn that does not come is no failure: the branch itself decides who is first.
    """
    async with contextlib.AsyncExitStack() as held:
        with contextlib.suppress(MachineError):
            turn = locks.exclusive(repository.common / "ml-serving-ci.lock", "a turn to write", timeout=TURN_SECONDS)
            await held.enter_async_context(turn)
        yield


async def _require_unchanged(first: Snapshot, now: Snapshot, edit: Edit) -> None:
    """Refuse when a commit since our first look changed a key of ours, back and forth included: a person did that.

    Who did the very same as we would is no trouble.
    """
    if await _values(now, edit) == edit.values:
        return
    repository = first.repository
    span = f"{first.commit}..{now.commit}"
    commits = (
        await repository.output("rev-list", "--reverse", "--end-of-options", span, "--", repository.at(edit.file))
    ).split()
    before = await _values(first, edit)
    for commit in commits:
        then = await _values(replace(first, commit=commit), edit)
        for path, value in before.items():
            if then.get(path) != value:
                who = await repository.who(commit)
                raise ChangedMeanwhileError(
                    f"{edit.file}: {'.'.join(map(str, path))} was changed from {value} to {then.get(path, 'nothing')} "
                    f"meanwhile, in {who}",
                    fix="Look at that commit; if yours is still wanted, run the command again.",
                )


async def _values(snapshot: Snapshot, edit: Edit) -> dict[KeyPath, str]:
    content = await snapshot.read(edit.file)
    return {} if content is None else scalars.read(content, edit.values, edit.file)


@dataclass(frozen=True)
class RemoteBranch:
    """A branch of a remote.

    Attributes:
        repository: Whose remote it is; its own branches and work tree stay as they are.
        remote: Name or URL.
        branch: Name.
    """

    repository: Repository
    remote: str
    branch: str

    async def tip(self) -> str:
        """Fetch the branch and return its tip."""
        return await self.repository.fetch(self.remote, self.branch)

    async def advance(self, old: str, new: str, files: Mapping[str, bytes]) -> str:
        """Push; git itself refuses what does not stand on the branch's tip."""
        await self.repository.push(self.remote, new, self.branch)
        return new


@dataclass(frozen=True)
class LocalBranch:
    """A branch of a repository on this machine, and the work tree that has it checked out.

    Attributes:
        repository: The repository.
        branch: Name.
    """

    repository: Repository
    branch: str

    async def tip(self) -> str:
        """Return the branch's tip."""
        repository, ref = self.repository, f"{HEADS}{self.branch}"
        if (found := await repository.object_of(f"{ref}^{{commit}}")) is not None:
            return found
        folder = shlex.quote(str(repository.folder))
        if await repository.head() == ref:
            raise UsageError(f"{repository.folder}: nothing is committed yet", fix="git add --all, then git commit")
        raise UsageError(f"--branch {self.branch}: no such branch here", fix=f"git -C {folder} branch --list")

    async def advance(self, old: str, new: str, files: Mapping[str, bytes]) -> str:
        """Write the files, then move the branch: a run killed in between leaves what the next one would write.

        Raises:
            UsageError: A file has changes that are not committed, or the branch is somebody's to move just now.
            PushRefusedError: Somebody else moved the branch, or holds a lock.
        """
        ref = f"{HEADS}{self.branch}"
        head = await self.repository.head()
        here = head == ref and not self.repository.bare
        await self._require_ours(here, detached=head is None)
        try:
            if here:
                await self._update(old, new, files)
            try:
                await self.repository.run("update-ref", "-m", "ml-serving-ci", ref, new, old)
            except (CommandError, LockedError):
                if here:
                    await self.repository.run(*_MOVE, new, old, check=False)
                raise
        except CommandError as error:
            raise PushRefusedError(f"branch {self.branch} was not moved: {told(error)}", detail=error.detail) from error
        except LockedError as error:  # mostly for a moment
            refused = PushRefusedError(error.message, fix=error.fix, detail=error.detail)
            refused.exit_code = error.exit_code
            raise refused from error
        return new

    async def _require_ours(self, here: bool, *, detached: bool) -> None:
        """Refuse to move a branch under a work tree that is not this one, or in the middle of something.

        Args:
            here: Whether this work tree has it checked out.
            detached: Whether this work tree has no branch checked out, as in the middle of a rebase.
        """
        repository = self.repository
        if repository.bare and "true" in dict(await repository.configured(r"^remote\..*\.mirror$")).values():
            raise UsageError(
                f"{repository.folder}: a mirror, which loses at its next fetch what is written here",
                fix="--push writes to the remote itself.",
            )
        if not here and (elsewhere := await repository.checked_out_at(self.branch)):
            raise UsageError(
                f"branch {self.branch} is checked out in {elsewhere}, and would be moved under it",
                fix=f"--project {shlex.quote(str(elsewhere))}, or --push, which leaves clones as they are",
            )
        if (here or detached) and (what := await repository.under_way()):
            raise UsageError(
                f"{repository.folder}: a {what} is under way",
                fix=f"git {what} --continue, or --abort; or --push, which leaves the clone as it is",
            )

    async def _update(self, old: str, new: str, files: Mapping[str, bytes]) -> None:
        """Bring work tree and index from one commit to the next, as checking it out would: sparse, filtered, or not."""
        repository = self.repository
        for path in files:
            if _leaves(repository.folder, repository.folder / repository.at(path)):
                raise UsageError(f"{path}: a symbolic link leads out of the work tree")
        with contextlib.suppress(CommandError):
            await repository.run(*_MOVE, old, new)
            return
        await self._settle(new, files)
        try:
            await repository.run(*_MOVE, old, new)
        except CommandError as error:
            named = next((path for path in files if f"'{repository.at(path)}'" in error.stderr), None)
            if named is None:
                raise
            place = shlex.quote(repository.at(named))
            raise UsageError(
                f"{named}: has changes that are not committed",
                fix=f"git -C {shlex.quote(str(repository.folder))} status -- {place}",
                detail=error.detail,
            ) from error

    async def _settle(self, new: str, files: Mapping[str, bytes]) -> None:
        """Have the index know what only looks changed, and what a run that was killed has written already."""
        repository = self.repository
        await repository.run("update-index", "-q", "--refresh", check=False)
        for path in files:
            place = repository.at(path)
            file = repository.folder / place
            there = await repository.output("hash-object", f"--path={place}", file) if file.is_file() else None
            if there == await repository.object_of(f"{new}:{place}"):
                await repository.run("update-index", "--add", "--", file)


def _leaves(folder: Path, file: Path) -> bool:
    return os.path.commonpath([folder.resolve(), file.resolve()]) != str(folder.resolve())
