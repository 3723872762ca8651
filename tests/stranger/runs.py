"""`test` on a stranger's changes, each run a process of its own, in a work tree of its own; they share one cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

from ci.base import jsonfile
from ci.base.paths import ROOT
from ci.cluster import existing
from ci.cluster.kubectl import Kubectl
from ci.evidence import statement
from ci.results import Report
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.harness.remote import PERSON
from tests.stranger import project
from tests.stranger.project import Stranger

SECONDS = 1800
COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """A run of `test` that is over.

    Attributes:
        stranger: The work tree that it ran on.
        code: Its exit code.
        said: Standard error.
        folder: The report's.
        report: report.json.
    """

    stranger: Stranger
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

    The first that gets so far makes the cluster, as for anybody, and keeps it; the others are given it. They
    count there, for the first one's branch names it before it is merged.

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

    def test(self, component: str, name: str, to: str, digest: str = "", *, cluster: bool = True) -> Ended:
        """Make the tool's one commit in a new work tree, and run `test --base` on it.

        Args:
            component: What is bumped, model or image.
            name: The application.
            to: The version.
            digest: A model's; an image has it in `to`.
            cluster: Whether it is to get so far that it needs one.
        """
        said = f"{name}-{to.partition('@')[0]}"
        stranger = self.stranger.another(said)
        stranger.bump(component, name, to, *([f"--digest={digest}"] if digest else []))
        into = self.reports / said
        words = ["test", f"--base=origin/{project.BRANCH}", f"--report={into}"]
        if cluster:
            words.append("--keep" if self.cluster is None else f"--kubeconfig={self.kubeconfig()}")
        before = self._clusters()
        ended = self._run(stranger, *words, seconds=SECONDS)
        made = self._clusters() - before
        if cluster and self.cluster is None and made:
            (self.cluster,) = made
            stranger.count(anyio.run(self._uid))
        assert cluster or not made, "it left a cluster"
        return Ended(stranger, ended.returncode, ended.stderr, into, jsonfile.read(into / "report.json", Report))

    def kubeconfig(self) -> str:
        ended = self._run(self.stranger, "cluster", "kubeconfig", f"--name={self.cluster}", seconds=COMMAND_SECONDS)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    async def _uid(self) -> str:
        kubectl = Supply(choose("auto")).tool("kubectl")
        cluster = await existing.existing_cluster(kubectl, Path(self.kubeconfig()))
        return (await existing.identity(Kubectl(kubectl, cluster))).uid

    def remove(self) -> None:
        """Remove the cluster."""
        if self.cluster is not None:
            ended = self._run(self.stranger, "cluster", "down", f"--name={self.cluster}", seconds=COMMAND_SECONDS)
            assert ended.returncode == 0, ended.stderr

    def _clusters(self) -> set[str]:
        listed = json.loads(self._run(self.stranger, "cluster", "status", "--json", seconds=COMMAND_SECONDS).stdout)
        return {each["run"] for each in listed if each["state"] == "kept"}

    def _run(self, stranger: Stranger, *words: str | Path, seconds: float) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, ROOT / "ci" / "main.py", f"--project={stranger.folder}", *words]
        env = {**os.environ, **PERSON, **self.env}
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=seconds, check=False)
