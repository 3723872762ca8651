"""The order of the stages, and which of them a run takes."""

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ci.base.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from ci.stages.run import Run


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: As in `--only` and `--skip`.
        function: Does it, or raises; as MODULE.NAME of this package, for it takes seconds to load.
        needs: Stages whose work it stands on.
        own_cluster: Whether it is for clusters made here only.
        alongside: Whether it runs beside those that come after it, which share nothing with it.
        tests: Whether it runs tests of tests/integration, which are counted.
        skips: Those of them that are skipped, by node id, each with the reason that pytest is given.
    """

    name: str
    function: str
    needs: tuple[str, ...] = ()
    own_cluster: bool = False
    alongside: bool = False
    tests: bool = False
    skips: Mapping[str, str] = field(default_factory=dict)

    async def execute(self, run: "Run") -> None:
        """Do it.

        Args:
            run: What the stages share.

        Raises:
            CheckFailedError: It should have run tests, and counted none.
        """
        module, _, name = self.function.partition(".")
        await getattr(importlib.import_module(f"ci.stages.{module}"), name)(run)
        if self.tests and self.name not in [suite.stage for suite in run.report.suites]:
            raise CheckFailedError(f"{self.name}: no test ran")


CORES = os.cpu_count() or 1
"""On two of them the loop of commits and a scaled canary starve each other, until requests fail."""

MODELS = "models"
"""The stage that gets what applications are proven with."""

ORDER = (
    Stage("lint", "lint.execute"),
    Stage("template", "template.execute"),
    Stage(MODELS, "models.execute"),
    Stage("cluster", "cluster.execute"),
    Stage("stack", "stack.execute", needs=("cluster",)),
    Stage("behaviour", "behaviour.execute", needs=("stack",)),
    Stage("applications", "applications.execute", needs=(MODELS, "stack")),
    Stage("gitops", "gitops.execute", needs=("stack",), own_cluster=True, alongside=CORES > 2, tests=True),
    Stage("install", "install.execute", needs=("stack",)),
    Stage("inference", "suite.inference", needs=("install",), tests=True),
    Stage("canary", "suite.canary", needs=("install",), tests=True),
    Stage("integration", "suite.integration", needs=("install",), tests=True),
    Stage("uninstall", "suite.uninstall", needs=("install",), tests=True),
    Stage("bad-releases", "suite.bad_releases", needs=("stack",), own_cluster=True, tests=True),
)


CHECKS = ("lint", "template")
"""Where applications are deleted and nothing else differs, these are all there is: of what is left."""

APPLICATION = (*CHECKS, MODELS, "applications")
"""Where the platform is not in the change, these and what they need are all there is to prove."""


def suite_of(environment: str, name: str) -> str:
    """Return what the tests of one application are counted as; an environment's name has no dot."""
    return f"applications.{environment}.{name}"


def named(name: str) -> Stage:
    """Return the stage of a name."""
    return next(stage for stage in ORDER if stage.name == name)


def left_out(stages: Sequence[Stage], *, platform: bool = True, served: bool = True) -> list[str]:
    """Return the names of the stages that a run of these leaves out, in order.

    Args:
        stages: That it takes.
        platform: Whether the platform is to be proven.
        served: Whether anything is to be served where it is not.
    """
    return [stage.name for stage in _whole(platform, served) if stage not in stages]


def _whole(platform: bool, served: bool) -> Sequence[Stage]:
    return ORDER if platform else _with_needs(APPLICATION if served else CHECKS, ())


def chosen(
    only: Sequence[str],
    skip: Sequence[str],
    *,
    existing: bool = False,
    platform: bool = True,
    served: bool = True,
) -> list[Stage]:
    """Return the stages to run, in order.

    Args:
        only: Run these and what they need; all when empty.
        skip: Leave these out.
        existing: Whether the cluster was there before: without `only`, stages for our own are left out.
        platform: Whether the platform is to be proven; without `only`, else, its stages are left out.
        served: Whether anything is to be served where it is not; without `only`, else, the checks alone are run.

    Raises:
        UsageError: A name is unknown, a stage left out is needed by one that is not, or none is left to run.
    """
    by_name = {stage.name: stage for stage in ORDER}
    for name in (*only, *skip):
        if name not in by_name:
            raise UsageError(f"{name or 'an empty name'}: no such stage", fix=f"One of {', '.join(by_name)}")
    whole = [stage.name for stage in _whole(platform, served) if not (existing and stage.own_cluster)]
    found = _with_needs(only or whole, skip)
    if not found:  # it would be green
        raise UsageError(f"--skip {' --skip '.join(skip)}: no stage is left to run", fix="Skip less.")
    return found


def _with_needs(names: Sequence[str], skip: Sequence[str]) -> list[Stage]:
    """Return stages and those that they need, in order."""
    wanted: set[str] = set()

    def want(name: str) -> None:
        wanted.add(name)
        for needed in named(name).needs:
            if needed in skip:
                raise UsageError(f"--skip {needed}: {name} needs it", fix=f"Skip {name} too, or keep {needed}.")
            want(needed)

    for name in names:
        if name not in skip:
            want(name)
    return [stage for stage in ORDER if stage.name in wanted]
