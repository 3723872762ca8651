"""Golden files: read as `test` reads them, and the chart's known answer held against them.

Where an earlier model runs than the one that a golden file is of, the known answer is that model's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from ci.base.errors import UsageError
from ci.behaviour import golden, known_answer
from ci.behaviour.golden import Golden
from ci.checks import targets
from ci.manifests.chart import Target
from ci.project import Project
from ci.results import Finding
from ci.tree import earlier as earlier_models
from ci.tree import tree, worktree
from ci.tree.tree import Application, Key
from ci.tree.worktree import File

CHECK = "golden"
VALUE = tuple(known_answer.VALUE.split("."))


def findings(folder: Path, project: Project, judged: Sequence[Target]) -> list[tuple[str, Finding]]:
    """Return what is wrong with the golden files of applications, each with the application's name.

    Args:
        folder: The project's.
        project: The project.
        judged: The applications.
    """
    read: dict[str, Golden | UsageError | None] = {}
    earlier = earlier_models.models(project, _applications(folder, project))
    found: list[tuple[str, Finding]] = []
    for target in judged:
        if target.application is None:
            continue
        path = f"{project.paths.golden}/{target.application}.yaml"
        if path not in read:
            read[path] = _read(folder / path, path)
        held = (target.environment, target.application) not in earlier
        found += [(target.name, each) for each in _of(target, path, read[path], held)]
    return found


def _applications(folder: Path, project: Project) -> dict[Key, Application | None]:
    """Return all applications; None for one whose file is wrong, which is told where it is read to be judged."""
    return {
        (file.environment, file.name): _application(folder / file.path, project, file)
        for file in worktree.files(folder, project)
        if file.environment in project.names
    }


def _application(path: Path, project: Project, file: File) -> Application | None:
    try:
        return tree.read(project, file.environment, file.name, path.read_bytes()).checked()
    except (UsageError, OSError, yaml.YAMLError):
        return None


def _read(file: Path, path: str) -> Golden | UsageError | None:
    if not file.is_file():
        return None
    try:
        return golden.of_bytes(file.read_bytes(), path)
    except UsageError as error:
        return error


def _of(target: Target, path: str, read: Golden | UsageError | None, held: bool) -> Iterator[Finding]:
    if isinstance(read, UsageError):
        yield targets.placed(CHECK, path, read)
    elif held and read is not None and target.application is not None:
        try:
            given = target.value(VALUE)
        except yaml.YAMLError:  # which Helm says with its file and line
            return
        known = given if isinstance(given, Mapping) and given else None
        said = known_answer.differs(read, known, target.application)
        if said is not None:
            file, line = target.place(VALUE) if known else (target.values[0].file, 0)
            remedy = f"write there what {path} says; bump model does so, and promote carries it on"
            yield Finding(CHECK, file, line, said, remedy)
