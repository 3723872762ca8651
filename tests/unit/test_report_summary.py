"""The job summary, as Markdown's own rules read it."""

import io
import os
from dataclasses import replace

import html5lib
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from ci.base.errors import CheckFailedError
from ci.base.text import cut
from ci.report import html, summary, terminal
from ci.results import Effect, Finding, Stage
from tests.harness import reports

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def shown(report):
    return html5lib.parseFragment(MARKDOWN.render(summary.render(report)), namespaceHTMLElements=False)


def words(element):
    return " ".join("".join(element.itertext()).split())


def rows(table):
    return [[words(cell) for cell in row] for row in table.iter("tr")]


def test_a_failed_run_says_first_where_why_and_how_to_go_on():
    report = reports.failed()
    root = shown(report)
    first, why, fix, likely, *_ = root
    assert words(first) == "❌ Failed at canary after 2 min 52 s"
    assert (words(why), [child.tag for child in why]) == (report.failure.message, ["strong"])
    assert words(fix) == f"Fix: {report.failure.fix}"
    assert words(likely) == "Likely to blame:"
    assert report.culprits[0] in words(root)


def in_terminal(report):
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.render(report))
    return console.file.getvalue()


EFFECT = Effect("dev/wine_1", "wine_1", "canary")


@pytest.mark.parametrize(
    "view", [lambda report: words(shown(report)), html.render, in_terminal], ids=["summary", "page", "terminal"]
)
def test_every_view_says_what_the_change_does_to_pods(view):
    assert "wine_1 in dev/wine_1 starts a canary" in view(replace(reports.passed(), effects=[EFFECT]))
    assert "starts a canary" not in view(reports.passed())


def test_stages_applications_canaries_behaviour_gates_and_findings_follow():
    root = shown(reports.passed())
    stages, applications, canaries, slices, _, _, of_wine, _, _, findings = root.iter("table")
    assert rows(stages)[1] == ["✅", "lint", "2.2", ""]
    assert rows(applications)[1:] == [
        ["✅", "dev/wine", "Before: model 1.0, image v0.20.0", "1" * 12, "a" * 12],
        ["✅", "dev/wine", "Proven: model 2.0, image v0.20.0", "2" * 12, "a" * 12],
        ["✅", "live-eu/reviews", "Proven: image 7", "", "b" * 12],
    ]
    assert rows(of_wine)[1][0] == "all"
    told = [words(item) for item in root.iter("li")]
    assert "proven: image built here, not the published image" in told
    assert "changed for the cluster: exampleModel.replicas: 3 → 1 (throwaway.replicas)" in told
    assert "a first deploy has no champion, and no canary" in told
    assert [row[:5] for row in rows(canaries)][1:3] == [
        ["sklearn-iris to v2", "Healthy", "52.9 s", "1340", "0"],
        ["promoted by hand", "Healthy", "13.5 s", "480", "0"],
    ]
    assert rows(slices)[1][:2] == ["all", "146 of 150 (93.3 to 99.3 %)"]
    assert rows(findings)[1] == ["⚠️", "helm/charts/ml-serving/values.yaml:33", "too many blank lines", "remove one"]
    assert "dev, prod: 3 of 4 faults are stopped, 2 of 2 healthy versions go through" in words(root)


def test_the_set_of_an_application_that_failed_is_not_called_proven():
    _, applications, *_ = shown(reports.application_failed()).iter("table")
    assert [row[:3] for row in rows(applications)[2:]] == [
        ["✅", "dev/wine", "Proven: model 2.0, image v0.20.0"],
        ["❌", "live-eu/wine", "Before: model 1.0, image v0.20.0"],
        ["❌", "live-eu/wine", "Not proven: model 2.0, image v0.20.0"],
    ]


@pytest.mark.parametrize("name", reports.ALL)
def test_every_report_has_a_summary_with_whole_tables(name):
    report = reports.ALL[name]()
    root = shown(report)
    assert report.outcome.capitalize() in words(next(root.iter("h2")))
    for table in root.iter("table"):
        assert len({len(row) for row in rows(table)}) == 1


