"""Which applications run another model than the one that their golden file is of.

A golden file is of the model that its project has now: the one that the first environment with the application runs. A
later environment has an earlier one until a promotion reaches it, and the known answer that came with that one. Where
the first environment was rolled back, the file is of the model that was taken back, until the next bump.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ci.project import Project
from ci.tree import history
from ci.tree.git import Snapshot
from ci.tree.history import Step
from ci.tree.quarantine import Entry
from ci.tree.tree import Application, Key, Release


@dataclass(frozen=True)
class Earlier:
    """Why a golden file is not of the model that an application runs.

    Attributes:
        first: The first environment that has the application.
        taken_back: Whether the model that the file is of was taken back there.
    """

    first: str
    taken_back: bool = False

    @property
    def said(self) -> str:
        """What is to be said of the golden file."""
        return f"is of the model that {f'was taken back in {self.first}' if self.taken_back else f'{self.first} runs'}"


def models(
    project: Project, applications: Mapping[Key, Application | None], entries: Iterable[Entry]
) -> dict[Key, Earlier]:
    """Return the applications that run another model than the one that their golden file is of.

    Args:
        project: Names the environments in order.
        applications: All that the tree has; None where a file cannot be read. Where that is the first environment's,
            nobody knows the model that the golden file is of, and the others count as earlier ones.
        entries: All that is in quarantine.
    """
    returns: dict[Key, list[Entry]] = {}
    for entry in entries:
        returns.setdefault((entry.environment, entry.application), []).append(entry)
    found = {}
    for key, application in applications.items():
        first = next(place for each in project.names if (place := (each, key[1])) in applications)
        newest = applications[first]
        model = newest.model if newest is not None else None
        taken_back = model is not None and any(entry.returned_to(model) for entry in returns.get(first, ()))
        if application is not None and (taken_back or application.model != model):
            found[key] = Earlier(first[0], taken_back)
    return found


async def confirmed(earlier: Earlier, snapshot: Snapshot, application: Application) -> Earlier | None:
    """Return why a golden file is not of an application's model; None where the model only looks like an earlier one.

    It was here already when the first environment got its own; or that one ran it once, and it came by a promotion, or
    back, or ran in an environment on the way. Any other has been asked nowhere: one, too, that the first environment
    went on from, and that somebody put here. A clone without the whole history cannot tell.

    Args:
        earlier: What `models` returned of it.
        snapshot: The tree.
        application: The application.
    """
    if earlier.taken_back or snapshot.repository.shallow:
        return earlier
    names = application.project.names
    way = names[names.index(earlier.first) : names.index(application.environment)]
    there, *between = [await _ran(snapshot, application, environment) for environment in way]
    here = await _ran(snapshot, application, application.environment)
    if not there:
        return earlier
    before, promoted = here, False
    if here and _model(here[0]) == application.model:
        came = _came(here)
        words = ("merge-base", "--is-ancestor", came.commit, _came(there).commit)
        if (await snapshot.repository.run(*words, check=False)).returncode == 0:
            return earlier
        before, promoted = here[here.index(came) + 1 :], came.action == "promote"

    def ran(steps: Iterable[Step]) -> bool:
        return any(_model(step) == application.model for step in steps)

    return earlier if ran(there) and (promoted or ran(itertools.chain(before, *between))) else None


async def _ran(snapshot: Snapshot, application: Application, environment: str) -> list[Step]:
    """Return what ran of an application in an environment, the newest first."""
    place = Application(application.project, environment, application.name, b"")
    return [step for step in await history.steps(snapshot, place) if step.application is not None]


def _came(steps: Sequence[Step]) -> Step:
    """Return the commit by which the present model came, of what `history.steps` returns."""
    present = itertools.takewhile(lambda step: _model(step) == _model(steps[0]), steps)
    return [*present][-1]


def _model(step: Step) -> Release | None:
    return step.application.model if step.application is not None else None
