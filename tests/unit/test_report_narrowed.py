"""A run that left stages out says so at its end, in every form of the report, however it ended."""

import io
from dataclasses import replace
from html import unescape

import html5lib
import pytest
from rich.console import Console

from ci.report import html, notify, summary, terminal
from ci.report.words import narrowed
from ci.stages.order import ORDER, chosen, left_out
from tests.harness import reports

LINE = "narrowed: this run proves nothing for promote; left out: gitops, bad-releases"


def printed(report):
    console = Console(file=io.StringIO(), width=200)
    console.print(terminal.render(report))
    return console.file.getvalue()


def page(report):
    root = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.render(report))
    return " ".join("".join(root.find(".//*[@id='outcome']").itertext()).split())


@pytest.mark.parametrize("outcome", ["passed", "failed", "interrupted"])
def test_every_form_says_what_was_left_out(outcome):
    whole = replace(reports.passed(), outcome=outcome)
    report = replace(whole, left_out=["gitops", "bad-releases"])
    assert printed(report).splitlines()[-1] == LINE
    assert LINE.capitalize() in page(report)
    assert LINE.capitalize() in unescape(summary.render(report))
    if outcome == "passed":
        assert ", narrowed" in notify.ended(report)
    for shown in (printed(whole), page(whole), summary.render(whole), notify.ended(whole)):
        assert "arrowed" not in shown


def test_every_form_says_why_a_whole_run_on_an_existing_cluster_proves_nothing():
    why = 'ml-serving-ci.toml does not count this cluster; its line under [cluster.evidence]: "EU" = "5f0f7a0e"'
    report = replace(reports.passed(), unproven=why)
    line = f"this run proves nothing for promote: {why}"
    assert printed(report).splitlines()[-1] == line
    assert f"T{line[1:]}" in page(report)
    assert "does not count this cluster" in unescape(summary.render(report))


@pytest.mark.parametrize(
    ("only", "skip", "existing", "missing"),
    [
        ([], [], False, []),
        ([], ["uninstall"], False, ["uninstall"]),
        ([stage.name for stage in ORDER], [], False, []),
        ([], [], True, ["gitops", "bad-releases"]),
        ([stage.name for stage in ORDER if stage.name != "lint"], [], False, ["lint"]),
    ],
    ids=["whole", "--skip", "--only with all", "--kubeconfig", "--only but one"],
)
def test_a_run_is_narrowed_by_what_it_leaves_out_and_not_by_its_options(only, skip, existing, missing):
    left = left_out(chosen(only, skip, existing=existing))
    assert left == missing
    assert bool(narrowed(replace(reports.passed(), left_out=left))) == bool(missing)
