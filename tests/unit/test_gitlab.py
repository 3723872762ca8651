"""The GitLab pipeline of docs/ci.md: its form, as far as it can be told without a GitLab, and each of its commands."""

import re
import shlex
import subprocess

import pytest
import typer
import yaml

from ci import main
from ci.base.paths import ROOT

(TEXT,) = re.findall(
    r"^## GitLab\n.*?^```yaml\n(.*?)^```$", (ROOT / "docs/ci.md").read_text(), re.DOTALL | re.MULTILINE
)
PIPELINE = yaml.safe_load(TEXT)
GLOBAL = {"workflow"}
TEMPLATE = PIPELINE[".test"]
JOBS = {name: TEMPLATE | job for name, job in PIPELINE.items() if name not in GLOBAL and not name.startswith(".")}
KEYWORDS = {
    *("after_script", "artifacts", "before_script", "extends", "interruptible", "needs", "resource_group", "rules"),
    *("script", "tags", "timeout", "variables"),
}
"""Those of https://docs.gitlab.com/ci/yaml/ that are used: GitLab refuses a file with a word that it does not know."""
TOOL = re.compile(r"(?:exec |\.venv/bin/)?python ci/main\.py (.+)")
CALLS = [
    (name, match[1])
    for name, job in JOBS.items()
    for line in [*job["script"], *job["after_script"]]
    if (match := TOOL.fullmatch(line))
]


@pytest.mark.parametrize(("name", "job"), JOBS.items())
def test_a_job_has_the_form_that_gitlab_wants(name, job):
    assert set(job) <= KEYWORDS
    assert job["extends"] == ".test"
    assert all(isinstance(line, str) for key in ("before_script", "script", "after_script") for line in job[key])
    assert job["artifacts"].keys() <= {"when", "paths", "expire_in", "reports"}
    assert set(job.get("needs", ())) <= set(JOBS)
    assert job["variables"]["GIT_DEPTH"] == "0"


def test_there_are_calls_of_the_tool():
    assert {call.split()[0] for _, call in CALLS} == {"lint", "test", "supply", "evidence", "promote", "cluster"}


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_every_command_is_one_of_the_tools(name, call):
    command = typer.main.get_command(main.app)
    words = shlex.split(call)
    context = command.make_context("ml-serving-ci", [], resilient_parsing=True)
    while hasattr(command, "resolve_command"):
        _, command, words = command.resolve_command(context, words)
        if hasattr(command, "resolve_command"):
            context = command.make_context(call, [], parent=context, resilient_parsing=True)
    command.make_context(call, words, parent=context)


@pytest.mark.parametrize(("name", "job"), JOBS.items())
def test_a_cancel_reaches_the_tool_and_what_is_left_is_removed(name, job):
    assert TOOL.fullmatch(job["script"][-1])
    assert [line.startswith("exec ") for line in job["script"]] == [*[False] * (len(job["script"]) - 1), True]
    assert job["after_script"] == [".venv/bin/python ci/main.py cluster clean"]
    assert job["artifacts"]["when"] == "always"


def test_a_cluster_is_removed_by_what_was_installed(tmp_path):
    """GitLab runs `before_script` and `script` in one shell, `after_script` in another."""
    *make, lock, install = TEMPLATE["before_script"]
    (clean,) = TEMPLATE["after_script"]
    assert lock == "pip install --quiet --require-hashes --requirement requirements.txt"
    assert install == "pip install --quiet --no-deps --no-build-isolation --editable ."

    script = "\n".join([*make, "command -v pip python"])
    found = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert found.split() == [f"{tmp_path}/.venv/bin/{program}" for program in ("pip", "python")]
    assert (tmp_path / clean.split()[0]).samefile(found.split()[1])


def test_a_newer_push_replaces_a_merge_requests_run_and_no_other():
    assert PIPELINE["workflow"]["auto_cancel"] == {"on_new_commit": "interruptible"}
    assert {name for name, job in JOBS.items() if job["interruptible"]} == {"merge-request", "proven"}
    assert JOBS["prod"]["resource_group"]
    for name, job in JOBS.items():
        (rule,) = job["rules"]
        assert ("merge_request_event" in rule["if"]) == (name in ("merge-request", "proven"))
