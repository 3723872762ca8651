"""A pull request's branch: one for each component of an application, ours until a person writes to it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ci.base.command import redacted
from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.tree import message
from ci.tree.forge.github import GitHub
from ci.tree.forge.pull_request import PullRequest
from ci.tree.git import Repository
from ci.tree.worktree import QUARANTINE

CHECKSUM = "\nChecksum: "
"""Ends the messages of our commits: over message and changed lines, so that what a person amended can be told."""
NUL = "\0"
PLACES = (b"@@ ", b"index ")
"""Beginnings of a diff's lines that say where in a file the others are, which changes with what it stands on."""


@dataclass(frozen=True)
class PullRequestBranch:
    """A branch of our own, made anew from the tip of the branch it is to be merged into.

    Attributes:
        repository: Whose remote it is.
        remote: Name or URL.
        branch: The branch that it is to be merged into.
        component: What of an application moves.
        hub: Has the pull request.
    """

    repository: Repository
    remote: str
    branch: str
    component: str
    hub: GitHub

    async def tip(self) -> str:
        """Fetch the branch that it is to be merged into, and return its tip."""
        return await self.repository.fetch(self.remote, self.branch)

    async def advance(self, old: str, new: str, files: Mapping[str, bytes]) -> str:
        """Push our branch, unless it has the change already; what it held before is replaced only if that was ours.

        Raises:
            CheckFailedError: The branch holds a person's work, or a person closed the pull request of this change.
            UsageError: Another branch is in the way.
            PushRefusedError: The remote did not take it.
        """
        head = await self._head(new)
        there = await self._there(head)
        known = await self._known(head, old, new, files) if there is not None else None
        await self.hub.require_not_closed(await self._wanted(new))
        if known is not None:
            note(f"{head} has it already, in {known[:12]}: nothing was pushed")
            return known
        text = (await self.repository.message(new)).strip()
        sealed = f"{text}{CHECKSUM}{await self._checksum(text, old, new)}\n"
        commit = await self.repository.commit(f"{new}^{{tree}}", old, sealed)
        await self.repository.push(self.remote, commit, head, replaces=there or "")
        return commit

    async def request(self, commit: str) -> str:
        """Open the pull request, or bring it up to date with our branch; return its address.

        Args:
            commit: What has the change there.
        """
        return await self.hub.pull_request(await self._wanted(commit))

    async def _head(self, commit: str) -> str:
        """Return the name of our branch.

        It is flat, for git keeps no branch below another one's name, and says one thing alone: neither an environment
        nor an application has a dot in its name.
        """
        keys = ("Environment", "Application")
        named = "%x00".join(f"%(trailers:key={key},valueonly,separator=%x20)" for key in keys)
        said = await self.repository.output("show", "--no-patch", f"--format={named}", commit)
        return f"{message.TOOL}/{'.'.join([*said.split(NUL), self.component])}"

    async def _there(self, head: str) -> str | None:
        """Return the commit that our branch is at, or None where there is none.

        Raises:
            UsageError: Another branch is in the way.
        """
        found = await self.repository.remote_tips(self.remote, head, f"{head}/*", message.TOOL)
        there = found.pop(head, None)
        for name in found:
            raise UsageError(
                f"branch {name} is in the way of {head}: git keeps no branch below another one's name",
                fix=f"Rename it, or drop it: git push {self._remote} --delete {name}",
            )
        return there

    async def _known(self, head: str, old: str, new: str, files: Mapping[str, bytes]) -> str | None:
        """Return the commit by which our branch has the very change already; None where it is to be made anew.

        Raises:
            CheckFailedError: A person wrote to it.
        """
        await self.repository.complete(self.remote, self.branch)
        tip = await self.repository.fetch(self.remote, head)
        commits = (await self.repository.output("rev-list", "--no-merges", tip, f"^{old}")).split()
        if not commits:
            return None
        foreign = await self._foreign(commits, tip, old)
        base = (await self.repository.run("merge-base", old, tip, check=False)).stdout.strip()
        if base and await self._change(base, tip, files) == await self._change(old, new, files):
            if foreign is None and await self._given(commits[0]) != await self._given(new):
                return None
            if foreign is not None:
                note(f"{head} holds a commit that is not ours, which stays: {await self._who(foreign)}")
            return commits[-1]
        if foreign is not None and tip not in await self.hub.merged(await self._wanted(new)):
            raise CheckFailedError(
                f"branch {head} holds a commit that is not ours: {await self._who(foreign)}",
                fix=f"Merge its pull request; or drop that work with git push {self._remote} --delete {head}, and run "
                "this again.",
            )
        return None

    async def _foreign(self, commits: list[str], tip: str, old: str) -> str | None:
        """Return a commit of a person's on our branch, be it our own that was amended; None where all of it is ours.

        That somebody merged the other branch into it, or rebased it, leaves it ours as long as it changes the same.

        Args:
            commits: Those of our branch that are no merges.
            tip: Of our branch.
            old: Tip of the branch that it is to be merged into.
        """
        for commit in commits:
            text, _, checksum = (await self.repository.message(commit)).strip().rpartition(CHECKSUM)
            if not text or checksum != await self._checksum(text, f"{commit}^", commit):
                return commit
        base = await self.repository.output("merge-base", old, tip)
        together = await self._lines(base, tip)
        return None if [await self._lines(f"{commit}^", commit) for commit in commits] == [together] else tip

    async def _checksum(self, text: str, before: str, after: str) -> str:
        lines = "\n".join(line.rstrip() for line in text.splitlines()).encode()
        return f"sha256:{hashlib.sha256(lines + b''.join(await self._lines(before, after))).hexdigest()}"

    async def _lines(self, before: str, after: str, places: Sequence[str] = ()) -> list[bytes]:
        """Return the lines that differ between two commits, whatever a person has chosen for diffs.

        Args:
            before: A commit.
            after: Another.
            places: Files of the repository; all of them by default.
        """
        words = ("-c", "core.quotePath=true", "diff-tree", "-r", "-p", "-U0", "--text", "--no-renames")
        found = await self.repository.run(*words, "--no-ext-diff", "--no-textconv", before, after, "--", *places)
        return [line for line in found.raw.split(b"\n") if not line.startswith(PLACES)]

    async def _change(self, before: str, after: str, files: Mapping[str, bytes]) -> list[str]:
        """Return what differs in files between two commits, by their contents.

        Of an entry of the quarantine only its name counts, which says what failed: it also says when that was written.
        """
        entries = {path for path in files if _is_entry(path)}
        told = []
        for paths, how in ((files.keys() - entries, "--raw"), (entries, "--name-status")):
            if places := [self.repository.at(path) for path in sorted(paths)]:
                told.append(await self.repository.output("diff-tree", "-r", how, before, after, "--", *places))
        return told

    async def _given(self, commit: str) -> list[str]:
        text = (await self.repository.message(commit)).strip()
        return message.given(text.partition(CHECKSUM)[0])

    async def _wanted(self, commit: str) -> PullRequest:
        """Return the pull request of a commit; the same lines in the same files are the same change."""
        text = (await self.repository.message(commit)).strip().partition(CHECKSUM)[0]
        title, _, body = text.partition("\n\n")
        parent = f"{commit}^"
        listed = await self.repository.output("diff-tree", "-r", "-z", "--name-only", parent, commit)
        places = [place for place in listed.split(NUL) if place and not _is_entry(place)]
        added = [line for line in await self._lines(parent, commit, places) if line.startswith(b"+")]
        change = hashlib.sha256(b"\n".join(added)).hexdigest()[:16]
        return PullRequest(await self._head(commit), self.branch, title, body, change)

    async def _who(self, commit: str) -> str:
        by = await self.repository.output("show", "--no-patch", "--format=%an%x00%cn", commit)
        author, _, committer = by.partition(NUL)
        return (await self.repository.who(commit)) + (f" (last changed by {committer})" if committer != author else "")

    @property
    def _remote(self) -> str:
        return redacted(self.remote, self.repository.secrets)


def _is_entry(path: str) -> bool:
    return QUARANTINE in PurePosixPath(path).parts
