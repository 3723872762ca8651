"""The lines that every view has of an application."""

from dataclasses import replace

from ci.report import applications
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
