"""The stages that are pytest on the cluster, each its own selection of tests/integration."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ci.base import jsonfile, paths, tasks
from ci.cluster import runs
from ci.results import CanaryTimeline, Dashboard, Event, Example
from ci.stages import counting, order
from ci.stages.counting import Selection
from ci.stages.run import RELEASE, Run
from ci.tree.tree import Application

TESTS = paths.ROOT / "tests" / "integration"
BAD_RELEASES = "test_bad_releases.py"
APPLICATION = ("test_known_answer.py", "test_helm_test.py", "test_components.py", "test_monitored.py")
"""What proves an application in seconds: none waits for a second version, for load, or for minutes of figures."""
ALWAYS = "test_components.py"
"""Of these, has tests of any application; the others are about what one may have turned off."""
OWN_STAGE = ("test_inference.py", "test_canary.py", "test_uninstall.py", "test_gitops.py", BAD_RELEASES)
BY_HAND = ("test_golden.py",)
"""What the stages behaviour and applications do in their own way, for two versions at a time."""

T = TypeVar("T")


async def inference(run: Run) -> None:
    """The model answers, by both protocols, through the mesh and by port-forward; bad requests get 4xx."""
    try:
        await _run(run, "inference", [TESTS / "test_inference.py"])
    finally:
        run.report.inference = _recorded(run, "inference.json", list[Example])


async def canary(run: Run) -> None:
    """A good version canaries through under traffic, and what was seen of it goes to the report."""
    await _run(run, "canary", [TESTS / "test_canary.py"])


async def bad_releases(run: Run) -> None:
    """Bad versions are stopped, on a release with a Prometheus of its own."""
    await _run(run, "bad-releases", [TESTS / BAD_RELEASES], "--bad-releases")


async def integration(run: Run) -> None:
    """Every other test of the suite."""
    others = {TESTS / name for name in (*OWN_STAGE, *BY_HAND)}
    try:
        await _run(run, "integration", sorted(set(TESTS.glob("test_*.py")) - others))
    finally:
        run.report.dashboards = _recorded(run, "dashboards.json", list[Dashboard])


async def application(run: Run, which: Application, namespace: str) -> None:
    """An application as it is installed: it answers, by each way; its parts are there; Prometheus knows it.

    Args:
        run: This run.
        which: The application.
        namespace: Of its release.
    """
    files = [TESTS / name for name in APPLICATION]
    options = (f"--app={which.name}", f"--project={run.options.project}", f"--namespace={namespace}")
    empty = [file for file in files if file.name != ALWAYS]
    stage = order.suite_of(which.environment, which.name)
    await _counted(run, Selection(stage, files, options, _cluster(run), empty))


async def uninstall(run: Run) -> None:
    """`helm uninstall` leaves nothing behind."""
    await _run(run, "uninstall", [TESTS / "test_uninstall.py"], "--uninstall")


async def gitops(run: Run, address: str) -> None:
    """A version moves by commits alone, and a bad one goes back.

    Args:
        run: This run.
        address: This machine's, as the cluster's pods reach it.
    """
    try:
        await _run(run, "gitops", [TESTS / "test_gitops.py"], f"--gitops-address={address}")
    finally:
        run.report.gitops = _recorded(run, "gitops.json", list[Event])


def _recorded(run: Run, name: str, kind: type[list[T]]) -> list[T]:
    """Return what the tests recorded for the report; nothing where they did not come to it."""
    file = run.options.report / name
    with tasks.clean_up(f"read {name}"):
        return jsonfile.read(file, kind) if file.exists() else []
    return []


async def _run(run: Run, stage: str, files: Sequence[Path], *options: str) -> None:
    folder = run.options.report
    where = (f"--namespace={run.namespace}", f"--release={RELEASE}", f"--prometheus={run.prometheus.host}")
    try:
        await _counted(run, Selection(stage, files, options, (*_cluster(run), *where), skips=order.named(stage).skips))
    finally:
        with tasks.clean_up("read what was seen of the canaries"):
            for file in sorted(folder.glob("canary-*.json")):
                timeline = jsonfile.read(file, CanaryTimeline)
                if timeline not in run.report.canaries:
                    run.report.canaries.append(timeline)


def _cluster(run: Run) -> tuple[str, ...]:
    return (
        f"--kubeconfig={run.cluster.kubeconfig}",
        f"--context={run.cluster.context}",
        f"--report={run.options.report}",
    )


async def _counted(run: Run, selection: Selection) -> None:
    env = {"ML_SERVING_CI_SUPPLY": run.supply.way, **runs.environment()}
    await counting.run(selection, run.options.report, env, run.report.suites)
