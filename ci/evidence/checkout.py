"""The project under test, as git would name its files, committed or not."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci import project as projects
from ci.base.paths import ROOT
from ci.evidence import statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Artefact
from ci.project import Project
from ci.tree import dependencies, git, tree, worktree
from ci.tree.git import Repository, Snapshot

TOOL = ("ci", "sample", "tests")
"""What is tested as well where the tool is tested by itself."""


@dataclass(frozen=True)
class Checkout:
    """The files on disk at one moment.

    Attributes:
        repository: Where they are.
        commit: The commit that is checked out.
        tree: Git's name for a tree with what a run reads of them as it is on disk, but for what .gitignore files of
            the tree leave out.
        read: What a run reads of them: the project file and the folders that it names, by their paths in the
            repository.
    """

    repository: Repository
    commit: str
    tree: str
    read: tuple[str, ...]


async def look(folder: Path) -> Checkout:
    """Return the checkout that a project's folder is, or is in; neither its index nor a branch changes.

    Raises:
        UsageError: The folder has no project file, or is not in a git repository with a commit.
    """
    repository = await git.opened(folder)
    commit = await repository.commit_of("HEAD")
    project = projects.load(folder)
    chart = dependencies.folders_on_disk(repository, folder, project.paths.chart)
    read = (repository.at(projects.FILE), *_folders(repository, project, chart))
    return Checkout(repository, commit, await worktree.written(repository, commit, read), read)


async def require_unchanged(before: Checkout) -> None:
    """Refuse when the files are not the same any more: what was tested is then unknown.

    Raises:
        EvidenceError: They are not.
    """
    repository = before.repository
    now = await look(repository.folder / repository.prefix)
    if now.tree != before.tree:
        changed = await repository.output("diff-tree", "-r", "--name-only", before.tree, now.tree)
        raise EvidenceError(
            f"{changed.splitlines()[0]}: changed while it was tested, so the run proves neither the old nor the new",
            fix="Run it again; or test a checkout of its own: git worktree add ../tested",
        )


async def changes(checkout: Checkout) -> list[str]:
    """Return the files under test that differ from the commit."""
    listed = await checkout.repository.output("diff-tree", "-r", "--name-only", checkout.commit, checkout.tree)
    return listed.splitlines()


async def folders_of(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the paths, in the repository, of the folders that a run reads of a commit's project."""
    repository, project = snapshot.repository, await tree.project(snapshot)
    chart = await dependencies.folders(repository, snapshot.commit, project.paths.chart)
    return _folders(repository, project, chart)


def _folders(repository: Repository, project: Project, chart: Sequence[str]) -> tuple[str, ...]:
    own = [repository.at(path) for path in (*project.paths.named.values(), *chart)]
    return tuple(sorted({*own, *(TOOL if repository.folder == ROOT else ())}))


async def objects(repository: Repository, tree: str, names: Iterable[str]) -> dict[str, str]:
    """Return git's name for each of these paths that is there in a commit or tree."""
    names = list(names)
    found = await repository.objects_of(*(f"{tree}:{name}" for name in names))
    return {name: value for name, value in zip(names, found, strict=True) if value is not None}


async def project_file(snapshot: Snapshot) -> Artefact | None:
    """Return the project file as a commit or tree has it; None where there is none."""
    content = await snapshot.read(projects.FILE)
    if content is None:
        return None
    return statement.artefact(snapshot.repository.at(projects.FILE), hashlib.sha256(content).hexdigest())


async def described(checkout: Checkout) -> statement.Project:
    """Return the checkout as a statement has it.

    Raises:
        EvidenceError: The tree's own .gitignore leaves out the project file.
    """
    repository, (file, *folders) = checkout.repository, checkout.read
    found = await project_file(Snapshot(repository, checkout.tree, ""))
    if found is None:
        raise EvidenceError(f"{file}: git ignores it, so no commit can say what was tested", fix=f"git add -f {file}")
    return statement.Project(
        digest=statement.GitCommit(gitCommit=checkout.commit),
        file=found,
        folders=tuple(
            statement.Folder(name=name, digest=statement.GitTree(gitTree=value))
            for name, value in (await objects(repository, checkout.tree, folders)).items()
        ),
    )
