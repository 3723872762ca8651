"""What the workflows may do: pinned, least rights, nothing of a person's or a branch's in a shell line, no loops."""

import contextlib
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import yaml

from ci.base.paths import ROOT
from ci.base.wait import NotYet, until
from ci.checks import style
from ci.checks.tools import Output
from tests.harness import cli
from tests.harness import remote as remotes

FILES = sorted([*(ROOT / ".github/workflows").glob("*.yaml"), *(ROOT / ".github/actions").glob("*/action.yaml")])
WORKFLOWS = {file.stem: yaml.load(file.read_text(), yaml.BaseLoader) for file in FILES if file.name != "action.yaml"}
JOBS = [(f"{name}/{job}", body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]
PINNED = re.compile(r"uses: (\./\.github/actions/[\w-]+|[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
RENDERS = re.compile(
    r"ci/main\.py (lint|template|gates|diff|test|promote|evidence verify)\b|pytest -n auto$", re.MULTILINE
)
"""What reads charts out of git's history."""
WRITES = ("contents", "packages", "actions")
LONG = ("python", "dagger", "pytest")
"""Programs that have something to clean up, or a child that has."""
ALWAYS = "always()"
MAKE_CLUSTERS = ("ci/main.py test", "tests/faults", "tests/stranger", "tests/guide", "tests/cluster")
CLEAN = "exec python ci/main.py cluster clean"
SECONDS = 60
GIVEN = ("BASE", "ENVIRONMENT")
"""What the step that tests is told of the event."""


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


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_who_renders_the_tree_has_the_commits_that_its_charts_are_pinned_to(name, job):
    commands = [step["run"] for step in job["steps"] if RENDERS.search(step.get("run", ""))]
    (checkout,) = [step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert not commands or checkout.get("fetch-depth") == "0", commands


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


def calls(step):
    """Return how many commands of a step run one of the long programs."""
    return len(re.findall(rf"^\s*(?:exec )?(?:{'|'.join(LONG)}) ", step.get("run", ""), re.MULTILINE))


TOOL_STEPS = [each for each in steps() if calls(each.values[0])]
RECORDER = """#!{python}
import pathlib, signal, sys
here = pathlib.Path({folder!r})
def heard(number, frame):
    (here / "heard").write_text(signal.Signals(number).name)
    sys.exit(130)
signal.signal(signal.SIGINT, heard)
(here / "running").write_text(" ".join(sys.argv[1:]))
signal.pause()
"""


def test_there_are_steps_that_run_the_tool():
    assert len(TOOL_STEPS) > 10


@pytest.mark.parametrize("step", TOOL_STEPS)
def test_cancelling_a_step_reaches_the_tool(step, tmp_path):
    """GitHub sends SIGINT to the shell that it started, and to nothing below it (actions/runner#1309)."""
    for name in LONG:
        program = tmp_path / name
        program.write_text(RECORDER.format(python=sys.executable, folder=str(tmp_path)))
        program.chmod(0o755)
    script = tmp_path / "script.sh"
    script.write_text(step["run"])
    (tmp_path / "evidence").mkdir()
    files = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_PATH", "KUBECONFIG")}
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **dict.fromkeys(step.get("env", {}), "x"), **files}
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]

    with subprocess.Popen(shell, cwd=tmp_path, env=env, start_new_session=True) as process:
        try:
            anyio.run(there, tmp_path / "running")
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 130
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert (tmp_path / "heard").read_text() == "SIGINT"
    assert calls(step) == 1, "only the last command of a step replaces its shell"


async def there(file):
    async def probe():
        if not file.exists():
            raise NotYet(f"no {file.name}")

    await until("the program runs", probe, timeout=SECONDS, interval=0.05)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_what_a_cancelled_job_left_is_removed(name, job):
    runs = [step.get("run", "") for step in job["steps"]]
    makes = [number for number, run in enumerate(runs) if any(each in run for each in MAKE_CLUSTERS)]
    cleans = [number for number, run in enumerate(runs) if run == CLEAN and job["steps"][number]["if"] == ALWAYS]
    assert bool(makes) == bool(cleans)
    assert not makes or max(makes) < min(cleans)


def test_some_jobs_make_clusters():
    made = {name for name, job in JOBS for step in job["steps"] if step.get("run") == CLEAN}
    assert made == {f"nightly/{job}" for job in ("upstream", "faults", "strangers", "ordinary")} | {"pull-request/test"}


@pytest.mark.parametrize("step", steps())
def test_a_job_that_is_run_again_replaces_what_it_left(step):
    if step.get("uses", "").startswith("actions/upload-artifact@"):
        assert step["with"]["overwrite"] == "true"


def evaluated(text, context):
    """Return a text with each expression of GitHub's replaced by its value, as far as they are used here."""

    def value(path):
        found = context
        for part in path.split("."):
            found = (found or {}).get(part)
        return found

    def one(match):
        code = match[1].strip().replace("||", " or ").replace("&&", " and ").replace("!c", "not c")
        code = re.sub(r"(?<!['\w\"])(github\.[\w.]+)", r"value('\1')", code)
        names = {"value": value, "fromJSON": json.loads, "contains": lambda several, each: each in several}
        names |= {"format": str.format, "cancelled": lambda: False}
        return str(eval(code, {"__builtins__": {}}, names))

    return re.sub(r"\$\{\{(.+?)\}\}", one, text)


def context(event, *, number=None, sha="a", run="1", base="main", queued=None):
    """The part of an event's context that the workflows use."""
    pull = {"pull_request": {"number": number, "base": {"ref": base}}} if number else {}
    pull |= {"merge_group": {"base_sha": queued}} if queued else {}
    return {"github": {"workflow": "W", "event_name": event, "sha": sha, "run_id": run, "event": pull}}


def group(name, *arguments, **options):
    return evaluated(WORKFLOWS[name]["concurrency"]["group"], context(*arguments, **options))


def cancels(name, event):
    return evaluated(WORKFLOWS[name]["concurrency"]["cancel-in-progress"], context(event)).lower() == "true"


def test_the_newer_push_to_a_pull_request_replaces_the_older_ones_run():
    older = group("pull-request", "pull_request", number=7, sha="a", run="1")
    assert group("pull-request", "pull_request", number=7, sha="b", run="2") == older
    assert group("pull-request", "pull_request", number=8, sha="c", run="3") != older
    assert cancels("pull-request", "pull_request")


@pytest.mark.parametrize("event", ["push", "merge_group", "workflow_dispatch"])
def test_no_commit_of_main_or_of_a_merge_queue_waits_for_another(event):
    """Of one group GitHub cancels whoever waits when a newer one comes, whatever cancel-in-progress says."""
    assert not cancels("pull-request", event)
    assert group("pull-request", event, sha="a", run="1") != group("pull-request", event, sha="b", run="2")


def test_a_merged_commit_is_tested_beside_its_own_run_in_the_queue():
    """The commit that a queue merges is the one that it tested."""
    groups = {group("pull-request", event, sha="a") for event in ("push", "merge_group", "workflow_dispatch")}
    assert len(groups) == 3


def test_no_release_is_cancelled_not_even_while_it_waits():
    assert not cancels("release", "push")
    releases = [("push", "1"), ("workflow_dispatch", "2"), ("workflow_dispatch", "3")]
    assert len({group("release", event, run=run) for event, run in releases}) == len(releases)


def test_a_merge_queue_gets_the_checks_that_a_pull_request_gets():
    workflow = WORKFLOWS["pull-request"]
    assert {name for name in WORKFLOWS if "merge_group" in WORKFLOWS[name]["on"]} == {"pull-request"}
    assert {name for name, job in workflow["jobs"].items() if "if" not in job} == {"check", "test"}
    for event, environment, values in [
        ("pull_request", "", "dev"),
        ("merge_group", "", "dev"),
        ("push", "evidence", "staging"),
        ("workflow_dispatch", "evidence", "staging"),
    ]:
        job = workflow["jobs"]["test"]
        (test,) = (step for step in job["steps"] if step["name"] == "Test")
        assert evaluated(job["environment"], context(event)) == environment, "the key is main's alone"
        assert evaluated(test["env"]["ENVIRONMENT"], context(event)) == values


@pytest.mark.parametrize(
    ("event", "number", "base", "expected"),
    [
        ("pull_request", 7, "main", ["--sample-env", "dev", "--base=origin/main"]),
        ("pull_request", 7, "a b;$(id)", ["--sample-env", "dev", "--base=origin/a b;$(id)"]),
        ("merge_group", None, "", ["--sample-env", "dev"]),
        ("push", None, "", ["--sample-env", "staging"]),
        ("workflow_dispatch", None, "", ["--sample-env", "staging"]),
    ],
)
def test_a_pull_request_is_proven_by_what_it_changes_and_main_as_a_whole(tmp_path, event, number, base, expected):
    (step,) = (step for step in WORKFLOWS["pull-request"]["jobs"]["test"]["steps"] if step["name"] == "Test")
    recorder = tmp_path / "dagger"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    recorder.chmod(0o755)
    given = {name: evaluated(step["env"][name], context(event, number=number, base=base)) for name in GIVEN}

    env = {**os.environ, **given, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=tmp_path, env=env, check=True, timeout=SECONDS)

    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments == ["run", "python", "ci/main.py", "test", *expected, "--report", "report"]


def test_where_nothing_was_to_be_proven_there_is_no_report_and_no_step_asks_for_one():
    steps = WORKFLOWS["pull-request"]["jobs"]["test"]["steps"]
    after = steps[[step["name"] for step in steps].index("Test") + 1 :]
    assert [step["name"] for step in after] == ["Remove what a cancelled test left", "Keep the report"]
    assert after[-1]["with"]["if-no-files-found"] == "ignore"
    later = {name: job for name, job in WORKFLOWS["pull-request"]["jobs"].items() if "test" in job.get("needs", "")}
    assert [*later] == ["proven"]
    (download,) = (step["with"] for step in later["proven"]["steps"] if "download-artifact@" in step.get("uses", ""))
    assert (download["pattern"], download.get("name")) == ("report", None), "no error where there is none"


@pytest.mark.parametrize(
    ("event", "given", "base"),
    [
        ("pull_request", {"number": 7, "base": "release/1"}, "origin/release/1"),
        ("merge_group", {"queued": "a" * 40}, "a" * 40),
    ],
)
def test_what_reaches_production_is_asked_for_its_proof_by_who_has_no_key(event, given, base):
    job = WORKFLOWS["pull-request"]["jobs"]["proven"]
    (verify,) = (step for step in job["steps"] if step["name"] == "Verify")
    assert evaluated(job["if"], context(event, **given)) == "True"
    assert evaluated(verify["env"]["BASE"], context(event, **given)) == base
    assert {*job["permissions"].values()} == {"read"}
    assert "environment" not in job
    assert "secrets." not in json.dumps(job)
    assert "--run report" in verify["run"]


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_what_is_merged_is_not_asked_again(event):
    assert evaluated(WORKFLOWS["pull-request"]["jobs"]["proven"]["if"], context(event)) == "False"


def test_a_release_takes_a_commit_of_the_branch_alone():
    (verify,) = (step for step in WORKFLOWS["release"]["jobs"]["verify"]["steps"] if step["name"] == "Verify it")
    assert '--on="$BRANCH"' in verify["run"]
    assert "default_branch" in verify["env"]["BRANCH"]


def starts(event):
    """Names of the workflows that an event starts."""
    return {name for name, workflow in WORKFLOWS.items() if event in workflow["on"]}


@pytest.mark.parametrize("event", ["push", "pull_request", "merge_group"])
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
    first = clone.git("rev-parse", "main~1")
    remotes.ci(clone, "rollback", "--env=dev", f"--to={first}", "--why=slow", "--push")
    changed = remote.git("diff", "--name-only", "main~2", "main").split()
    ignored = WORKFLOWS["pull-request"]["on"]["push"]["paths-ignore"]

    assert len(changed) >= 1
    assert [path for path in changed if not any(fnmatch.fnmatch(path, each) for each in ignored)] == []
    assert not any(fnmatch.fnmatch("gitops/staging/sklearn-iris.yaml", each) for each in ignored)


(DOCUMENTED,) = re.findall(
    r"^## In a repository of your own\n.*?^```yaml\n(.*?)^```$",
    (ROOT / "docs/ci.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
"""The workflow for a repository of somebody else's."""


@pytest.fixture
def documented(tmp_path):
    """A repository with that workflow, and with a commit in place of the word that stands for one."""
    file = tmp_path / ".github/workflows/prove.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(DOCUMENTED.replace("ref: COMMIT", f"ref: {'a' * 40}"))
    return tmp_path


def test_the_documented_workflow_keeps_the_rules_of_this_projects_own():
    (job,) = yaml.load(DOCUMENTED, yaml.BaseLoader)["jobs"].values()
    lines = [line.strip() for line in DOCUMENTED.splitlines() if "uses:" in line]
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    assert [step for step in job["steps"] if "${{" in step.get("run", "")] == []
    own = {line.strip() for file in FILES for line in file.read_text().splitlines() if "uses:" in line}
    assert set(lines) <= own, "at the same commits"


def test_the_documented_workflow_calls_the_tool_as_it_is(tmp_path):
    (job,) = yaml.load(DOCUMENTED, yaml.BaseLoader)["jobs"].values()
    calls = [step["run"] for step in job["steps"] if "ci/main.py" in step.get("run", "")]
    for call in calls:
        words = call.removeprefix("exec python tool/ci/main.py ").split()
        assert len(words) < len(call.split()), "the shell becomes the tool"
        project = ["--project", str(tmp_path)] if words[0] == "--project" else []
        cli.run(*project, *words[2 if project else 0 :], "--help", cwd=ROOT, check=True)
    assert ["test" in call for call in calls] == [True, False]


@pytest.mark.parametrize("where", ["own", "documented"])
def test_zizmor_finds_nothing_even_when_asked_for_everything(where, documented):
    zizmor = Path(sys.executable).parent / "zizmor"
    result = subprocess.run(
        [zizmor, "--offline", "--no-progress", "--persona=auditor", "--format=json", ".github"],
        cwd={"own": ROOT, "documented": documented}[where],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert style.zizmor_findings(Output(result.returncode, result.stdout, result.stderr)) == []


def test_actionlint_finds_nothing(tool, documented):
    names = [str(file.relative_to(ROOT)) for file in FILES if file.name != "action.yaml"]
    names.append(str(documented / ".github/workflows/prove.yaml"))
    result = subprocess.run(
        [tool("actionlint"), "-shellcheck=", "-pyflakes=", "-format={{json .}}", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert style.actionlint_findings(Output(result.returncode, result.stdout, result.stderr)) == []
