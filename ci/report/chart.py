"""Charts of a canary as plain geometry, in percent of a panel from its upper left corner; the template draws them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ci.results import Bucket, CanaryTimeline

NEITHER = "neither"
"""Who answered where it was no pod of the two revisions."""
ROLES = ("stable", "canary", NEITHER)
TIME_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
MOST_STEPS = 6
LEAST_MILLISECONDS = 0.1
"""A logarithm needs a least value, and nothing answers faster."""
GAP_BUCKETS = 3
"""A line goes on over fewer buckets without an answer, as chance has it at a low weight."""


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A line through points, written as SVG has them."""

    style: str
    points: str


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    style: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """A moment, and what is said of it when it is pointed at."""

    x: float
    width: float
    words: str


@dataclass(frozen=True)
class Panel:
    """One figure over time.

    Attributes:
        title: What it shows, and its unit.
        ticks: Of the vertical axis.
        columns: Its figures in words.
        lines: Of them, "area" is filled, "median" dashed.
        bars: Filled rectangles.
        note: Said where there is nothing to draw.
        legend: Names of the lines, in order, where their styles do not say whose they are.
    """

    title: str
    ticks: Sequence[Tick]
    columns: Sequence[Column]
    lines: Sequence[Line] = ()
    bars: Sequence[Box] = ()
    note: str = ""
    legend: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """Panels over one axis of time.

    Attributes:
        roles: Who answered: "stable", "canary", "neither".
        ticks: Of the axis of time.
        changes: When the weight changed.
        panels: In order.
    """

    roles: Sequence[str]
    ticks: Sequence[Tick]
    changes: Sequence[float]
    panels: Sequence[Panel]


def canary(seen: CanaryTimeline) -> Chart:
    """Return a canary's charts: its weight, and by revision its requests, latencies and failures over time.

    Args:
        seen: What was observed.
    """
    view = _View(seen)
    return Chart(
        roles=list(view.by_role),
        ticks=[Tick(view.x(second), clock(second)) for second in time_steps(view.end)],
        changes=[view.x(change.at) for change in seen.weights[1:]],
        panels=[_weight(view), _requests(view), _latency(view), _failed(view)],
    )


class _View:
    """A canary's time line, by role, with its axis of time."""

    def __init__(self, seen: CanaryTimeline) -> None:
        self.seen = seen
        self.seconds = seen.bucket_seconds
        roles = [(seen.role(bucket.revision) or NEITHER, bucket) for bucket in seen.buckets]
        self.by_role = {role: own for role in ROLES if (own := [bucket for whose, bucket in roles if whose == role])}
        ends = [bucket.at + self.seconds for bucket in seen.buckets] + [change.at for change in seen.weights]
        self.end = max([*ends, 1.0])

    def x(self, seconds: float) -> float:
        return round(100 * seconds / self.end, 2)

    def columns(self, words: Callable[[Bucket], str]) -> list[Column]:
        """Say each moment's figures of all who answered in it."""
        said: dict[float, list[str]] = {}
        for role, own in self.by_role.items():
            for bucket in own:
                said.setdefault(bucket.at, []).append(f"{role} {words(bucket)}")
        width = self.x(self.seconds)
        return [Column(self.x(at), width, f"{clock(at)}: {', '.join(parts)}") for at, parts in sorted(said.items())]

    @property
    def note(self) -> str:
        return "" if self.seen.buckets else "not measured"


def _weight(view: _View) -> Panel:
    changes = view.seen.weights
    points: list[tuple[float, float]] = []
    columns: list[Column] = []
    for change, end in zip(changes, [*(change.at for change in changes), view.end][1:], strict=True):
        left, right, y = view.x(change.at), view.x(end), 100.0 - change.canary
        points += [(left, y), (right, y)]
        words = f"from {change.at:.1f} s: {change.stable} % stable, {change.canary} % canary"
        columns.append(Column(left, round(right - left, 2), words))
    lines = []
    if points:
        ground = [(points[0][0], 100.0), *points, (points[-1][0], 100.0)]
        lines = [Line("canary area", joined(ground)), Line("canary", joined(points))]
    ticks = [Tick(0, "100 %"), Tick(50, "50 %"), Tick(100, "0 %")]
    return Panel("Weight of the canary", ticks, columns, lines, note="" if points else "no weight was seen")


