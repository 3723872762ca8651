"""A real git remote with a project in it, made with the tool's own chart, and people who write to it."""

import atexit
import os
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from ci import project
from ci.base.paths import CHART, ROOT
from ci.supply.tools import installed
from ci.tree import tree
from tests.harness import chart, cli
from tests.unit.conftest import find_tool

FILE = "gitops/dev/sklearn-iris.yaml"
MODEL = "gs://kfserving-examples/models/sklearn/{}/model"
PROJECT = """\
repository = "https://github.com/acme/models.git"

[[environments]]
name = "dev"
namespace = "ml-serving-dev"
soak = "10m"

[[environments]]
name = "staging"
namespace = "ml-serving-staging"
soak = "1h"

[[environments]]
name = "prod"
namespace = "ml-serving"
protected = true
soak = "24h"
"""
APPLICATION = f"""\
# sklearn-iris in {{environment}}
chart:
  revision: main
model:
  version: "1.0"
  storageUri: {MODEL.format("1.0")}
  digest: "" # of the model's files
image:
  repository: docker.io/kserve/sklearnserver
  tag: v0.20.0
  digest: ""
# Helm values that this environment changes, on top of the chart's values/{{environment}}.yaml.
values: {{{{}}}}
"""
"""What every environment begins with."""


def application(environment, content=None):
    """The application of an environment, as it begins or by another file."""
    text = APPLICATION.format(environment=environment).encode()
    return tree.read(project.parse(PROJECT.encode()), environment, "sklearn-iris", content or text)


PERSON = {
    "GIT_AUTHOR_NAME": "Jane",
    "GIT_AUTHOR_EMAIL": "jane@example.com",
    "GIT_COMMITTER_NAME": "Jane",
    "GIT_COMMITTER_EMAIL": "jane@example.com",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
SECONDS = 300


def run(argv, *, cwd=None, check=True, env=None, stdin=None, seconds=SECONDS):
    return subprocess.run(
        argv,
        cwd=cwd,
        input=stdin,
        check=check,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **PERSON, **(env or {})},
    )


@dataclass(frozen=True)
class Clone:
    """A work tree of the remote's."""

    folder: Path

    def git(self, *args, check=True):
        return run(["git", *args], cwd=self.folder, check=check).stdout.strip()

    def read(self, path=FILE):
        return (self.folder / path).read_bytes()

    def commit(self, path, content, message="Somebody else's change"):
        """Commit as a person would, and push."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.git("add", "--", path)
        self.git("commit", "--quiet", f"--message={message}")
        self.git("push", "--quiet", "origin", "main")

    def replace(self, old, new, message="Somebody else's change"):
        content = self.read()
        assert content.count(old) == 1, content
        self.commit(FILE, content.replace(old, new), message)

    def pull(self):
        self.git("pull", "--quiet", "--rebase")


@dataclass(frozen=True)
class Remote:
    """A bare repository.

    Attributes:
        folder: Where it is.
        root: Where its clones go.
    """

    folder: Path
    root: Path

    def clone(self, name):
        run(["git", "clone", "--quiet", str(self.folder), str(self.root / name)])
        return Clone(self.root / name)

    def git(self, *args):
        return run(["git", *args], cwd=self.folder).stdout.strip()

    def commits(self):
        """Subjects from the newest to the first."""
        return self.git("log", "--format=%s", "main").splitlines()

    def data(self, path=FILE):
        return yaml.safe_load(self.git("show", f"main:{path}"))

    def overtake(self, first):
        """Go back to a commit, and come forward again the moment that the next push is being received."""
        self.git("update-ref", "refs/theirs", "main")
        self.git("update-ref", "refs/heads/main", first)
        self.hook(
            "pre-receive",
            "test -e done && exit 0; touch done; env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main refs/theirs",
        )

    def hook(self, name, script):
        file = self.folder / "hooks" / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)


def made(root):
    """Make a remote with one commit of the chart and the tree."""
    shutil.copytree(_first(), root / "remote.git")
    return Remote(root / "remote.git", root)


@cache
def _first():
    """The repository that every remote begins as, made once; commands on it take a helm that is here already."""
    find_tool("helm")
    root = Path(tempfile.mkdtemp(prefix="ml-serving-ci-tests-"))
    atexit.register(shutil.rmtree, root)
    seed = root / "seed"
    chart.copy(seed / CHART.relative_to(ROOT))
    (seed / project.FILE).write_text(PROJECT)
    for environment in project.parse(PROJECT.encode()).names:
        file = seed / "gitops" / environment / "sklearn-iris.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(APPLICATION.format(environment=environment))
    return published(seed, root).folder


def published(seed, root):
    """Make a remote with one commit of what a folder has."""
    run(["git", "init", "--quiet", "--initial-branch=main", "."], cwd=seed)
    run(["git", "add", "."], cwd=seed)
    run(["git", "commit", "--quiet", "--message=First"], cwd=seed)
    run(["git", "clone", "--quiet", "--bare", str(seed), str(root / "remote.git")])
    return Remote(root / "remote.git", root)


@cache
def helm():
    """The executable with which the commands render, too."""
    return installed("helm")


def ci(clone, *args, check=True, env=None):
    """A command as its own process."""
    return cli.run(f"--project={clone.folder}", *args, check=check, env={**os.environ, **PERSON, **(env or {})})


def tried(clone, command):
    """A command that reads the tree and its last change, and is to refuse them: as its own process."""
    words = {
        "bump": ("bump", "model", "--env=dev", "--to=2.0", "--push"),
        "diff": ("diff", "--base", "HEAD~1"),
        "plan": ("plan", "--base", "HEAD~1"),
        "publish": ("publish", "--dry-run", "--registry=oci://registry.example.com/charts"),
    }
    return ci(clone, *words[command], check=False)


def bump(clone, to, *args, component="model", check=True, env=None):
    """`bump` as its own process."""
    return ci(clone, "bump", component, "--env=dev", f"--to={to}", *args, check=check, env=env)
