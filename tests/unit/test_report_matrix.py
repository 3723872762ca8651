"""What the person at the terminal reads of the gates."""

import io

from rich.console import Console

from ci.canary.assessment import Assessment, Chance, Outcome, Verdict
from ci.canary.declared import Accepted
from ci.report import matrix
from ci.results import Finding
from tests.harness.gates import DECLARED

STOPPED = Outcome("Degraded", 15, 1, "success-rate", "failed (2) > failureLimit (1)")
THROUGH = Outcome("Healthy", 120, 2)
HELD = Outcome("Paused", 130, 2, "latency-p95", "inconclusive (3) > inconclusiveLimit (2)")


def printed(verdicts=(), chances=(), findings=(), accepted=()):
    declared = DECLARED.model_copy(update={"accepted": list(accepted)})
    out = io.StringIO()
    Console(file=out, width=140, highlight=False).print(
        matrix.render(Assessment(verdicts, chances, declared, findings))
    )
    return out.getvalue()


def line(text, start):
    return next(row for row in text.splitlines() if row.startswith(start))


def test_a_fault_that_is_stopped_says_when_and_by_what():
    text = printed([Verdict("dev", "5xx 50 %", True, [STOPPED])])

    assert "dev: 1 of 1 faults are stopped, 0 of 0 healthy versions go through" in " ".join(text.split())
    assert line(text, "✓  5xx 50 %").split() == ["✓", "5xx", "50", "%", "aborted", "1", "15", "success-rate"]


def test_a_canary_that_waits_for_a_person_counts_as_stopped():
    assert "held for a person" in line(printed([Verdict("dev", "NaN", True, [HELD])]), "✓  NaN")


def test_an_escape_and_a_false_alarm_are_marked_and_counted():
    verdicts = [
        Verdict("dev", "wrong answers", True, [STOPPED, THROUGH, THROUGH]),
        Verdict("dev", "noise", False, [THROUGH, STOPPED, THROUGH]),
    ]

    text = printed(verdicts)

    assert "0 of 1 faults are stopped, 0 of 1 healthy versions go through" in " ".join(text.split())
    assert "goes through (2 of 3)" in line(text, "✗  wrong answers")
    assert "aborted (1 of 3)" in line(text, "✗  noise")


def test_what_is_accepted_shows_its_reason_instead():
    reason = "the model has no known answer"
    accepted = [Accepted(what="wrong answers", environments=["dev"], reason=reason)]

    text = printed([Verdict("dev", "wrong answers", True, [THROUGH])], accepted=accepted)

    assert f"accepted: {reason}" in line(text, "!  wrong answers")


def test_chances_are_rounded_to_the_safe_side():
    text = printed(
        [Verdict("dev", "noise", False, [THROUGH])],
        [Chance("dev", "success-rate", 1, 20, 60, 0.99999, 0.00001), Chance("dev", "requests", 1, 20, 60, None, 0.5)],
    )

    assert "≥ 99.99%" in line(text, "✓     1    20 %  success-rate")
    assert "≤ 0.01%" in line(text, "✓     1    20 %  success-rate")
    assert "≤ 50.00%" in line(text, "✗     1    20 %  requests")


def test_targets_that_are_alike_share_a_table_and_one_that_is_not_has_its_own():
    names = [f"lab/model-{number}" for number in range(20)]
    late = Outcome("Degraded", 90, 2, "latency-p95", "failed")
    verdicts = [Verdict(name, "5xx 50 %", True, [late if name == names[7] else STOPPED]) for name in names]
    chances = [Chance(name, "success-rate", 1, 20, 60, 0.99, 0.001) for name in names]

    text = printed(verdicts, chances)

    assert text.count("faults are stopped") == text.count("what each step can see") == 2
    said = " ".join(text.split())
    assert "lab/model-0, lab/model-1, lab/model-2, lab/model-3, lab/model-4, and 14 more: 1 of 1 faults" in said
    assert "lab/model-7: 1 of 1 faults" in said


def test_what_is_lived_with_in_one_of_two_does_not_hide_what_is_wrong_in_the_other():
    verdicts = [Verdict(name, "noise", False, [THROUGH]) for name in ("dev", "live")]
    chances = [Chance(name, "requests", 1, 20, 60, None, 0.5) for name in ("dev", "live")]
    weak = Accepted(what="power: requests at 20 %", environments=["dev"], reason="known to everybody")

    text = printed(verdicts, chances, accepted=[weak])

    assert [line(part, ("!", "✗"))[0] for part in text.split("what each step")[1:]] == ["!", "✗"]


def test_rows_say_from_when_to_when_a_shape_ended():
    ends = [("dev", 15), ("live", 90), ("far", 40)]
    verdicts = [Verdict(name, "NaN", True, [Outcome("Paused", second, 1, "requests")]) for name, second in ends]

    (row,) = matrix.rows(Assessment(verdicts, (), DECLARED, ()).gates, bad=True)

    assert (row.seconds, row.where) == ("15 to 90 s", "")


def test_findings_come_last():
    text = printed(findings=[Finding("gates", "values.yaml", 3, "the fault 'x' escapes", "mend it")])

    assert text.rstrip().endswith("1 error, 0 warnings")
    assert "values.yaml:3 the fault 'x' escapes" in text
