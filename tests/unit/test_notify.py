"""Notifications, with a real webhook in a process of its own: they come, and they never hurt the run."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
import tenacity

from ci.base.paths import ROOT
from ci.report import notify
from tests.harness import cli, reports

PATH = "/services/T0001/B0002/sEcReT"
LONG = 60.0
"""Nothing takes as long, however busy the machine, but for what waits for a webhook that hangs."""


class Webhook:
    def __init__(self, process, record):
        self.url = f"http://127.0.0.1:{process.stdout.readline().strip()}{PATH}"
        self.record = record

    @property
    def requests(self):
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []

    @property
    def delivered(self):
        return [request["body"]["text"] for request in self.requests if request["status"] == "200"]


@pytest.fixture
def webhook(tmp_path):
    started = []

    def start(*statuses):
        record = tmp_path / "requests"
        argv = [sys.executable, str(ROOT / "tests/harness/webhook.py"), str(record), *statuses]
        started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return Webhook(started[-1], record)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("ML_SERVING_CI_WEBHOOK", "ML_SERVING_CI_WEBHOOK_FILE", "GITHUB_RUN_ID", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(notify, "TIMEOUTS", (LONG, LONG))
    monkeypatch.setattr(notify, "AT_END_SECONDS", LONG)
    return monkeypatch


@pytest.fixture
def absent():
    """The URL of a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}{PATH}"


def told(environment, url, *texts):
    """Tell, and return the seconds that the run was held up."""
    environment.setenv("ML_SERVING_CI_WEBHOOK", url)
    began = time.monotonic()
    with notify.telling() as tell:
        for text in texts:
            tell(text)
    return time.monotonic() - began


def test_a_message_is_slacks_json(environment, webhook):
    hook = webhook("200")
    told(environment, hook.url, "a <b> & *c*")
    (request,) = hook.requests
    assert (request["path"], request["type"]) == (PATH, "application/json")
    assert request["body"] == {"text": "a &lt;b&gt; &amp; *c*"}


def test_a_webhook_that_fails_twice_gets_the_message_and_those_after_it_in_order(environment, webhook, capsys):
    hook = webhook("500", "500", "200")
    told(environment, hook.url, "first", "second")
    assert [request["status"] for request in hook.requests] == ["500", "500", "200", "200"]
    assert hook.delivered == ["first", "second"]
    assert capsys.readouterr().err == ""


def test_a_webhook_that_hangs_holds_nothing_up(environment, webhook, capsys):
    environment.setattr(notify, "TIMEOUTS", (LONG, 2 * LONG))
    environment.setattr(notify, "AT_END_SECONDS", 2.0)
    assert told(environment, webhook("hang").url, "first", "second") < LONG
    assert "notification not delivered in time" in capsys.readouterr().err


def test_a_webhook_that_hangs_does_not_keep_the_process_from_its_end(environment, webhook):
    never = f"notify.TIMEOUTS = ({LONG}, {2 * LONG})"
    code = f"from ci.report import notify\n{never}\nwith notify.telling() as tell:\n    tell('x')\n"
    variables = {"ML_SERVING_CI_WEBHOOK": webhook("hang").url}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **variables}, timeout=LONG, check=True)


def test_a_webhook_that_is_not_there_holds_nothing_up(environment, absent, capsys):
    environment.setattr(notify._send.retry, "wait", tenacity.wait_fixed(2 * LONG))
    environment.setattr(notify, "AT_END_SECONDS", 2.0)
    assert told(environment, absent, "x") < LONG
    assert "notification not delivered" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "tries"), [("404", 1), ("302", 1), ("429", notify.TRIES), ("503", notify.TRIES)])
def test_only_what_may_pass_is_tried_again_and_no_redirect_is_followed(environment, webhook, capsys, status, tries):
    hook = webhook(status)
    told(environment, hook.url, "x")
    assert [request["path"] for request in hook.requests] == [PATH] * tries
    assert f"notification not delivered: HTTP status {status}" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["sEcReT", "ftp://x/sEcReT", "http://[sEcReT", f"https://{'x' * 70}.y/sEcReT"])
def test_a_url_that_is_none_is_not_shown_either(environment, capsys, url):
    told(environment, url, "x")
    said = capsys.readouterr().err
    assert "notification not delivered" in said
    assert "sEcReT" not in said


def test_the_url_is_in_no_line_of_progress(environment, webhook, absent, capsys):
    for url in (absent, webhook("404").url):
        told(environment, url, "x")
    said = capsys.readouterr().err
    assert said.count("notification not delivered") == 2
    assert "sEcReT" not in said
    assert "/services" not in said


def test_the_url_may_be_in_a_file(environment, webhook, tmp_path):
    hook = webhook("200")
    (tmp_path / "url").write_text(f"{hook.url}\n")
    environment.setenv("ML_SERVING_CI_WEBHOOK_FILE", str(tmp_path / "url"))
    with notify.telling() as tell:
        tell("x")
    assert hook.delivered == ["x"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_fails_no_run(environment, tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    environment.setenv("ML_SERVING_CI_WEBHOOK_FILE", str(tmp_path / "url"))
    with notify.telling() as tell:
        tell("x")
    assert "no notifications: " in capsys.readouterr().err


def test_where_no_webhook_is_named_nobody_is_told(capsys):
    with notify.telling() as tell:
        tell("x")
    assert capsys.readouterr().err == ""


def test_the_message_at_the_end_says_how_and_why(environment):
    assert notify.ended(reports.passed()).splitlines() == [
        "ml-serving-ci",
        "✅ passed in 8 min 23 s",
        "python ci/main.py test --sample-env dev",
    ]
    report = reports.failed()
    assert notify.ended(report).splitlines()[1:] == [
        "❌ failed at canary after 2 min 52 s",
        report.command,
        report.failure.message,
        f"Fix: {report.failure.fix}",
    ]
    assert "❌ interrupted at stack after 29.0 s" in notify.ended(reports.interrupted())


def test_on_github_the_message_leads_to_the_run(environment):
    environment.setenv("GITHUB_SERVER_URL", "https://github.com")
    environment.setenv("GITHUB_REPOSITORY", "team/serving")
    environment.setenv("GITHUB_RUN_ID", "17")
    assert notify.started(reports.passed()).splitlines()[-1] == "https://github.com/team/serving/actions/runs/17"


@pytest.mark.usefixtures("project")
def test_a_run_tells_its_start_and_its_end_and_leaves_its_report(environment, webhook, tmp_path):
    """A real run that ends early: there is no Docker on its PATH, and it may install none."""
    hook = webhook("200")
    (tmp_path / "empty").mkdir()
    report = tmp_path / "report"
    variables = {
        "PATH": str(tmp_path / "empty"),
        "DOCKER_HOST": "",
        "ML_SERVING_CI_CACHE": str(tmp_path / "cache"),
        "ML_SERVING_CI_WEBHOOK": hook.url,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    words = ["test", "--no-install", "--supply=source", f"--report={report}"]
    ended = cli.run(*words, cwd=ROOT, env={**os.environ, **variables})
    assert ended.returncode == 3, ended.stderr
    start, end = hook.delivered
    assert "▶ started" in start
    assert "❌ failed at host and supply" in end
    assert json.loads((report / "report.json").read_text())["failure"]["where"] == "host and supply"
    assert "Failed at host and supply" in (report / "report.html").read_text()
    assert "Failed at host and supply" in (tmp_path / "summary.md").read_text()
    left = "".join(path.read_text() for path in report.iterdir()) + ended.stdout + ended.stderr
    assert "sEcReT" not in left
