"""`test` on a stranger's changes, each run a process of its own; all that need a cluster share one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci.base import jsonfile
from ci.base.paths import ROOT
from ci.evidence import statement
from ci.results import Report
from tests.harness.remote import PERSON
from tests.stranger import project
from tests.stranger.project import Stranger

SECONDS = 1800
COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """A run of `test` that is over.

    Attributes:
        code: Its exit code.
        said: Standard error.
        folder: The report's.
        report: report.json.
    """

    code: int
    said: str
    folder: Path
    report: Report

    @property
    def evidence(self) -> Path:
        """What it left for `promote`, if anything."""
        return self.folder / statement.EVIDENCE

    @property
    def stages(self) -> dict[str, str]:
        """How each stage that the run knew of ended."""
        return {stage.name: stage.outcome for stage in self.report.stages}

    @property
    def error(self) -> str:
        """The one line that says what failed."""
        (line,) = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return line

    def __str__(self) -> str:
        return f"exit code {self.code}, {self.folder}\n{self.said}"


@dataclass
class Runs:
    """Runs of `test`.

    The first that gets so far makes the cluster, as for anybody, and keeps it; the others are given it.

    Attributes:
        stranger: The repository.
        env: Credentials and key of whoever runs it.
        reports: Gets a folder a run.
        cluster: The name of the cluster's run, once there is one.
    """

    stranger: Stranger
    env: Mapping[str, str]
    reports: Path
    cluster: str | None = None
    count: int = field(default=0)

    def test(self, *, cluster: bool = True) -> Ended:
        """Run `test --base` on what is checked out.

        Args:
            cluster: Whether it is to get so far that it needs one.
        """
        self.count += 1
        into = self.reports / str(self.count)
        words = ["test", f"--base=origin/{project.BRANCH}", f"--report={into}"]
        before = self._clusters()
        if cluster:
            words.append("--keep" if self.cluster is None else f"--kubeconfig={self.kubeconfig()}")
        ended = self._run(*words, seconds=SECONDS)
        made = self._clusters() - before
        if cluster and self.cluster is None and made:
            (self.cluster,) = made
        assert cluster or not made, "it left a cluster"
        return Ended(ended.returncode, ended.stderr, into, jsonfile.read(into / "report.json", Report))

    def kubeconfig(self) -> str:
        ended = self._run("cluster", "kubeconfig", f"--name={self.cluster}", seconds=COMMAND_SECONDS)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def remove(self) -> None:
        """Remove the cluster."""
        if self.cluster is not None:
            ended = self._run("cluster", "down", f"--name={self.cluster}", seconds=COMMAND_SECONDS)
            assert ended.returncode == 0, ended.stderr

    def _clusters(self) -> set[str]:
        listed = json.loads(self._run("cluster", "status", "--json", seconds=COMMAND_SECONDS).stdout)
        return {each["run"] for each in listed if each["state"] == "kept"}

    def _run(self, *words: str | Path, seconds: float) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, ROOT / "ci" / "main.py", f"--project={self.stranger.folder}", *words]
        env = {**os.environ, **PERSON, **self.env}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=seconds, check=False)
