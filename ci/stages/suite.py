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

TESTS = paths.ROOT / "tests" / "integration"
BAD_RELEASES = "test_bad_releases.py"
OWN_STAGE = ("test_inference.py", "test_canary.py", "test_uninstall.py", "test_gitops.py", BAD_RELEASES)

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
    try:
        await _run(run, "integration", sorted(set(TESTS.glob("test_*.py")) - {TESTS / name for name in OWN_STAGE}))
    finally:
        run.report.dashboards = _recorded(run, "dashboards.json", list[Dashboard])


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
    cluster = (
        f"--kubeconfig={run.cluster.kubeconfig}",
        f"--context={run.cluster.context}",
        f"--namespace={run.namespace}",
        f"--release={RELEASE}",
        f"--prometheus={run.prometheus.host}",
        f"--report={folder}",
    )
    selection = Selection(stage, files, options, cluster, order.named(stage).skips)
    try:
        env = {"ML_SERVING_CI_SUPPLY": run.supply.way, **runs.environment()}
        await counting.run(selection, folder, env, run.report.suites)
    finally:
        with tasks.clean_up("read what was seen of the canaries"):
            for file in sorted(folder.glob("canary-*.json")):
                timeline = jsonfile.read(file, CanaryTimeline)
                if timeline not in run.report.canaries:
                    run.report.canaries.append(timeline)
