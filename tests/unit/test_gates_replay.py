"""A canary ends as Argo Rollouts would end it."""

import math

import pytest

from ci.base.errors import CheckFailedError
from ci.canary import replay
from ci.canary.plan import Step
from ci.canary.replay import NoAnswerError, UnknownError
from tests.harness.gates import metric, plan


def ask_for(*values):
    """Answer with these values, one after the other and the last one for ever; an exception is raised."""
    given = iter(values)
    last = None

    def ask(_, second):
        nonlocal last
        last = next(given, last)
        if isinstance(last, Exception):
            raise last
        return last

    return ask


def ends(canary, *values):
    outcome = replay.replay(canary, ask_for(*values))
    return outcome.phase, outcome.second, outcome.metric


def test_good_figures_go_through_after_the_pauses():
    assert ends(plan(metric()), [1.0]) == ("Healthy", 120, "")


def test_one_failure_more_than_the_limit_aborts():
    assert ends(plan(metric(failure_limit=1)), [0.5]) == ("Degraded", 10, "success-rate")
    assert ends(plan(metric(failure_limit=0)), [0.5]) == ("Degraded", 0, "success-rate")
    assert ends(plan(metric(failure_limit=1)), [0.5], [1.0])[0] == "Healthy"


def test_failures_need_not_be_in_a_row():
    assert ends(plan(metric(failure_limit=1)), [0.5], [1.0], [1.0], [0.5]) == ("Degraded", 30, "success-rate")


def test_nothing_is_measured_before_the_initial_delay():
    assert ends(plan(metric(initial_delay=45, failure_limit=0)), [0.5])[1] == 45


def test_nothing_is_measured_before_the_starting_step():
    assert ends(plan(metric(failure_limit=0), starting_step=3), [0.5])[1] == 60


@pytest.mark.parametrize("result", [[], [math.nan]], ids=["empty", "NaN"])
def test_no_figure_is_neither_good_nor_bad_and_a_background_analysis_alone_lets_it_through(result):
    assert ends(plan(metric(inconclusive_limit=0)), result)[0] == "Healthy"


def test_what_is_divided_by_zero_has_the_sign_of_the_zero():
    divided = metric(success="1.0 / result[0] > 0.0", failure="")
    found = [replay.measure(divided, 0, lambda *_, value=each: [value]) for each in (0.0, -0.0)]
    assert found == ["Successful", "Failed"]


@pytest.mark.parametrize("result", [[], [math.nan]], ids=["empty", "NaN"])
def test_a_gate_without_figures_holds_the_canary(result):
    gate = metric(count=3, success_limit=1, inconclusive_limit=1)
    assert ends(plan(gate=(gate,)), result) == ("Paused", 130, "success-rate")


def test_a_gate_is_over_with_its_first_good_figures():
    gate = metric(count=3, success_limit=1, inconclusive_limit=3)
    assert ends(plan(gate=(gate,)), [], [], [1.0])[:2] == ("Healthy", 140)


def test_a_gate_that_is_over_takes_no_time():
    gate = metric(interval=None, count=1)
    steps = [part for _ in range(3) for part in (Step(weight=20), Step(pause=60), Step(metrics=(gate,)))]

    assert ends(plan(metric(), steps=steps), [1.0])[:2] == ("Healthy", 180)


def test_a_gate_with_bad_figures_aborts():
    gate = metric(count=3, success_limit=1, failure_limit=0)
    assert ends(plan(gate=(gate,)), [0.2]) == ("Degraded", 120, "success-rate")


def test_errors_in_a_row_abort_and_each_is_asked_again_after_ten_seconds():
    assert ends(plan(metric(interval=30)), NoAnswerError()) == ("Degraded", 20, "success-rate")


def test_one_answer_forgives_the_errors_before_it():
    error = NoAnswerError()
    assert ends(plan(metric()), error, error, [1.0], error, error, [1.0])[0] == "Healthy"


def test_where_an_answer_is_not_known_nothing_is_decided():
    assert ends(plan(metric(interval=30)), [1.0], [1.0], UnknownError()) == ("Unknown", 60, "")


def test_a_condition_that_breaks_on_the_result_is_an_error_as_with_argo_rollouts():
    assert ends(plan(metric(success="result[0] >= 0.99", failure="")), [])[0] == "Degraded"


def test_without_a_failure_condition_whatever_is_not_good_is_bad():
    few = metric(success="len(result) > 0 && result[0] >= 20", failure="", failure_limit=2)
    assert ends(plan(few), []) == ("Degraded", 20, "success-rate")
    assert ends(plan(few), [math.nan])[0] == "Degraded"


def test_the_worst_metric_is_the_one_that_is_named():
    held = metric("latency", inconclusive_limit=0, failure="false", success="false")
    assert ends(plan(held, metric(failure_limit=0)), [0.5]) == ("Degraded", 0, "success-rate")


def test_the_step_is_the_weight_that_was_in_force():
    outcome = replay.replay(plan(metric(failure_limit=0, initial_delay=90)), ask_for([0.5]))
    assert outcome.step == 2


@pytest.mark.parametrize(
    ("condition", "right", "wrong"),
    [
        ('result == "cat"', "cat", "dog"),
        ("result == true", True, False),
        ("result == 3.0", 3.0, 4.0),
        ("len(result) == 2 && result[1] >= 0.5", [0.0, 0.5], [0.0, 0.25]),
    ],
)
def test_a_result_need_not_be_a_list(condition, right, wrong):
    known = metric("known-answer", query="", success=condition, failure="", failure_limit=0, initial_delay=5)
    assert ends(plan(known), right)[0] == "Healthy"
    assert ends(plan(known), wrong) == ("Degraded", 5, "known-answer")


def test_a_condition_that_is_none_is_refused_by_its_text():
    with pytest.raises(CheckFailedError, match="result >>= 3"):
        replay.replay(plan(metric(success="result >>= 3")), ask_for([1.0]))
