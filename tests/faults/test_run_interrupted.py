"""A whole run, interrupted in each of its stages, leaves no container, network, volume, mount or process.

Real: everything a run takes. Some ten minutes: `pytest tests/faults/test_run_interrupted.py`.
"""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.base.wait import NotYet, until
from ci.stages.order import ORDER

PROGRAMS = ("kubectl", "helm", "kind", "pytest", "crane", "dagger", "containerd-shim", "ci/main.py")
STAGE_SECONDS = 400
STOP_SECONDS = 120


def snapshot() -> dict[str, Counter[str]]:
    """What a run could leave on this machine."""

    def docker(*arguments: str) -> Counter[str]:
        return Counter(
            subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.split()
        )

    processes: Counter[str] = Counter()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        line = " ".join(words[:3])
        if any(program in line for program in PROGRAMS) and "tests/faults" not in " ".join(words):
            processes[line] += 1
    return {
        "containers": docker("ps", "--all", "--quiet"),
        "networks": docker("network", "ls", "--quiet"),
        "volumes": docker("volume", "ls", "--quiet"),
        "mounts": Counter(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()),
        "processes": processes,
    }


@pytest.mark.parametrize(
    ("stage", "number"),
    [*((stage.name, signal.SIGINT) for stage in ORDER), ("cluster", signal.SIGHUP), ("stack", signal.SIGTERM)],
)
@pytest.mark.usefixtures("tools")
def test_a_run_interrupted_in_this_stage_leaves_nothing(stage: str, number: signal.Signals, tmp_path: Path):
    before = snapshot()
    progress = tmp_path / "progress"
    argv = [sys.executable, "ci/main.py", "test", f"--only={stage}", f"--report={tmp_path / 'report'}"]
    with progress.open("w") as stderr, subprocess.Popen(argv, cwd=paths.ROOT, stderr=stderr) as run:

        async def in_stage() -> None:
            assert run.poll() is None, progress.read_text()
            if stage not in progress.read_text().splitlines():
                raise NotYet(progress.read_text().rstrip().rpartition("\n")[2])

        anyio.run(lambda: until(f"the run is in stage {stage}", in_stage, timeout=STAGE_SECONDS, interval=0.1))
        run.send_signal(number)
        assert run.wait(STOP_SECONDS) == 130, progress.read_text()
    assert json.loads((tmp_path / "report" / "report.json").read_text())["outcome"] == "interrupted"
    assert snapshot() == before
