"""A recording laid over a rendered canary: which second is which, and whose name stands for whose."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from ci.base.errors import UsageError
from ci.canary.plan import Plan, about
from ci.canary.recording import HOW, NAME, TARGET, Given, Recording, Series
from ci.canary.series import Sample
from ci.manifests.series import Read

REVISION = "revision"
TOLERANCE = 0.2
"""By how much of itself a time between scrapes may differ before it is worth a word."""
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
"""Of a label's value, in OpenMetrics and in PromQL."""


@dataclass(frozen=True)
class Span:
    """The Unix times of a revision's first and last sample."""

    first: float
    last: float


@dataclass(frozen=True)
class Overlay:
    """A recording in a canary's own seconds and names.

    Attributes:
        samples: What the canary's queries read.
        revisions: Pod-template hash of the "Stable" and of the "Latest" revision.
        end: The last second of which the canary's figures are known.
        notes: What was found, what stands for what, and what differs.
    """

    samples: Sequence[Sample]
    revisions: Mapping[str, str]
    end: float
    notes: Sequence[str]


def lay(recording: Recording, plan: Plan, given: Given, read: Read) -> Overlay:
    """Lay a recording over a canary.

    Args:
        recording: What Prometheus recorded.
        plan: The canary, judged by figures alone.
        given: What the user says about the recording.
        read: What Prometheus made of the canary's queries.

    Raises:
        UsageError: A series that a query reads is not in the recording, or its start or its revisions are not clear.
    """
    chosen = _chosen(recording, plan, given, read)
    spans = _spans(chosen)
    revisions = _revisions(recording, spans, given)
    _require(recording, plan, revisions, chosen, read)
    canary = spans[revisions["Latest"]]
    apart = _apart(chosen) or plan.scrape_seconds
    start = canary.first if given.start is None else given.start
    begun = min(span.first for span in spans.values())
    if begun + apart > start:
        raise UsageError(
            f"{recording.file}: begins at {_time(begun)}, the canary at {_time(start)}: what was before is not known",
            fix=f"record from some minutes before it. {HOW}",
        )
    if canary.last < start:
        raise UsageError(f"{recording.file}: the canary's last sample ({_time(canary.last)}) is before --start")
    found = "given" if given.start is not None else f"its first sample; the weight was set up to {apart:g} s before"
    notes = [
        f"second 0 is {_time(start)}: {found}",
        *(
            f"{name} is revision {revisions[role]}, sampled from {span.first - start:.0f} to {span.last - start:.0f} s"
            for name, role in (("stable", "Stable"), ("canary", "Latest"))
            for span in [spans[revisions[role]]]
        ),
        *(f"{label} {value} stands for {getattr(plan, label)}" for label, value in given.labels.items()),
        *_differences(plan, chosen, apart),
    ]
    return Overlay([*_samples(plan, chosen, start)], revisions, canary.last + apart - start, notes)


def _chosen(recording: Recording, plan: Plan, given: Given, read: Read) -> list[Series]:
    """Return the series of this release that the canary's queries read by name."""
    target = {label: given.labels.get(label, str(getattr(plan, label))) for label in TARGET}
    readers = {name: metric.name for metric in plan.metrics for name in read[metric.query].names}
    chosen = []
    for name, reader in readers.items():
        named = [each for each in recording.series if each.name == name]
        found = [each for each in named if target.items() <= each.labels.items()]
        if not found:
            raise UsageError(
                f"{recording.file}: no {_text(name, target)}, which {reader} reads", fix=_other(named, target)
            )
        chosen += found
    return chosen


def _other(named: Sequence[Series], target: Mapping[str, str]) -> str:
    """Return what to do where series of the right name have other labels than asked for."""
    there = {label: sorted({each.labels.get(label, "") for each in named}) for label in target}
    ways = [
        f"it has {label} {', '.join(values)}: --label {label}={values[0]} lets it stand for {target[label]}"
        for label, values in there.items()
        if values and target[label] not in values
    ]
    return "; ".join(ways) or HOW


def _spans(chosen: Iterable[Series]) -> dict[str, Span]:
    spans: dict[str, Span] = {}
    for each in chosen:
        revision, first, last = each.labels.get(REVISION, ""), each.values[0][0], each.values[-1][0]
        known = spans.get(revision, Span(first, last))
        spans[revision] = Span(min(known.first, first), max(known.last, last))
    return spans


def _revisions(recording: Recording, spans: Mapping[str, Span], given: Given) -> dict[str, str]:
    """Return which revision is the stable one and which one the canary."""
    by_time = sorted(spans, key=lambda name: spans[name].first)
    there = ", ".join(f"{name or '(no label)'} from {_time(spans[name].first)}" for name in by_time)
    for option, name in (("--stable", given.stable), ("--canary", given.canary)):
        if name is not None and name not in spans:
            raise UsageError(f"{option} {name}: not in {recording.file}", fix=f"it has {there}")
    asked = (given.stable, given.canary)
    left = [name for name in by_time if name not in asked]
    if None in asked and len(left) != asked.count(None):
        raise UsageError(
            f"{recording.file}: the stable revision and the canary cannot be told: it has {there}",
            fix="name them with --stable and --canary, or record again",
        )
    stable, canary = (name if name is not None else left.pop(0) for name in asked)
    return {"Stable": stable, "Latest": canary}


def _require(
    recording: Recording, plan: Plan, revisions: Mapping[str, str], chosen: Sequence[Series], read: Read
) -> None:
    """Refuse a recording without a revision's series that a query reads: "none" and "not recorded" look alike."""
    there = {(each.name, each.labels.get(REVISION)) for each in chosen}
    for metric in plan.metrics:
        for selector in read[metric.query].selectors:
            asked = selector.labels.get(REVISION)
            revision = about(asked, revisions) if asked is not None else None
            if revision is not None and (selector.name, revision) not in there:
                missing = _text(selector.name, {REVISION: revision})
                raise UsageError(f"{recording.file}: no {missing}, which {metric.name} reads", fix=HOW)


def _apart(chosen: Iterable[Series]) -> float | None:
    """Return the seconds between two scrapes, or None where nothing was scraped twice."""
    gaps = [after - before for each in chosen for (before, _), (after, _) in pairwise(each.values)]
    return round(statistics.median(gaps), 3) if gaps else None


def _differences(plan: Plan, chosen: Sequence[Series], apart: float) -> Iterator[str]:
    """Yield in what the recording is not what the rendered canary would have seen."""
    if abs(apart - plan.scrape_seconds) > TOLERANCE * plan.scrape_seconds:
        yield f"scraped every {apart:g} s, the chart every {plan.scrape_seconds:g} s: a window holds other samples"
    times: dict[str, set[float]] = {}
    for each in chosen:
        times.setdefault(each.labels.get(REVISION, ""), set()).update(time for time, _ in each.values)
    first, *others = sorted(times.values(), key=len)
    if len(first) > 1 and others and all(first <= other for other in others):
        # Prometheus scrapes each pod at a moment of its own
        yield "every revision has its samples at the same times, as query_range answers: these are no scrapes"


def _samples(plan: Plan, chosen: Iterable[Series], start: float) -> Iterator[Sample]:
    target = {label: str(getattr(plan, label)) for label in TARGET}
    for each in chosen:
        labels = ",".join(_pair(*item) for item in sorted({**each.labels, **target}.items()) if item[0] != NAME)
        for time, value in each.values:
            yield Sample(each.name, labels, time - start, value)


def _text(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{', '.join(_pair(*item) for item in labels.items())}}}"


def _pair(label: str, value: str) -> str:
    return f'{label}="{value.translate(ESCAPES)}"'


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