def test_text_from_outside_is_shown_as_it_is_and_never_taken_for_markup():
    report = replace(reports.hostile(), canaries=[])
    root = shown(report)
    tags = {element.tag for element in root.iter()}
    assert tags == {
        "DOCUMENT_FRAGMENT",
        *("h2", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"),
        *("details", "summary", "sub", "h3", "code", "pre"),
    }
    expected = " ".join(
        reports.HOSTILE.replace("\x1b[31m", "").replace("\x00", r"\x00").replace("\ud800", r"\ud800").split()
    )
    stages, applications, slices, _, changed, findings = root.iter("table")
    assert rows(applications)[1][1] == cut(f"{expected}/{expected}", summary.LONGEST)
    assert rows(slices)[1][0] == rows(changed)[1][0] == expected
    assert rows(stages)[1] == ["❌", expected, "1.0", expected]
    assert rows(findings)[1] == ["❌", f"{expected}:1", expected, expected]


def test_an_application_that_failed_is_marked():
    _, applications, *_ = shown(reports.application_failed()).iter("table")
    assert [row[:2] for row in rows(applications)[1:]] == [["✅", "dev/wine"]] * 2 + [["❌", "live-eu/wine"]] * 2


@pytest.mark.parametrize(
    "text", ["@team www.example.com https://example.com", "~~x~~ $a$ `b` **c** _d_ [e](f) #1", "| - + 1. a"]
)
def test_nothing_is_linked_struck_or_mentioned(text):
    escaped = summary.escaped(text)
    assert not set(escaped) & set(r"@`*_[]()|~$")
    assert "www." not in escaped
    assert words(html5lib.parseFragment(MARKDOWN.render(f"x {escaped}"), namespaceHTMLElements=False)) == f"x {text}"


def test_a_long_message_is_cut():
    assert len(summary.escaped("w" * 5000)) == summary.LONGEST


def test_what_does_not_fit_is_left_out_whole_and_that_is_said():
    report = reports.failed()
    whole = summary.render(report)
    fitting = summary.render(report, 1500)
    assert len(fitting.encode()) <= 1500 < len(whole.encode())
    shown, _, said = fitting.partition("*Left out")
    assert shown
    assert whole.startswith(shown)
    assert said.startswith(", for GitHub takes 1 MiB of a step: ")
    assert "model behaviour, gates, findings, command; report.html" in said
    assert summary.render(report, 10) == ""


def test_no_report_is_too_large_for_github():
    report = reports.findings(0)
    report.findings = [Finding("c", f"{'|' * 500}", index, "|" * 5000, "|" * 5000) for index in range(3000)]
    report.stages = [Stage("|" * 5000, "failed", 1.0, "|" * 5000) for _ in range(300)]
    assert len(summary.render(report).encode()) <= 1 << 20


def test_it_is_appended_where_github_asks_for_it(tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    file.write_text("of another command\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    summary.append(reports.passed())
    assert file.read_text() == "of another command\n" + summary.render(reports.passed())


def test_what_is_there_counts_towards_the_limit(tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    file.write_bytes(b"x" * ((1 << 20) - 1000))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    summary.append(reports.passed())
    assert (1 << 20) - 1000 < file.stat().st_size <= 1 << 20


def test_a_file_that_is_full_already_is_told(tmp_path, monkeypatch):
    file = tmp_path / "summary.md"
    file.write_bytes(b"x" * (1 << 20))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    with pytest.raises(CheckFailedError, match=f"{file} has 1048576 bytes already"):
        summary.append(reports.passed())
    assert file.stat().st_size == 1 << 20


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "pipe"))
    with pytest.raises(OSError, match="No such device or address"):
        summary.append(reports.passed())


def test_a_file_that_takes_nothing_is_named(monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        summary.append(reports.passed())


@pytest.mark.parametrize("value", [None, ""])
def test_elsewhere_nothing_is_written(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    if value is not None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", value)
    summary.append(reports.passed())
    assert list(tmp_path.iterdir()) == []
