"""The pull-request workflow, as it is, on a runner of this machine.

Steered only by what any user may set: the repository variable ML_SERVING_CI_ONLY chooses the stages of `test`, and the
environment PYTEST_ADDOPTS the unit tests. By default these are the stages that need no cluster (Docker and the Dagger
engine they do need) and one file of tests; the whole workflow runs with

    ML_SERVING_CI_ACT=whole pytest tests/workflows/test_pull_request.py
"""

import json
import os
import shutil
import subprocess

import pytest

from ci.evidence import statement
from tests.workflows.conftest import STAGING

WORKFLOW = "pull-request.yaml"
EVIL = 'x";echo${IFS}pwned;#'
WHOLE = os.environ.get("ML_SERVING_CI_ACT") == "whole"
QUICK = {"PYTEST_ADDOPTS": "-k test_duration", "PYTEST_XDIST_AUTO_NUM_WORKERS": "1"}


def event(clone, branch=EVIL, into="main"):
    """A pull request of the clone's last commit, from a branch of any name into one of the remote's."""
    repository = {"full_name": "team/tree"}
    base, head = (clone.git("rev-parse", commit) for commit in ("HEAD~1", "HEAD"))
    return {
        "repository": {**repository, "default_branch": "main"},
        "number": 7,
        "pull_request": {
            "number": 7,
            "base": {"ref": into, "sha": base, "repo": repository},
            "head": {"ref": branch, "sha": head, "repo": repository},
        },
    }


def docker_answers():
    return bool(shutil.which("docker")) and subprocess.run(["docker", "info"], capture_output=True).returncode == 0


@pytest.fixture
def comments(hub):
    return hub.comments[7]


def test_the_change_is_told_in_one_comment_that_is_kept_up_to_date(act, clone, comments):
    content = clone.read(STAGING)
    clone.git("remote", "set-url", "--push", "origin", str(clone.folder.parent / "remote.git"))
    clone.commit(STAGING, content.replace(b"v2\n", b"v3\n"), "A newer model")

    first = act.run("pull_request", WORKFLOW, event(clone), job="comment")
    assert first.returncode == 0, first.stdout
    (comment,) = comments
    assert "v3" in comment["body"]
    assert not [line for line in first.stdout.splitlines() if line.rstrip().endswith("| pwned")]

    clone.commit(STAGING, content.replace(b"v2\n", b"v4\n"), "A still newer model")
    again = act.run("pull_request", WORKFLOW, event(clone), job="comment")
    assert again.returncode == 0, again.stdout
    (comment,) = comments
    assert "v4" in comment["body"]


def test_a_fork_gets_no_token_that_writes(act, clone, comments):
    payload = event(clone)
    payload["pull_request"]["head"]["repo"] = {"full_name": "someone/tree"}

    run = act.run("pull_request", WORKFLOW, payload, job="comment")

    assert run.returncode == 0, run.stdout
    assert comments == []


@pytest.mark.skipif(not docker_answers(), reason="needs Docker")
def test_a_change_goes_through_every_job(act, clone, remote, comments):
    remote.git("branch", "before", "main~1")
    if not WHOLE:
        act.variables["ML_SERVING_CI_ONLY"] = "lint template"

    run = act.run("pull_request", WORKFLOW, event(clone, into="before"), env={} if WHOLE else QUICK)

    assert run.returncode == 0, run.stdout
    report = json.loads((act.artifacts / "report" / "report.json").read_text())
    assert "--base=origin/before" in report["command"]
    assert [stage["name"] for stage in report["stages"]][:2] == ["lint", "template"]
    assert "gitops" not in report["left_out"], "the platform is not in the change"
    assert bool(report["left_out"]) is not WHOLE
    assert (act.artifacts / "report" / statement.EVIDENCE).exists() is WHOLE, "a narrowed run writes none"
    assert len(comments) == 1
