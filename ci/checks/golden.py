"""Golden files: read as `test` reads them, and the chart's known answer held against them.

Where an earlier model runs than the one that a golden file is of, the known answer is that model's own. Where the first
environment was rolled back to one, that is told, for the next bump: nothing is wrong with the tree.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ci.base import fields
from ci.base.errors import UsageError
from ci.behaviour import golden, known_answer
from ci.behaviour.golden import Golden
from ci.checks import targets
from ci.manifests import places
from ci.manifests.chart import Target
from ci.project import Project
from ci.results import Finding
from ci.tree import earlier, quarantine, worktree
from ci.tree.earlier import Earlier
from ci.tree.quarantine import Entry
from ci.tree.tree import Application, Key

CHECK = "golden"
URI = ("exampleModel", "storageUri")
"""Empty where the image brings the model along."""
VALUE = tuple(known_answer.VALUE.split("."))
ASKS = ("canary", "analysis", "knownAnswer")
"""Whether the chart asks every canary its known question, where it has one."""
ANALYSED = (("features", "canaryDeployment"), ("features", "sloMonitoring"))
"""Without them no canary is judged."""


def findings(
    folder: Path, project: Project, judged: Sequence[Target], applications: Mapping[Key, Application | None]
) -> list[tuple[str, Finding]]:
    """Return what is wrong with the golden files of applications, each with the application's name.

    Args:
        folder: The project's.
        project: The project.
        judged: The applications.
        applications: All of the project, as the work tree has them.
    """
    read: dict[str, Golden | UsageError | None] = {}
    others = earlier.models(project, applications, _quarantined(folder, project))
    found: list[tuple[str, Finding]] = []
    for target in judged:
        if target.application is None:
            continue
        path = project.paths.golden_file(target.application)
        if path not in read:
            read[path] = _read(folder / path, path)
        why = others.get((target.environment, target.application))
        found += [(target.name, each) for each in _of(target, path, read[path], why)]
    return found


def strays(folder: Path, project: Project) -> Iterator[Finding]:
    """Yield a warning for each golden file that is no application's, in no environment: nobody is asked what it has.

    Args:
        folder: The project's.
        project: The project.
    """
    names = {file.name for file in worktree.files(folder, project)}
    there = sorted(file for file in (folder / project.paths.golden).glob("*") if file.suffix in (".yaml", ".yml"))
    without = names - {file.stem for file in there if file.suffix == ".yaml"}
    for file in there:
        if file.suffix == ".yaml" and file.stem in names:
            continue
        near = fields.nearest(file.stem, without)
        said = f"no application has {file.name} for its golden file, so nothing is asked of it"
        remedy = f"call it {near}.yaml" if near else "call it as its application, NAME.yaml, or remove it"
        yield Finding(CHECK, file.relative_to(folder).as_posix(), 0, said, remedy, "warning")


def _quarantined(folder: Path, project: Project) -> list[Entry]:
    files = worktree.quarantined(folder, project)
    return quarantine.readable({str(file): file.read_bytes() for file in files if file.is_file()})


def _read(file: Path, path: str) -> Golden | UsageError | None:
    if not file.is_file():
        return None
    try:
        return golden.of_bytes(file.read_bytes(), path)
    except UsageError as error:
        return error


def _of(target: Target, path: str, read: Golden | UsageError | None, why: Earlier | None) -> Iterator[Finding]:
    if isinstance(read, UsageError):
        yield targets.placed(CHECK, path, read)
        return
    if why is not None and not (why.taken_back and why.first == target.environment):
        return
    if read is not None and target.application is not None:
        try:
            given = target.value(VALUE)
        except UsageError:  # which Helm says with its file and line
            return
        bump = "bump model" if target.value(URI) else "bump image"
        known = given if isinstance(given, Mapping) and given else None
        if known is None and read.known is None and _asks(target):
            told = "no input is `known`, and the values have no known answer: the chart asks no canary a question"
            remedy = f"`known: ID`, of an input whose answer is checked; `{bump}` writes it into the values"
            yield Finding(CHECK, path, 0, told, remedy, "warning")
            return
        said = known_answer.differs(read, known, target.application)
        if said is not None:
            own = target.values[0]
            file, line = target.place(VALUE) if known else (own.file, places.nearest_line(own.text, (*own.top, *VALUE)))
            if why is not None:
                told = f"have {path} ask for what is right of the next version before you bump to it"
                yield Finding(CHECK, file, line, f"{said}; {path} {why.said}", told, "warning")
                return
            remedy = f"write there what {path} says, as the next {bump} to another version does; promote carries it on"
            yield Finding(CHECK, file, line, said, remedy)


def _asks(target: Target) -> bool:
    return all(target.value(each) is True for each in (*ANALYSED, ASKS))
