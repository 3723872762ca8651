"""The tree as the project's folder has it, committed or not: what a change is about to put there."""

import difflib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from ci.base.errors import UsageError
from ci.project import Project
from ci.tree import tree
from ci.tree.git import Repository
from ci.tree.tree import Application, Asked, Key

QUARANTINE = "quarantine"
"""A folder of the tree that is no environment: of sets that failed."""
NAMED = 10
"""Of more applications than these, the ones called most alike are named."""


@dataclass(frozen=True)
class File:
    """A file of the tree that has the form of an application's: TREE/FOLDER/NAME.yaml.

    Attributes:
        environment: Its folder, which need not be one of the project's environments.
        name: Its name, which need not be an application's.
        path: From the project's folder.
    """

    environment: str
    name: str
    path: str


def files(folder: Path, project: Project) -> Sequence[File]:
    """Return the applications' files, in the environments' order; those in no environment's folder last.

    Args:
        folder: The project's.
        project: Names tree and environments.
    """
    found = [
        File(file.parent.name, file.stem, file.relative_to(folder).as_posix())
        for file in sorted((folder / project.paths.tree).glob("*/*.yaml"))
        if file.name != tree.VALUES and file.parent.name != QUARANTINE
    ]
    order = {name: number for number, name in enumerate(project.names)}
    return sorted(found, key=lambda file: (order.get(file.environment, len(order)), file.path))


def applications(folder: Path, project: Project) -> Mapping[Key, Application | None]:
    """Return the applications of all environments; None for one whose file is wrong, which is told where it is judged.

    Args:
        folder: The project's.
        project: Names tree and environments.
    """
    return {
        (file.environment, file.name): _readable(folder, project, file)
        for file in files(folder, project)
        if file.environment in project.names
    }


def _readable(folder: Path, project: Project, file: File) -> Application | None:
    try:
        return tree.read(project, file.environment, file.name, (folder / file.path).read_bytes()).checked()
    except (UsageError, OSError, yaml.YAMLError):
        return None


def quarantined(folder: Path, project: Project) -> Sequence[Path]:
    """Return the files of the quarantine that are to be entries.

    Args:
        folder: The project's.
        project: Names the tree.
    """
    return sorted((folder / project.paths.tree / QUARANTINE).glob("*/*.yaml"))


def require_known(folder: Path, project: Project, asked: Asked) -> None:
    """Refuse an application that the tree does not have, in the environment that is asked for or in any.

    Args:
        folder: The project's.
        project: The project.
        asked: What a person asks for.

    Raises:
        UsageError: There is none; those that there are are named.
    """
    known = [file for file in files(folder, project) if file.environment in project.names]
    if any(asked.has(file.environment, file.name) for file in known):
        return
    names = dict.fromkeys(
        file.name if asked.environment is None else f"{file.environment}/{file.name}" for file in known
    )
    first = difflib.get_close_matches(str(asked), names, n=NAMED, cutoff=0)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    said = f"--app {asked}: there is no {project.paths.tree}/{asked.environment or '*'}/{asked.name}.yaml"
    raise UsageError(said, fix=f"One of {', '.join(first)}{more}" if first else "Write that file: docs/gitops.md")


async def written(repository: Repository, commit: str, paths: Sequence[str]) -> str:
    """Return git's name for a commit's tree with paths as they are on disk; neither the index nor a branch changes.

    What .gitignore files of the tree leave out is left out; what a person's own rules or this clone's have git ignore
    is not.

    Args:
        repository: Has a work tree; gets the objects.
        commit: The commit.
        paths: Files and folders, from the top of the repository.
    """
    with tempfile.TemporaryDirectory() as work:
        index = {"GIT_INDEX_FILE": str(Path(work, "index"))}
        await repository.run("read-tree", commit, env=index)
        objects = await repository.objects_of(*(f"{commit}:{path}" for path in paths))
        committed = [path for path, found in zip(paths, objects, strict=True) if found is not None]
        if committed:
            await repository.run("add", "--update", "--", *committed, env=index)
        words = ("ls-files", "-z", "--others", "--exclude-per-directory=.gitignore", "--", *paths)
        others = (await repository.run(*words, env=index)).raw
        if others:
            listed = ("--pathspec-from-file=-", "--pathspec-file-nul")
            await repository.run("add", "--force", *listed, stdin=others, env=index)
        return (await repository.run("write-tree", env=index)).stdout.strip()
