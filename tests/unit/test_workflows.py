"""What the workflows may do: pinned, least rights, nothing of a person's or a branch's in a shell line, no loops."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ci.paths import ROOT
from ci.pipeline import style
from ci.pipeline.tools import Output
from tests.faults.git import remote as remotes

FILES = sorted([*(ROOT / ".github/workflows").glob("*.yaml"), *(ROOT / ".github/actions").glob("*/action.yaml")])
WORKFLOWS = {file.stem: yaml.load(file.read_text(), yaml.BaseLoader) for file in FILES if file.name != "action.yaml"}
JOBS = [(f"{name}/{job}", body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]
PINNED = re.compile(r"uses: (\./\.github/actions/[\w-]+|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
WRITES = ("contents", "packages", "actions")


def steps():
    """Return every step of every workflow and action."""
    return list(_steps())


def _steps():
    for file in FILES:
        text = yaml.load(file.read_text(), yaml.BaseLoader)
        runs = [*text.get("jobs", {}).values(), *([text["runs"]] if "runs" in text else [])]
        for step in (step for run in runs for step in run["steps"]):
            yield pytest.param(step, id=f"{file.parent.name}/{file.stem}: {step.get('name', step.get('uses'))}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_action_is_pinned_by_commit_with_its_version_beside(file):
    lines = [line.strip().removeprefix("- ") for line in file.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("step", steps())
def test_22_no_expression_reaches_a_shell(step):
    assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("step", steps())
def test_no_checkout_leaves_its_token_behind(step):
    if step.get("uses", "").startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] == "false"


@pytest.mark.parametrize(("name", "workflow"), WORKFLOWS.items())
def test_nobody_has_a_right_that_no_job_asked_for(name, workflow):
    assert workflow["permissions"] == {}
    assert "group" in workflow["concurrency"]
    assert not {"pull_request_target", "workflow_run"} & {*workflow["on"]}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_every_job_says_its_rights_and_its_time(name, job):
    assert isinstance(job["permissions"], dict)
    assert int(job["timeout-minutes"]) <= 90


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_is_released_uses_no_cache_that_another_run_may_have_filled(name):
    kept = [
        step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"] if "cache" in step.get("with", {})
    ]
    assert bool(kept) == (name == "pull-request")


def starts(event):
    """Names of the workflows that an event starts."""
    return {name for name, workflow in WORKFLOWS.items() if event in workflow["on"]}


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_24_what_a_commit_of_the_bot_starts_can_make_no_commit(event):
    """A branch's push and a pull request are all that the bot does; a tag is a person's."""
    started = starts(event) - {"release"}
    assert set(WORKFLOWS["release"]["on"]) == {"push", "workflow_dispatch"}
    assert set(WORKFLOWS["release"]["on"]["push"]) == {"tags"}
    assert started
    for name in started:
        for job in WORKFLOWS[name]["jobs"].values():
            assert not [right for right in WRITES if job["permissions"].get(right) == "write"]


def test_24_only_a_set_that_reaches_staging_is_tested_again(tmp_path):
    """The bot's commits, made by the bot, against the paths that start nothing."""
    remote = remotes.made(tmp_path)
    clone = remote.clone("bot")
    remotes.bump(clone, "2.0", "--push")
    clone.pull()
    remotes.run(remotes.arguments(clone, "rollback", "--env=dev", "--why=slow", "--push"))
    changed = remote.git("diff", "--name-only", "main~2", "main").split()
    ignored = WORKFLOWS["pull-request"]["on"]["push"]["paths-ignore"]

    assert len(changed) >= 1
    assert [path for path in changed if not any(fnmatch.fnmatch(path, each) for each in ignored)] == []
    assert not any(fnmatch.fnmatch("gitops/staging/sklearn-iris.yaml", each) for each in ignored)


def test_zizmor_finds_nothing_even_when_asked_for_everything():
    zizmor = Path(sys.executable).parent / "zizmor"
    result = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--persona=pedantic", "--format=json", ".github"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert style.zizmor_findings(Output(result.returncode, result.stdout, result.stderr)) == []


def test_actionlint_finds_nothing(tool):
    names = [str(file.relative_to(ROOT)) for file in FILES if file.name != "action.yaml"]
    result = subprocess.run(
        [tool("actionlint"), "-shellcheck=", "-pyflakes=", "-format={{json .}}", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert style.actionlint_findings(Output(result.returncode, result.stdout, result.stderr)) == []
