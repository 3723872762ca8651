"""What a run is about: everything, or what differs from a base."""

from dataclasses import dataclass
from pathlib import Path

from ci.checks.targets import Chosen
from ci.tree import change, git, merge_base, tree
from ci.tree.change import Change
from ci.tree.git import Repository, Snapshot


@dataclass(frozen=True)
class Scope:
    """What is proven.

    Attributes:
        change: Its parts.
        head: The commit, or the tree as it is on disk.
        base: Where the change began; None where everything is proven.
    """

    change: Change
    head: Snapshot
    base: Snapshot | None

    @property
    def checked(self) -> Chosen:
        """What the checks look at: nothing that is as it was when it passed them."""
        if not self.change.alone:
            return Chosen()
        return Chosen(among=[(each.environment, each.name) for each in self.change.served])


async def everything(repository: Repository, commit: str) -> Scope:
    """Return all of a project.

    Args:
        repository: Where it is.
        commit: A commit, or the tree as it is on disk.

    Raises:
        UsageError: Its project file is wrong.
    """
    head = Snapshot(repository, commit, "")
    head = Snapshot(repository, commit, (await tree.project(head)).branch)
    return Scope(await change.everything(head), head, None)


async def since(folder: Path, base: str, remote: str) -> Scope:
    """Return what the commit that is checked out changes.

    Args:
        folder: The project's.
        base: What it is to be merged into, or any other revision.
        remote: Whose branches are meant.

    Raises:
        UsageError: There is no such revision, or the project file is wrong.
    """
    repository = await git.opened(folder)
    before, head = await merge_base.sides(repository, base, remote)
    return Scope(await change.between(before, head), head, before)
