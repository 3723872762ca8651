"""The evidence of a commit is what the run on it left, as a process asks GitHub for it."""

import pytest

from ci.evidence import statement
from tests.harness import remote as remotes
from tests.harness.git_server import TOKEN, serving
from tests.workflows.github import LAST_ATTEMPT, GitHub

REPORT = {statement.EVIDENCE: b"evidence", "report.json": b"report", "pytest-canary.log": b"a log"}


@pytest.fixture
def hub(remote, clone):
    hub = GitHub(remote)
    with serving(hub) as hub.address:
        clone.git("remote", "set-url", "origin", f"http://{hub.address}/team/tree")
        yield hub


def fetch(clone, hub, out, *, token=TOKEN):
    env = {"GITHUB_TOKEN": token, "GITHUB_API_URL": f"http://{hub.address}/api/v3"}
    return remotes.ci(clone, "evidence", "fetch", "--commit=HEAD", f"--out={out}", check=False, env=env)


def test_what_a_release_needs_of_the_report_is_there_and_nothing_else(clone, hub, tmp_path):
    hub.reports["0" * 40] = {statement.EVIDENCE: b"another commit's"}
    hub.reports[clone.git("rev-parse", "HEAD")] = REPORT

    result = fetch(clone, hub, tmp_path / "out")

    assert result.returncode == 0, result.stderr
    found = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert found == {statement.EVIDENCE: b"evidence", "report.json": b"report"}


@pytest.mark.parametrize("number", [LAST_ATTEMPT - 1, LAST_ATTEMPT + 1], ids=["older", "newer"])
@pytest.mark.parametrize("expired", [False, True], ids=["there", "expired"])
def test_of_jobs_that_were_run_again_the_newest_report_counts(clone, hub, tmp_path, number, expired):
    hub.reports[clone.git("rev-parse", "HEAD")] = REPORT
    hub.attempts = [(number, expired, {statement.EVIDENCE: b"another attempt's"})]

    result = fetch(clone, hub, tmp_path / "out")

    assert result.returncode == 0, result.stderr
    wanted = b"another attempt's" if number > LAST_ATTEMPT and not expired else b"evidence"
    assert (tmp_path / "out" / statement.EVIDENCE).read_bytes() == wanted


@pytest.mark.parametrize(
    "event",
    ["pull_request", "merge_group", None],
    ids=["a pull request's run only", "a merge queue's run only", "no run"],
)
def test_a_commit_without_a_run_on_the_branch_has_no_evidence(clone, hub, tmp_path, event):
    if event:
        hub.reports[clone.git("rev-parse", "HEAD")] = REPORT
        hub.event = event

    result = fetch(clone, hub, tmp_path / "out")

    assert result.returncode == 1
    assert "has no green run of pull-request.yaml" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_report_without_evidence_is_refused(clone, hub, tmp_path):
    hub.reports[clone.git("rev-parse", "HEAD")] = {"report.json": b"report"}

    result = fetch(clone, hub, tmp_path / "out")

    assert result.returncode == 1
    assert "holds no evidence" in result.stderr


def test_a_token_that_may_not_is_told_which_permission(clone, hub, tmp_path):
    result = fetch(clone, hub, tmp_path / "out", token="another")

    assert result.returncode == 1
    assert "docs/release.md" in result.stderr
