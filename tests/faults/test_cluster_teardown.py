"""A run that is stopped at any step of making its cluster leaves nothing; what a killed one leaves, `clean` removes.

Real: Docker, kind, the node image. Run it with `pytest tests/faults/test_cluster_teardown.py`.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.cluster import clean, runs

SCRIPT = """
import sys
from pathlib import Path
import anyio
import typer
from ci.cluster.kind import kind_cluster
from ci.commands.runner import run_async

async def main(kind, kubectl, image, report, name, *keep):
    async with kind_cluster(Path(kind), Path(kubectl), image, Path(report), name=name, keep=bool(keep)) as cluster:
        await anyio.sleep_forever()

try:
    run_async(main, *sys.argv[1:])
except typer.Exit as end:
    sys.exit(end.exit_code)
"""
STEP_SECONDS = 180
STOP_SECONDS = 120


class Run:
    """A run that makes a cluster and then waits, and what it has made so far."""

    def __init__(self, tools: tuple[str, str, str], report: Path, *options: str) -> None:
        self.run = runs.new_id()
        self.name = runs.cluster_name(self.run)
        argv = [sys.executable, "-c", SCRIPT, *tools, str(report), self.run, *options]
        self.process = subprocess.Popen(argv, cwd=paths.ROOT)
        self.mounts: set[str] = set()
        self.volumes: set[str] = set()

    def look(self) -> None:
        """Remember the mounts and volumes of its containers."""
        # one that is being made is listed before it can be inspected
        for shown in json.loads(output("docker", "inspect", *self.containers()) or "[]"):
            self.mounts.add(shown.get("GraphDriver", {}).get("Data", {}).get("MergedDir", "-"))
            self.volumes |= {mount["Name"] for mount in shown.get("Mounts", []) if mount["Type"] == "volume"}

    def containers(self) -> list[str]:
        return output("docker", "ps", "-aq", f"--filter=label={runs.KIND_LABEL}={self.name}").split()

    def networks(self) -> list[str]:
        return output("docker", "network", "ls", "-q", f"--filter=label={runs.RUN_LABEL}={self.run}").split()

    def programs(self) -> list[str]:
        """Command lines of processes that name the cluster, kind's and docker's among them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except OSError:
                continue
            if self.name in line and int(folder.name) != self.process.pid:
                found.append(line)
        return found

    def leftovers(self) -> dict[str, list[str]]:
        """Everything there still is of it."""
        mounted = Path("/proc/mounts").read_text()
        volumes = set(output("docker", "volume", "ls", "-q").split())
        found = {
            "containers": self.containers(),
            "networks": self.networks(),
            "programs": self.programs(),
            "files": [str(runs.folder(self.name))] if runs.folder(self.name).exists() else [],
            "mounts": [mount for mount in self.mounts if mount in mounted],
            "volumes": sorted(self.volumes & volumes),
        }
        return {what: things for what, things in found.items() if things}


STEPS: dict[str, Callable[[Run], bool]] = {
    "network": lambda run: bool(run.networks()),
    "files": lambda run: (runs.folder(run.name) / "kind.yaml").exists(),
    "container": lambda run: bool(run.containers()),
    "kubeadm": lambda run: in_node(run, "test", "-e", "/etc/kubernetes/manifests/etcd.yaml"),
    "apiserver": lambda run: in_node(run, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "--raw=/readyz"),
    "kubeconfig": lambda run: (runs.folder(run.name) / "kubeconfig").exists(),
    "ready": lambda run: (
        (runs.folder(run.name) / "kubeconfig").exists()
        and " Ready " in output("docker", "exec", *run.containers()[:1], "kubectl", "get", "nodes")
    ),
}


@pytest.fixture
def started(tools: tuple[str, str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    run = Run(tools, tmp_path, *getattr(request, "param", ()))
    yield run
    if run.process.poll() is None:
        run.process.kill()
        run.process.wait()
    anyio.run(clean.delete, run.name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("step", STEPS)
def test_a_signal_at_any_step_leaves_nothing(started: Run, step: str, number: signal.Signals) -> None:
    # Given
    reach(started, step)

    # When
    started.process.send_signal(number)

    # Then
    assert started.process.wait(STOP_SECONDS) == 130
    assert started.leftovers() == {}


@pytest.mark.parametrize("started", [["keep"]], indirect=True)
def test_an_interrupted_run_keeps_nothing_whatever_it_was_told(started: Run) -> None:
    reach(started, "ready")

    started.process.send_signal(signal.SIGINT)

    assert started.process.wait(STOP_SECONDS) == 130
    assert started.leftovers() == {}


@pytest.mark.parametrize("step", STEPS)
def test_clean_removes_what_a_killed_run_left(started: Run, step: str) -> None:
    # Given
    reach(started, step)
    started.process.kill()
    started.process.wait()

    # When
    anyio.run(clean.clean)

    # Then
    assert started.leftovers() == {}


def test_clean_leaves_a_run_alone_that_goes_on(started: Run) -> None:
    reach(started, "ready")

    removed = anyio.run(clean.clean)

    assert not [line for line in removed if started.run in line]
    assert started.containers()


def test_of_two_runs_begun_together_the_killed_one_goes_and_the_other_stays(
    started: Run, tools: tuple[str, str, str], tmp_path: Path
) -> None:
    # Given
    other = Run(tools, tmp_path / "other")
    try:
        reach(other, "container")
        reach(started, "container")

        # When
        other.process.kill()
        other.process.wait()
        removed = anyio.run(clean.clean)

        # Then
        assert other.leftovers() == {}
        assert not [line for line in removed if started.run in line]
        reach(started, "ready")
    finally:
        other.process.kill()
        other.process.wait()
        anyio.run(clean.delete, other.name)


def test_a_second_run_of_the_same_name_is_refused_and_harms_nothing(
    started: Run, tools: tuple[str, str, str], tmp_path: Path
) -> None:
    reach(started, "network")
    argv = [sys.executable, "-c", SCRIPT, *tools, str(tmp_path), started.run]
    second = subprocess.run(argv, cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=STOP_SECONDS)
    assert second.returncode == 2
    assert f"there is a cluster {started.run} already" in second.stderr
    reach(started, "ready")


def reach(run: Run, step: str) -> None:
    """Wait until a run is at a step, or past it."""
    deadline = time.monotonic() + STEP_SECONDS
    while not STEPS[step](run):
        assert run.process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline, f"{step}: not in time"
        time.sleep(0.05)
    run.look()


def in_node(run: Run, *argv: str) -> bool:
    containers = run.containers()
    return bool(containers) and (
        subprocess.run(["docker", "exec", containers[0], *argv], capture_output=True, check=False).returncode == 0
    )


def output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
