"""How surely a step's measurements tell a bad version from a good one, by the requests that they see.

A measurement over n requests fails from some number k of bad ones on; both are binomial, so its chances are exact. The
measurements of a step overlap, and more than `failureLimit` of them must fail, so their joint chance is bounded, from
the safe side: failures that share requests occur together more often than by their product (Harris' inequality), those
that share none are independent, and f + 1 failures or more have at most E / (f + 1) as their chance (Markov's).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from scipy import special

from ci.base import duration
from ci.canary.assessment import Chance, is_weak
from ci.canary.declared import Declared
from ci.canary.plan import Metric, Plan
from ci.canary.replay import measure

P95_SLOW = 0.05
"""More requests than this beyond a latency, and its 95th percentile is beyond it."""
WEIGHTS = range(5, 105, 5)
LONGEST_SECONDS = 4 * 3600.0
EXACT = 1e-6
"""Less than one request makes in any window."""


@dataclass(frozen=True)
class _Measurement:
    """One look.

    Attributes:
        start: The second that its window begins.
        end: When it is taken.
        requests: The canary's within the window.
    """

    start: float
    end: float
    requests: int


def chances(plan: Plan, declared: Declared) -> list[Chance]:
    """Return what the background analysis can tell, for each of its metrics and each step that it looks at.

    Args:
        plan: The canary.
        declared: Traffic, what is healthy, and the regression.
    """
    return [
        chance
        for metric in plan.background
        if metric.name in _JUDGES
        for step in _judged(plan)
        for chance in [_chance(plan, metric, step, declared)]
    ]


def sufficient(plan: Plan, weak: Chance, declared: Declared) -> str:
    """Return which weight, or else which duration, of a weak step would do, in words.

    Args:
        plan: The canary.
        weak: The step's chance.
        declared: What is asked for.
    """
    metric = next(metric for metric in plan.background if metric.name == weak.metric)
    number = plan.position(weak.step)

    def strong(changed: Plan) -> bool:
        return not is_weak(_chance(changed, metric, weak.step, declared), declared)

    ways = []
    for weight in WEIGHTS:
        if weight > weak.weight and strong(_with(plan, number, weight=weight)):
            ways.append(f"a weight of {weight} %")
            break
    pause = plan.steps[number + 1].pause or 0.0
    while pause < LONGEST_SECONDS:
        pause *= 1.5
        if strong(_with(plan, number + 1, pause=pause)):
            ways.append(f"a pause of {math.ceil(pause / 60)}m")
            break
    return " or ".join(ways) or "a longer canary.analysis.window, or more traffic"


def _with(plan: Plan, number: int, **changes: float) -> Plan:
    steps = [replace(step, **changes) if index == number else step for index, step in enumerate(plan.steps)]  # type: ignore[arg-type]
    return replace(plan, steps=steps)


def _judged(plan: Plan) -> Iterator[int]:
    """Yield the steps, counted from 1, during which the background analysis measures."""
    for index, step in enumerate(plan.steps):
        if step.pause is not None and index >= plan.starting_step:
            yield plan.index(index)


def _chance(plan: Plan, metric: Metric, step: int, declared: Declared) -> Chance:
    looks = _looks(plan, metric, step, declared.requests(plan.environment))
    weight = plan.weights()[step - 1][1]
    bad, good = _JUDGES[metric.name](metric, declared)
    failing = sum(good(look.requests) for look in looks)
    false_abort = min(1.0, failing / (metric.failure_limit + 1))
    catch = None if bad is None else _caught(looks, metric.failure_limit, bad)
    return Chance(plan.environment, metric.name, step, weight, looks[-1].requests if looks else 0, catch, false_abort)


def _caught(looks: Sequence[_Measurement], limit: int, fails: Callable[[int], float]) -> float:
    """Return the least probability that more than `limit` looks fail: runs that share no request are independent."""
    missed, number, free = 1.0, 0, -math.inf
    while number + limit < len(looks):
        run = looks[number : number + limit + 1]
        if run[0].start < free:
            number += 1
            continue
        missed *= 1 - math.prod(fails(look.requests) for look in run)
        free = run[-1].end
        number += limit + 1
    return 1 - missed


def _looks(plan: Plan, metric: Metric, step: int, requests: float) -> list[_Measurement]:
    """Return the measurements that are taken while a step is in force."""
    weights = plan.weights()
    begin = weights[step - 1][0]
    number = plan.position(step)
    end = begin + sum(each.pause or 0.0 for each in plan.steps[number : number + 2])
    window = duration.seconds(_window(metric))
    started = sum(each.pause or 0.0 for each in plan.steps[: plan.starting_step])
    found, second = [], started + metric.initial_delay
    while second <= end:
        if second > begin:
            # what came since the last scrape is not yet there, on average half of a scrape at either end
            start, last = max(0.0, second - window + plan.scrape_seconds / 2), second - plan.scrape_seconds / 2
            found.append(_Measurement(start, second, int(requests * _share(weights, start, last))))
        second += metric.interval or math.inf
    return found


def _share(weights: Sequence[tuple[float, int]], start: float, end: float) -> float:
    """Return the canary's share of the requests times seconds, between two seconds."""
    total = 0.0
    for (begin, percent), (finish, _) in zip(weights, [*weights[1:], (math.inf, 0)], strict=True):
        total += max(0.0, min(end, finish) - max(start, begin)) * percent / 100
    return total


def _window(metric: Metric) -> str:
    """Return the range of the rates in a metric's query."""
    return metric.query.rpartition("[")[2].partition("]")[0]


Fails = Callable[[int], float]
"""Probability that a measurement over so many requests fails."""


def _errors(metric: Metric, declared: Declared) -> tuple[Fails | None, Fails]:
    tolerated = _edge(lambda share: measure(metric, 0, lambda *_: [1 - share]) != "Failed", 1.0)
    return _binomial(tolerated, declared.regression.errors), _binomial(tolerated, declared.healthy.errors)


def _slow(metric: Metric, declared: Declared) -> tuple[Fails | None, Fails]:
    return _binomial(P95_SLOW, declared.regression.slow), _binomial(P95_SLOW, declared.healthy.slow)


def _few(metric: Metric, declared: Declared) -> tuple[Fails | None, Fails]:
    few = _edge(lambda number: measure(metric, 0, lambda *_: [number]) == "Failed", 1e9)
    return None, lambda requests: float(special.pdtr(math.ceil(few - EXACT) - 1, requests)) if few >= 1 else 0.0


def _binomial(tolerated: float, share: float) -> Fails:
    """Return the chance that more than a tolerated share of the requests is bad."""
    return lambda requests: (
        float(special.bdtrc(math.floor(tolerated * requests + EXACT), requests, share)) if requests else 0.0
    )


def _edge(holds: Callable[[float], bool], most: float) -> float:
    """Return the greatest number up to which a condition holds, from 0 on: asked of the metric, not read from it."""
    low, high = 0.0, most
    if not holds(low):
        return 0.0
    while high - low > EXACT * EXACT * most:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high


_JUDGES: dict[str, Callable[[Metric, Declared], tuple[Fails | None, Fails]]] = {
    "success-rate": _errors,
    "latency-p95": _slow,
    "requests": _few,
}
