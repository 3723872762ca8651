"""A canary step by step against its figures, by the rules of Argo Rollouts.

Written after analysis/analysis.go and utils/evaluate/evaluate.go of Argo Rollouts v1.10.2. What a background analysis
that ends Inconclusive does is as seen on a cluster: nothing; the next timed pause goes on to the next step.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from ci.canary import conditions
from ci.canary.assessment import Outcome
from ci.canary.conditions import EvaluationError, Kind
from ci.canary.plan import RETRY_SECONDS, Metric, Plan

Phase = Literal["Running", "Successful", "Inconclusive", "Error", "Failed"]
ORDER: Sequence[Phase] = ("Successful", "Running", "Inconclusive", "Error", "Failed")
"""From good to bad."""


class NoAnswerError(Exception):
    """The one that was asked does not answer."""


class UnknownError(Exception):
    """Nobody knows what would have been answered."""


Ask = Callable[[Metric, int], Any]
"""What a metric's provider answers at a second; raises `NoAnswerError` or `UnknownError`."""


def replay(plan: Plan, ask: Ask) -> Outcome:
    """Take a canary through its steps, a second at a time.

    Args:
        plan: The steps and what judges them.
        ask: Answers the metrics.
    """
    second = 0
    background: Analysis | None = None
    for number, step in enumerate(plan.steps):
        if background is None and plan.background and number >= plan.starting_step:
            background = Analysis(plan.background, second)
        inline = Analysis(step.metrics, second) if step.metrics else None
        until = second + (step.pause or 0.0)
        while True:
            if second >= until and (inline is None or inline.phase == "Successful"):
                break
            for analysis in filter(None, (background, inline)):
                try:
                    analysis.tick(second, ask)
                except UnknownError:
                    return Outcome("Unknown", second, plan.index(number))
                if analysis.phase in ("Failed", "Error"):
                    return Outcome("Degraded", second, plan.index(number), *analysis.verdict)
            if inline is not None and inline.phase == "Inconclusive":
                return Outcome("Paused", second, plan.index(number), *inline.verdict)
            if inline is None or inline.phase == "Running":
                second += 1
    return Outcome("Healthy", second, plan.index(len(plan.steps)))


@dataclass
class Counter:
    """What became of one metric's measurements."""

    metric: Metric
    due: float
    phase: Phase = "Running"
    why: str = ""
    count: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors_in_a_row: int = 0
    successes_in_a_row: int = 0

    def take(self, second: int, ask: Ask) -> None:
        """Measure once and assess."""
        measured = measure(self.metric, second, ask)
        self.errors_in_a_row = self.errors_in_a_row + 1 if measured == "Error" else 0
        self.successes_in_a_row = self.successes_in_a_row + 1 if measured == "Successful" else 0
        self.count += measured != "Error"
        self.failed += measured == "Failed"
        self.inconclusive += measured == "Inconclusive"
        self.due = second + (RETRY_SECONDS if measured == "Error" else self.metric.interval or math.inf)
        self.phase, self.why = self._assessed()

    def _assessed(self) -> tuple[Phase, str]:
        metric = self.metric
        if self.errors_in_a_row > metric.error_limit:
            return "Error", f"consecutiveErrors ({self.errors_in_a_row}) > consecutiveErrorLimit ({metric.error_limit})"
        if self.inconclusive > metric.inconclusive_limit:
            return (
                "Inconclusive",
                f"inconclusive ({self.inconclusive}) > inconclusiveLimit ({metric.inconclusive_limit})",
            )
        if self.failed > metric.failure_limit:
            return "Failed", f"failed ({self.failed}) > failureLimit ({metric.failure_limit})"
        if 0 < metric.success_limit <= self.successes_in_a_row:
            return "Successful", ""
        if metric.count is not None and self.count >= metric.count:
            if metric.success_limit:
                return "Inconclusive", f"consecutiveSuccessLimit ({metric.success_limit}) not reached"
            return "Successful", ""
        return "Running", ""


class Analysis:
    """An AnalysisRun.

    Args:
        metrics: What it measures.
        started: The second it starts at.
    """

    def __init__(self, metrics: Sequence[Metric], started: int) -> None:
        self.counters = [Counter(metric, started + metric.initial_delay) for metric in metrics]

    def tick(self, second: int, ask: Ask) -> None:
        """Take the measurements that are due; none once a metric has decided the run."""
        if self.phase != "Running":
            return
        for counter in self.counters:
            if counter.phase == "Running" and counter.due <= second:
                counter.take(second, ask)

    @property
    def _worst(self) -> Counter:
        return max(self.counters, key=lambda counter: ORDER.index(counter.phase))

    @property
    def phase(self) -> Phase:
        """The worst phase of its metrics: one that decides ends the others."""
        return self._worst.phase

    @property
    def verdict(self) -> tuple[str, str]:
        """Which metric decided, and why."""
        return self._worst.metric.name, self._worst.why


def measure(metric: Metric, second: int, ask: Ask) -> Phase:
    """Return the phase of one measurement.

    Raises:
        RefusedError: The gates cannot evaluate a condition as Argo Rollouts does.
    """
    try:
        result = ask(metric, second)
        kind = _kind(metric, result)
        result = tuple(result) if isinstance(result, list) else result
        written = repr(result)
        good = _holds(metric.success, result, kind, written) if metric.success else None
        bad = _holds(metric.failure, result, kind, written) if metric.failure else None
    except (NoAnswerError, EvaluationError):
        return "Error"
    if good is None and bad is None:
        return "Successful"
    if bad if bad is not None else not good:
        return "Failed"
    return "Successful" if good or good is None else "Inconclusive"


def _kind(metric: Metric, result: Any) -> Kind:
    """Return what an answer is to Argo Rollouts: of Prometheus a vector or a scalar, of anyone else JSON."""
    if isinstance(result, list | tuple):
        return Kind.NUMBERS if metric.query else Kind.VALUES
    if isinstance(result, bool):
        return Kind.TRUTH
    return Kind.TEXT if isinstance(result, str) else Kind.NUMBER


@lru_cache(maxsize=10_000, typed=True)
def _holds(condition: str, result: Any, kind: Kind, written: str) -> bool:
    """Tell whether a condition holds; `written` tells -0.0 from 0.0, which are equal and divide otherwise."""
    return conditions.holds(condition, result, kind)
