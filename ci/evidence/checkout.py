"""The checkout under test, as git would name it, committed or not."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Folder, GitTree
from ci.tree import git
from ci.tree.git import Repository

TESTED = ("ci", "gitops", "helm", "k8s", "tests")
"""What a run reads of the checkout."""


@dataclass(frozen=True)
class Checkout:
    """The files on disk at one moment.

    Attributes:
        repository: Where they are.
        commit: The commit that is checked out.
        tree: Git's name for a tree with those files in TESTED, as they are on disk, but for what .gitignore files of
            the tree leave out.
    """

    repository: Repository
    commit: str
    tree: str


async def look(folder: Path) -> Checkout:
    """Return the checkout that a folder is; neither its index nor a branch changes.

    Raises:
        UsageError: The folder is not in a git repository with a commit.
    """
    repository = await git.opened(folder)
    commit = await repository.commit_of("HEAD")
    with tempfile.TemporaryDirectory() as work:
        index = {"GIT_INDEX_FILE": str(Path(work, "index"))}
        await repository.run("read-tree", commit, env=index)
        there = [name for name in TESTED if (repository.folder / name).is_dir()]
        await repository.run("add", "--update", "--", *there, env=index)
        # what a person's own rules or this clone's have git ignore was tested as well
        words = ("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--", *there)
        others = (await repository.run(*words, env=index)).raw
        if others:
            listed = ("--pathspec-from-file=-", "--pathspec-file-nul")
            await repository.run("add", "--force", *listed, stdin=others, env=index)
        written = await repository.run("write-tree", env=index)
    return Checkout(repository, commit, written.stdout.strip())


async def require_unchanged(before: Checkout) -> None:
    """Refuse when the files are not the same any more: what was tested is then unknown.

    Raises:
        EvidenceError: They are not.
    """
    now = await look(before.repository.folder)
    if now.tree != before.tree:
        changed = await before.repository.output("diff-tree", "-r", "--name-only", before.tree, now.tree)
        raise EvidenceError(
            f"{changed.splitlines()[0]}: changed while it was tested, so the run proves neither the old nor the new",
            fix="Run it again; or test a checkout of its own: git worktree add ../tested",
        )


async def changes(checkout: Checkout) -> list[str]:
    """Return the files under test that differ from the commit."""
    listed = await checkout.repository.output("diff-tree", "-r", "--name-only", checkout.commit, checkout.tree)
    return listed.splitlines()


async def folders(repository: Repository, tree: str) -> dict[str, str]:
    """Return git's name for each folder under test in a commit or tree."""
    found = {name: await repository.object_of(f"{tree}:{name}") for name in TESTED}
    return {name: value for name, value in found.items() if value is not None}


async def described(checkout: Checkout) -> tuple[Folder, ...]:
    """Return the folders as a statement has them."""
    named = await folders(checkout.repository, checkout.tree)
    return tuple(Folder(name=name, digest=GitTree(gitTree=value)) for name, value in named.items())
