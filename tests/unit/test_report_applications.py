"""The lines that every view has of an application."""

from dataclasses import replace

from rich.console import Console

from ci.report import applications, html, junit, summary, terminal
from tests.harness import reports


def test_where_a_change_starts_no_canary_the_comparison_is_told_and_no_canary_is_missed():
    rule = "the change replaces its pods without a canary: there is no Rollout with steps"
    asked = replace(reports.WINE, canary=None, back=False, rules=[rule], starts_canary=False)

    told = applications.told(asked, "")

    assert told[0] == applications.golden(reports.WINE)
    assert rule in told
    assert not [line for line in told if line.startswith(("canary", "back"))]


def test_a_canary_that_was_not_reached_is_missed():
    told = applications.told(replace(reports.WINE, canary=None, back=False), "")
    assert [line for line in told if line.startswith(("canary", "back"))] == [
        "canary: none was watched",
        "back to model 1.0, image v0.20.0: not reached",
    ]


def test_what_was_not_reached_behind_a_failure_is_in_every_view_and_proves_nothing():
    report = reports.application_failed()
    left = replace(reports.WINE, environment="live-us", canary=None, behaviour=None, suite=None, reached=False)
    report.applications.append(left)
    (passed, failed, skipped) = applications.ended(report)

    assert (passed[1], failed[1], skipped[1]) == ("", reports.WRONG, "")
    assert [applications.outcome(*each) for each in (passed, failed, skipped)] == ["passed", "failed", "skipped"]
    console = Console(width=200)
    with console.capture() as seen:
        console.print(terminal.application(*skipped))
    assert seen.get().startswith("- live-us/")
    assert applications.NOT_REACHED in seen.get()
    place = summary.escaped("live-us/wine")
    row = next(line for line in summary.render(report).splitlines() if line.startswith("|") and place in line)
    assert "➖" in row
    case = next(
        each for each in junit.build(report).iter("testcase") if each.get("classname") == "applications.live-us"
    )
    assert case.find("skipped") is not None
    assert applications.NOT_REACHED in html.render(report)