def _requests(view: _View) -> Panel:
    top = above(max((bucket.requests / view.seconds for bucket in view.seen.buckets), default=0))
    times = sorted({bucket.at for bucket in view.seen.buckets})
    lines = []
    for role, own in view.by_role.items():
        rates = {bucket.at: bucket.requests / view.seconds for bucket in own}
        points = [(view.x(at + view.seconds / 2), 100 * (1 - rates.get(at, 0) / top)) for at in times]
        lines.append(Line(role, joined(points)))
    columns = view.columns(lambda bucket: f"{bucket.requests / view.seconds:.3g}/s")
    return Panel("Requests per second", _halves(top), columns, lines, note=view.note)


def _latency(view: _View) -> Panel:
    figures = [figure for bucket in view.seen.buckets for figure in (bucket.p50_ms, bucket.p95_ms)] or [1.0]
    low = math.floor(math.log10(max(min(figures), LEAST_MILLISECONDS)))
    high = max(math.ceil(math.log10(max(*figures, LEAST_MILLISECONDS))), low + 1)

    def y(milliseconds: float) -> float:
        return 100 * (high - math.log10(max(milliseconds, LEAST_MILLISECONDS))) / (high - low)

    lines = []
    for role, own in view.by_role.items():
        for run in _unbroken(own, GAP_BUCKETS * view.seconds):
            middles = [view.x(bucket.at + view.seconds / 2) for bucket in run]
            p50 = [(x, y(bucket.p50_ms)) for x, bucket in zip(middles, run, strict=True)]
            p95 = [(x, y(bucket.p95_ms)) for x, bucket in zip(middles, run, strict=True)]
            lines += [Line(f"{role} median", joined(p50)), Line(role, joined(p95))]
    ticks = [Tick(round(y(10.0**power), 2), f"{10.0**power:g} ms") for power in range(high, low - 1, -1)]
    columns = view.columns(lambda bucket: f"p50 {bucket.p50_ms:.1f} ms, p95 {bucket.p95_ms:.1f} ms")
    return Panel("Latency: p95 solid, p50 dashed", ticks, columns, lines, note=view.note)


def _failed(view: _View) -> Panel:
    stacked: dict[float, int] = {}
    for bucket in view.seen.buckets:
        stacked[bucket.at] = stacked.get(bucket.at, 0) + bucket.failed
    top = above(max(stacked.values(), default=0))
    bars = []
    for role, own in view.by_role.items():
        for bucket in own:
            if bucket.failed:  # the highest is drawn first, and those after it stand on what is left of it
                y, height = 100 * (1 - stacked[bucket.at] / top), 100 * bucket.failed / top
                bars.append(Box(role, view.x(bucket.at), round(y, 2), view.x(view.seconds), round(height, 2)))
                stacked[bucket.at] -= bucket.failed
    title = "Failed requests per second" if view.seconds == 1 else f"Failed requests in {view.seconds} s"
    columns = view.columns(lambda bucket: f"{bucket.failed} of {bucket.requests} failed") if bars else []
    return Panel(title, _halves(top), columns, bars=bars, note=view.note or ("" if bars else "none failed"))


def _unbroken(buckets: Sequence[Bucket], gap: float) -> list[list[Bucket]]:
    """Return the stretches of a revision's buckets without a gap."""
    if not buckets:
        return []
    runs = [[buckets[0]]]
    for before, bucket in pairwise(buckets):
        if bucket.at - before.at > gap:
            runs.append([])
        runs[-1].append(bucket)
    return runs


def joined(points: Sequence[tuple[float, float]]) -> str:
    """Return points as SVG has them; a single one is there twice, which draws a dot."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in (points if len(points) > 1 else [*points, *points]))


def _halves(top: float) -> list[Tick]:
    return [Tick(0, f"{top:g}"), Tick(50, f"{top / 2:g}"), Tick(100, "0")]


def above(value: float, least: float = 1.0) -> float:
    """Return the least of …, 0.5, 1, 2, 5, 10, … that is not below a value.

    Args:
        value: The value; what is not above 0 has 0, where `least` lets it.
        least: What is returned at least.
    """
    value = max(value, least)
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value)


def time_steps(end: float) -> list[float]:
    """Return where an axis of time that ends there has its ticks, in seconds."""
    step = next((step for step in TIME_STEPS if end / step <= MOST_STEPS), TIME_STEPS[-1])
    return [float(second) for second in range(0, int(end) + 1, step)]


def clock(seconds: float) -> str:
    """Return a time as an axis has it: "40 s", "2:05"."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
