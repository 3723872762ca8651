"""GitHub's runner on this machine: act, with the actions that it would download replaced by tests/workflows/actions."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ci.base import paths
from ci.base.paths import ROOT
from tests.harness.git_server import TOKEN

ACTIONS = Path(__file__).parent / "actions"
USES = re.compile(r"uses: ((actions)/([\w-]+)@[0-9a-f]{40})")
SECONDS = 3600


@dataclass
class Act:
    """One GitHub, as a runner sees it.

    Attributes:
        clone: A clone of the repository, at the commit that the event is about.
        folder: For everything that runs leave.
        address: Where GitHub is.
        variables: Of the repository.
        secrets: Of the repository.
        runs: How many there were.
    """

    clone: Path
    folder: Path
    address: str
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    runs: int = 0

    def run(self, event, workflow, payload, *, ref="refs/heads/main", job=None, env=None):
        """Run a workflow as an event would, and return the ended process with everything it printed in `stdout`."""
        self.runs += 1
        self.artifacts.mkdir(parents=True)
        folder = self.artifacts.parent
        (folder / "event.json").write_text(json.dumps(payload))
        (folder / "secrets.yaml").write_text(yaml.safe_dump({"GITHUB_TOKEN": TOKEN, **self.secrets}))
        (folder / "variables.yaml").write_text(yaml.safe_dump(self.variables))
        repository = {
            "GITHUB_REPOSITORY": "team/tree",
            "GITHUB_REPOSITORY_OWNER": "team",
            "GITHUB_SERVER_URL": f"http://{self.address}",
            "GITHUB_API_URL": f"http://{self.address}/api/v3",
            "GITHUB_REF": ref,
        }
        host = {"HOST_PYTHON": sys.executable, "HOST_ARTIFACTS": str(self.artifacts), **(env or {})}
        options = [
            *(f"--env={name}={value}" for name, value in {**repository, **host}.items()),
            *(f"--local-repository={uses}={ACTIONS / name}" for uses, name in self.uses()),
            *([f"--job={job}"] if job else []),
        ]
        # What the workflow's steps get they must get from the workflow: act hands its own environment on.
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "ML_SERVING"))
        }
        return subprocess.run(
            [
                "act",
                event,
                f"--directory={self.clone}",
                f"--workflows=.github/workflows/{workflow}",
                f"--eventpath={folder / 'event.json'}",
                f"--secret-file={folder / 'secrets.yaml'}",
                f"--var-file={folder / 'variables.yaml'}",
                "--platform=ubuntu-24.04=-self-hosted",
                "--no-skip-checkout",
                "--no-cache-server",
                "--action-offline-mode",
                "--container-daemon-socket=-",
                f"--action-cache-path={folder / 'act'}",
                "--defaultbranch=main",
                *options,
            ],
            cwd=self.clone,
            env=inherited | {"ML_SERVING_CI_CACHE": str(paths.cache())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    @property
    def artifacts(self):
        """The folder with the artifacts of the last run."""
        return self.folder / str(self.runs) / "artifacts"

    @staticmethod
    def uses():
        """Yield every action of others that the workflows use, with its local name."""
        files = [*(ROOT / ".github").rglob("*.yaml")]
        for match in {match for file in files for match in USES.findall(file.read_text())}:
            yield match[0], match[2]
