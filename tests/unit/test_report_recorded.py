"""What the person at the terminal reads of a recorded canary."""

import io

from rich.console import Console

from ci.canary.assessment import Outcome, Recorded, Share
from ci.report import recorded

NOTES = ["second 0 is 2026-11-26T05:40:12.000Z: given", "namespace shop stands for ml-serving"]
STOPPED = Outcome("Degraded", 15, 1, "success-rate", "failed (2) > failureLimit (1)")


def printed(*items):
    out = io.StringIO()
    Console(file=out, width=140, highlight=False).print(recorded.render(items))
    return out.getvalue()


def test_an_abort_says_at_which_step_and_second_by_which_metric_and_why():
    text = printed(Recorded("prod", STOPPED, NOTES, []))

    assert (
        "✗ prod: the recorded canary is aborted at 15 s, step 1, by success-rate: failed (2) > failureLimit (1)" in text
    )


def test_how_the_recording_was_read_is_said():
    text = printed(Recorded("prod", STOPPED, NOTES, []))

    assert all(note in text for note in NOTES)


def test_a_canary_that_goes_through_names_no_step():
    assert "✓ dev: the recorded canary goes through at 40 s\n" in printed(
        Recorded("dev", Outcome("Healthy", 40, 2), [], [])
    )


def test_what_is_not_known_is_neither_passed_nor_aborted():
    text = printed(Recorded("prod", Outcome("Unknown", 330, 2), [], []))

    assert "✗ prod: how the canary ends is not known: its figures end before it is measured at 330 s, step 2" in text


def test_each_steps_requests_are_shown_with_the_weight_that_is_rendered():
    shares = [Share(1, 20, 0, 20, 645.2, 147.1), Share(2, 50, 20, 40, 0, 0)]

    text = printed(Recorded("dev", Outcome("Healthy", 40, 2), [], shares))

    rows = [line.split() for line in text.splitlines()]
    assert ["1", "20", "%", "0", "to", "20", "645", "147", "22.8%"] in rows
    assert ["2", "50", "%", "20", "to", "40", "0", "0"] in rows
