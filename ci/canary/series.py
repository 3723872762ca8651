"""The series that pods would have been scraped with, sample by sample.

Requests come as a Poisson process, errors are binomial, latencies log-normal in the proxy's own buckets; a counter is
there from its first count on, and starts at 0 again with its pod, as the proxy's do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ci.canary.catalogue import Seconds, Shape
from ci.canary.declared import Healthy
from ci.canary.plan import Plan

WARM_SECONDS = 150
"""What is there before the canary: longer than the windows look back."""
BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Upper bounds of Envoy's latency buckets in milliseconds (its Histogram::DefaultBuckets)."""
SPREAD = 0.5
"""Standard deviation of the logarithm of a latency."""
Z95 = 1.6448536269514722
"""95 % of a normal distribution lie below so many standard deviations."""
REQUESTS = "inference_request_total"
BUCKETS = "inference_request_duration_milliseconds_bucket"
CODE = "response_code"
"""The label of requests that tells which failed."""

TAIL = 100
Counts = NDArray[np.int64]
Figures = NDArray[np.float64]


class Sample(NamedTuple):
    """One sample of one series.

    Attributes:
        name: Of the metric.
        labels: Of the series, as Prometheus writes them.
        second: When it was scraped.
        value: What it had counted.
    """

    name: str
    labels: str
    second: float
    value: float


def at(second: float) -> Seconds:
    """Return one second, for a course."""
    return np.asarray([second], dtype=np.float64)


def weight(plan: Plan, seconds: Seconds) -> Figures:
    """Return the canary's share of the requests at each second."""
    found = np.zeros(seconds.shape)
    for start, percent in plan.weights():
        found[seconds >= start] = percent / 100
    return found


def samples(
    plan: Plan, shape: Shape, healthy: Healthy, requests: float, seed: int, revisions: Mapping[str, str]
) -> Iterator[Sample]:
    """Yield what Prometheus would have.

    Args:
        plan: Gives weights, labels and the time between scrapes.
        shape: How the canary behaves.
        healthy: How the stable version does, and the canary but for its fault.
        requests: Requests per second of the whole service.
        seed: The same one gives the same samples.
        revisions: Pod-template hash of the "Stable" and of the "Latest" revision.
    """
    random = np.random.default_rng(seed)
    seconds = np.arange(-WARM_SECONDS, plan.seconds + 1, dtype=np.float64)
    all_requests = requests * shape.traffic(seconds)
    share = weight(plan, seconds)
    stable, canary = revisions["Stable"], revisions["Latest"]
    always = np.ones(seconds.shape)
    course = Course(all_requests * (1 - share), healthy.errors * always, healthy.p95 * always, 0 * always)
    yield from _pod(plan, random, seconds, (stable, 0), course, always)
    pods = shape.canary_pods(seconds)
    for pod in range(int(pods.max())):
        affected = shape.affected is None or pod < shape.affected
        fault = shape if affected else Shape("none", bad=False)
        errors = np.clip(healthy.errors + fault.errors(seconds), 0, 1)
        traffic = np.where(pod < pods, all_requests * share / pods, 0.0)
        scraped = shape.scraped(seconds) * (pod < pods) * (seconds >= 0)
        course = Course(traffic, errors, healthy.p95 * fault.slowness(seconds), fault.tail(seconds), fault.restarts)
        yield from _pod(plan, random, seconds, (canary, pod), course, scraped)


@dataclass(frozen=True)
class Course:
    """One pod, second by second.

    Attributes:
        requests: Expected number.
        errors: Share that ends in a 5xx.
        p95: Latency in seconds that 95 % stay within, the tail left out.
        tail: Share that takes `TAIL` times as long.
        restarts: When it starts again.
    """

    requests: Figures
    errors: Figures
    p95: Figures
    tail: Figures
    restarts: Sequence[float] = ()


def _pod(
    plan: Plan,
    random: np.random.Generator,
    seconds: Seconds,
    name: tuple[str, int],
    course: Course,
    scraped: Figures,
) -> Iterator[Sample]:
    requests = random.poisson(course.requests)
    failed = random.binomial(requests, course.errors)
    tail = course.tail[:, None]
    buckets = random.multinomial(requests, (1 - tail) * _shares(course.p95) + tail * _shares(TAIL * course.p95))
    restarts = np.isin(seconds, np.asarray(course.restarts))
    started = np.maximum.accumulate(np.where(restarts, np.arange(len(seconds)), 0))
    offset = random.uniform(0, plan.scrape_seconds)
    at = np.arange(seconds[0] + offset, seconds[-1], plan.scrape_seconds)
    index = np.floor(at - seconds[0]).astype(int)
    index = index[scraped[index] > 0]
    revision, number = name
    model = f'namespace="{plan.namespace}",service="{plan.service}",model="{plan.model}"'
    labels = f'{model},revision="{revision}",pod="{revision}-{number}"'

    def counted(counts: Counts) -> Counts:
        total = np.cumsum(counts)
        since: Counts = total - np.where(started > 0, total[started - 1], 0)
        scraped_counts: Counts = since[index]
        return scraped_counts

    series = [
        (REQUESTS, f'{labels},{CODE}="200"', counted(requests - failed)),
        (REQUESTS, f'{labels},{CODE}="503"', counted(failed)),
    ]
    cumulative = np.cumsum(buckets, axis=1)
    bounds = [*map(str, BOUNDS), "+Inf"]
    series += [
        (BUCKETS, f'{labels},le="{bound}"', counted(cumulative[:, number])) for number, bound in enumerate(bounds)
    ]
    seen = counted(requests) > 0
    for metric, text, values in series:
        there = seen if metric == BUCKETS else np.maximum.accumulate(values) > 0
        for second, value, present in zip(seconds[index], values, there, strict=True):
            if present:
                yield Sample(metric, text, float(second), int(value))


def _shares(p95: Figures) -> Figures:
    """Return the share of requests in each bucket, for a 95th percentile in seconds at each second."""
    median = np.log(p95 * 1000) - Z95 * SPREAD
    standard = (np.log(np.asarray(BOUNDS))[None, :] - median[:, None]) / SPREAD
    return np.diff(special.ndtr(standard), axis=1, prepend=0.0, append=1.0)
