"""No text from outside breaks a form of the report: each is read back by a parser of its own."""

import dataclasses
import io
import json
import re
import unicodedata
import xml.etree.ElementTree as ET

import html5lib
import pytest
from hypothesis import HealthCheck, example, given, settings
from markdown_it import MarkdownIt
from rich.console import Console

from ci.base import jsonfile, process, text
from ci.report import html, junit, notify, summary, terminal
from ci.results import Report, Stage
from tests.harness import reports
from tests.harness.hostile import PIECES, TEXTS

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
EVERYTHING = "".join(PIECES)
ALLOWED = {"DOCUMENT_FRAGMENT", "h2", "p", "strong", "ul", "li", "details", "summary", "sub", "hr"} | {
    *("table", "thead", "tbody", "tr", "th", "td", "h3", "code", "pre")
}
examined = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def hostile(words):
    """A report without charts, which take long to draw and hold none of its texts."""
    return dataclasses.replace(reports.hostile(words), canaries=[])


def characters(shown):
    return {char for char in shown if unicodedata.category(char) in text.CONTROLLING} - {"\n", "\t"}


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_a_text_is_made_inert_once_and_nothing_visible_is_lost(words):
    shown = text.legal(words)
    assert text.legal(shown) == shown
    assert not characters(shown)
    shown.encode()
    plain = text.SEQUENCES.sub("", words)
    kept = [char for char in plain if unicodedata.category(char)[0] in "LNPSM"]
    rest = iter(shown)
    assert all(char in rest for char in kept)


def test_a_byte_that_is_no_utf_8_is_shown_as_the_byte():
    assert text.legal(b"caf\xe9.yaml".decode(errors="surrogateescape")) == r"caf\xe9.yaml"


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_junit_is_well_formed_and_every_failure_has_a_text(words, tmp_path):
    path = tmp_path / "junit.xml"
    junit.write(path, hostile(words))
    root = ET.fromstring(path.read_bytes().decode())
    failures = list(root.iter("failure"))
    assert int(root.get("failures")) == len(failures) >= 1
    assert all(failure.text.strip() for failure in failures)
    assert len(ET.tostring(root)) < 100 * (len(words) + 1000)


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_json_is_read_by_another_parser_and_by_this_tool(words, tmp_path):
    path = tmp_path / "report.json"
    report = hostile(words)
    jsonfile.write(path, report)
    found = json.loads(path.read_bytes().decode())
    json.dumps(found, ensure_ascii=False).encode()
    jsonfile.read(path, Report)
    if not re.search("[\ud800-\udfff]", words):
        assert found["failure"]["message"] == words
        assert jsonfile.read(path, Report) == report


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_the_page_is_html_without_errors(words):
    page = html.render(hostile(words))
    page.encode()
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert not [element for element in root.iter() if str(element.tag).endswith("script")]
    assert not characters("".join(root.itertext()))


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_the_summary_is_tables_and_lists_and_nothing_else(words):
    shown = summary.render(hostile(words))
    assert len(shown.encode()) <= summary.MOST_BYTES
    root = html5lib.parseFragment(MARKDOWN.render(shown), namespaceHTMLElements=False)
    assert {element.tag for element in root.iter()} <= ALLOWED
    tables = {"stages": 2, "applications": 3, "slices": 2, "latency": 4, "right to wrong": 2, "findings": 2}
    assert [len(list(table.iter("tr"))) for table in root.iter("table")] == list(tables.values())
    assert not characters("".join(root.itertext()))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_the_terminal_shows_it_in_80_columns_of_any_encoding(words, encoding):
    process.register()
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=process.ERRORS)
    Console(file=out, width=80).print(terminal.render(hostile(words)))
    out.flush()
    shown = out.buffer.getvalue().decode(encoding)
    assert not characters(shown)
    if encoding != "utf-8":
        assert "x failed in 1.0 s" in shown


def test_the_names_of_canaries_break_neither_page_nor_terminal():
    report = reports.hostile(EVERYTHING)
    html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.render(report))
    out = io.StringIO()
    Console(file=out, width=80).print(terminal.render(report))
    assert not characters(out.getvalue())


@examined
@given(words=TEXTS)
@example(words=EVERYTHING)
def test_a_message_to_a_chat_is_json(words):
    said = notify.ended(hostile(words))
    json.dumps({"text": said}, ensure_ascii=False).encode()
    assert not characters(said)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"<testsuites><testsuite", b"\xff\xfe\x00", b"<a/>", b'<testsuite tests="x"/>'),
        b'<?xml version="1.0" encoding="x"?><testsuites/>',
    ],
)
def test_a_broken_file_of_pytests_is_a_failing_case_and_takes_nothing_away(tmp_path, content):
    (tmp_path / "pytest-canary.xml").write_bytes(content)
    report = Report("test", "now", "failed", stages=[Stage("canary", "failed", 1.0, "killed")])
    junit.write(tmp_path / "junit.xml", report, [tmp_path / "pytest-canary.xml"])
    root = ET.parse(tmp_path / "junit.xml").getroot()
    said = [failure.text for failure in root.iter("failure")]
    assert said[0] == "killed"
    assert int(root.get("failures")) == len(said)
    if content != b"<a/>":
        assert said[1].startswith("pytest-canary.xml of pytest cannot be read")


@pytest.mark.parametrize(
    ("name", "where", "why"),
    [
        ("without Docker", "host and supply", "no Docker daemon answers\napt-get install docker.io"),
        ("interrupted", "stack", "interrupted"),
    ],
)
def test_a_run_that_did_not_pass_has_a_failing_case_with_a_text(name, where, why):
    root = junit.build(reports.ALL[name]())
    (case,) = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert (case.get("name"), case.find("failure").text) == (where, why)
    assert root.get("failures") == "1"


def test_a_run_interrupted_before_its_first_stage_fails_too():
    root = junit.build(Report("test", "now", "interrupted", 0.4))
    assert [failure.text for failure in root.iter("failure")] == ["interrupted after 0.4 s"]


def test_whole_names_fit_into_80_columns():
    out = io.StringIO()
    Console(file=out, width=80).print(terminal.render(reports.passed()))
    shown = out.getvalue()
    assert "…" not in shown
    for each in reports.passed().behaviour.slices:
        assert each.name in shown
    assert max(map(len, shown.splitlines())) <= 80
