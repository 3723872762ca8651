"""Bad versions that must not go through, and good ones that must."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
"""Seconds since the canary got its first weight; below 0 before."""
Course = Callable[[Seconds], NDArray[np.float64]]
"""A figure at each of these seconds."""


def steady(value: float) -> Course:
    """Return a figure that is the same at every second."""
    return lambda seconds: np.full(seconds.shape, value)


def every(period: float, lasting: float, value: float, otherwise: float) -> Course:
    """Return a figure that has a value for some seconds of each period."""
    return lambda seconds: np.where(np.mod(seconds, period) < lasting, value, otherwise)


NEVER = steady(0)
ALWAYS = steady(1)
TWO = steady(2)
ALL_ERRORS = "5xx 100 %"
WRONG_ANSWERS = "wrong answers"


@dataclass(frozen=True)
class Shape:
    """How a version, its pods, its traffic and the way to its figures behave.

    Attributes:
        name: Short, for the matrix.
        bad: Whether it must be stopped.
        errors: Share of the canary's requests that end in a 5xx, added to what a healthy version has.
        slowness: Factor on the canary's latency.
        tail: Share of the canary's requests that take a hundred times as long.
        traffic: Factor on the requests of the whole service.
        canary_pods: How many there are at a second.
        affected: How many of them have the fault; all by default.
        restarts: Seconds at which the canary's pods start again, their counters at 0.
        scraped: 1 while Prometheus gets the canary's figures, 0 while it does not.
        answering: 1 while Prometheus answers, 0 while it does not.
        clock: Seconds by which the clock that asks is ahead of the one that scrapes.
        wrong: Whether the canary answers the known request wrongly.
    """

    name: str
    bad: bool
    errors: Course = NEVER
    slowness: Course = ALWAYS
    tail: Course = NEVER
    traffic: Course = ALWAYS
    canary_pods: Course = TWO
    affected: int | None = None
    restarts: Sequence[float] = ()
    scraped: Course = ALWAYS
    answering: Course = ALWAYS
    clock: float = 0.0
    wrong: bool = False


def faults(length: float) -> Sequence[Shape]:
    """Return the bad versions.

    Args:
        length: Seconds that a canary takes: what comes on slowly is there in full at its end.
    """
    return (
        Shape("5xx 1 %", True, errors=steady(0.01)),
        Shape("5xx 5 %", True, errors=steady(0.05)),
        Shape("5xx 50 %", True, errors=steady(0.5)),
        Shape(ALL_ERRORS, True, errors=ALWAYS),
        Shape("5xx later", True, errors=lambda seconds: np.where(seconds > length / 3, 0.2, 0.0)),
        Shape("p95 x2", True, slowness=steady(2)),
        Shape("p95 x10", True, slowness=steady(10)),
        Shape("p95 infinite", True, slowness=steady(1e9)),
        Shape("p99 only", True, tail=steady(0.03)),
        Shape("slow growth", True, slowness=lambda seconds: 16 ** np.clip(seconds / length, 0, 1)),
        Shape("crash loop", True, errors=every(30, 10, 1, 0)),
        Shape("one bad pod of 5", True, errors=steady(0.5), canary_pods=steady(5), affected=1),
        Shape(WRONG_ANSWERS, True, wrong=True),
        Shape("no data", True, scraped=NEVER),
        Shape("NaN", True, traffic=lambda seconds: np.where(seconds < -30, 1.0, 0.0)),
        Shape("too little traffic", True, errors=steady(0.5), traffic=steady(0.005)),
        Shape("half the traffic", True, errors=steady(0.05), traffic=steady(0.5)),
        Shape("Prometheus down", True, answering=lambda seconds: np.where(seconds < length / 3, 1.0, 0.0)),
        Shape("counter reset", True, errors=steady(0.1), restarts=range(20, 3600, 45)),
        Shape("scrape gap", True, errors=steady(0.1), scraped=every(60, 30, 0, 1)),
        Shape("clock skew", True, errors=steady(0.1), clock=20.0),
    )


def healthy(length: float) -> Sequence[Shape]:
    """Return the good versions.

    Args:
        length: Seconds that a canary takes.
    """
    middle = length / 2
    return (
        Shape("noise", False, slowness=lambda seconds: 1 + 0.15 * np.sin(seconds / 3)),
        Shape("daily wave", False, traffic=lambda seconds: 1.5 + 0.5 * np.sin(seconds / 600)),
        Shape("scale-up", False, canary_pods=lambda seconds: np.where(seconds < middle, 1, 4)),
        Shape("restart", False, restarts=(int(middle),)),
        Shape("low traffic", False, traffic=steady(0.6)),
        Shape("spike of good requests", False, traffic=lambda seconds: np.where(abs(seconds - middle) < 15, 8.0, 1.0)),
    )
