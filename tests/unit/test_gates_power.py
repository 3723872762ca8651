"""The chances are what simulated canaries show, from the safe side."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ci.canary import power
from tests.harness.gates import DECLARED, metric, plan

DRAWS = 20_000


def declared(requests, errors=0.05, healthy=0.0002):
    return DECLARED.model_copy(
        update={
            "requests_per_second": {"dev": requests},
            "regression": DECLARED.regression.model_copy(update={"errors": errors}),
            "healthy": DECLARED.healthy.model_copy(update={"errors": healthy}),
        }
    )


def simulated(canary, metric, requests, errors):
    """Return how often more than the limit of a single step's measurements fail, second by second."""
    seconds = int(canary.length)
    weight = canary.weights()[0][1] / 100
    random = np.random.default_rng(1)
    arrived = np.full((DRAWS, seconds), int(requests * weight))
    failed = np.cumsum(random.binomial(arrived, errors), axis=1)
    arrived = np.cumsum(arrived, axis=1)
    scrape = int(canary.scrape_seconds / 2)
    failures = np.zeros(DRAWS)
    for second in np.arange(metric.initial_delay, seconds + 1, metric.interval).astype(int):
        last, first = second - scrape - 1, max(-1, second - 60 + scrape - 1)
        before = (failed[:, first], arrived[:, first]) if first >= 0 else (0, 0)
        bad, all_of_them = failed[:, last] - before[0], arrived[:, last] - before[1]
        failures += bad > 0.01 * all_of_them + 1e-9
    return np.mean(failures > metric.failure_limit)


@pytest.mark.parametrize("requests", [10, 20, 50, 200])
@pytest.mark.parametrize("errors", [0.02, 0.05])
@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_regression_is_caught_at_least_as_often_as_the_figure_says(requests, errors, limit):
    judge = metric(initial_delay=30, failure_limit=limit)
    canary = plan(judge, pauses=(120,), weights=(20,), scrape_seconds=4.0)

    (chance,) = power.chances(canary, declared(requests, errors))

    truth = simulated(canary, judge, requests, errors)
    assert chance.catch <= truth + 0.01
    assert chance.catch >= truth - 0.25 * max(1, limit), "a bound, but not an empty one"


@pytest.mark.parametrize("requests", [20, 50, 200])
@pytest.mark.parametrize("limit", [0, 1, 2])
def test_a_good_version_is_stopped_at_most_as_often_as_the_figure_says(requests, limit):
    judge = metric(initial_delay=30, failure_limit=limit)
    canary = plan(judge, pauses=(120,), weights=(20,), scrape_seconds=4.0)

    (chance,) = power.chances(canary, declared(requests, healthy=0.002))

    assert chance.false_abort >= simulated(canary, judge, requests, 0.002) - 0.005


def test_the_threshold_is_the_conditions_own():
    strict = metric(success="result[0] >= 0.999", failure="result[0] < 0.999", initial_delay=60)
    lax = metric(success="result[0] >= 0.9", failure="result[0] < 0.9", initial_delay=60)

    (sees, misses) = (
        power.chances(plan(each, pauses=(120,), weights=(20,)), declared(20))[0].catch for each in (strict, lax)
    )

    assert sees > 0.99
    assert misses < 0.1


def test_more_traffic_more_weight_and_more_time_never_see_less():
    def catch(requests=10, **changes):
        changes = {"pauses": (60,), "weights": (20,), **changes}
        return power.chances(plan(metric(initial_delay=30), **changes), declared(requests))[0].catch

    assert catch() < catch(requests=40)
    assert catch() < catch(weights=(60,))
    assert catch() < catch(pauses=(300,))


def test_what_is_called_sufficient_is():
    canary = plan(metric(initial_delay=30), pauses=(60,), weights=(20,))
    asked = declared(10)
    (weak,) = power.chances(canary, asked)
    assert power.is_weak(weak, asked)

    said = power.sufficient(canary, weak, asked)

    weight = int(re.search(r"a weight of (\d+) %", said)[1])
    (strong,) = power.chances(plan(metric(initial_delay=30), pauses=(60,), weights=(weight,)), asked)
    assert not power.is_weak(strong, asked)
    (almost,) = power.chances(plan(metric(initial_delay=30), pauses=(60,), weights=(weight - 5,)), asked)
    assert power.is_weak(almost, asked)


def test_a_step_nobody_judges_has_no_chance_to_tell():
    canary = plan(metric(), starting_step=3)

    assert [chance.step for chance in power.chances(canary, declared(20))] == [2]


def test_too_few_requests_for_the_minimum_stop_good_versions():
    few = metric("requests", success="len(result) > 0 && result[0] >= 100", failure="", initial_delay=30)
    canary = plan(few, pauses=(120,), weights=(20,))

    (starved,) = power.chances(canary, declared(2))
    (fed,) = power.chances(replace(canary), declared(200))

    assert starved.catch is None
    assert starved.false_abort == 1
    assert fed.false_abort < 1e-6
