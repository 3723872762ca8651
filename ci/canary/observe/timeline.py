"""From what was recorded while a canary ran to what can be said about it; pure data, no cluster."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ci.base.errors import CheckFailedError
from ci.results import Bucket, RevisionTraffic, Share

GUARD_SECONDS = 1.0
"""Around each change of the proxy's routes, requests count for neither side: Envoy's main thread has them, and each
worker thread takes them over at its next turn. Envoy's own watchdog calls a thread stuck that has none within this
time (bootstrap's `watchdogs`, `megamiss_timeout`, 1 s by default)."""

ERROR_PROBABILITY = 1e-6
"""Chance that a correct mesh falls out of a bound, both ends together; each request is an independent draw by Envoy."""

MOST_BUCKETS = 120
"""More are not told apart in a chart; however long a canary takes, its report stays small."""


@dataclass(frozen=True)
class Answer:
    """One request of the client and what came of it.

    Attributes:
        started: When it was sent, in seconds since the observation began.
        seconds: How long the answer took.
        status: HTTP status; 0 where no answer came.
        address: Address of the pod that answered; empty where the answer names none.
    """

    started: float
    seconds: float
    status: int
    address: str

    @property
    def good(self) -> bool:
        """Whether it is a 2xx answer."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Routed:
    """Weights that the client's proxy has taken over.

    Attributes:
        before: Until when, at least, it had those that were before, in seconds since the observation began.
        at: Since when it has these.
        stable: Percent of its requests to the stable Service.
        canary: Percent of its requests to the canary Service.
    """

    before: float
    at: float
    stable: int
    canary: int


def binomial_bound(draws: int, probability: float, error: float = ERROR_PROBABILITY) -> tuple[int, int]:
    """Return the two ends that a binomial count leaves with at most `error` chance, half of it on each side.

    The ends are the exact quantiles, not the normal approximation, which is too narrow at small counts.

    Args:
        draws: Number of draws.
        probability: Chance of success of each.
        error: Chance of falling outside.

    Returns:
        The lowest and the highest count inside.
    """
    if probability <= 0 or probability >= 1:
        sure = draws if probability >= 1 else 0
        return sure, sure
    return (
        _low(draws, probability, error / 2),
        draws - _low(draws, 1 - probability, error / 2),  # the high end is the low end of the failures
    )


def shares(
    routed: Sequence[Routed],
    answers: Iterable[Answer],
    revisions: Mapping[str, str],
    *,
    canary: str,
    ended: float,
) -> list[Share]:
    """Return the canary's share of the answers while each weight was in force at the client's proxy.

    Args:
        routed: Each weight that the proxy took over, in order.
        answers: What the client got.
        revisions: Pod address to pod-template hash.
        canary: The canary's hash.
        ended: When the weights stopped to tell revisions apart (the canary became stable), or the observation ended.

    Returns:
        One entry a weight, in order; weights too short to hold a request outside the guards are left out.
    """
    ends = [*(change.before for change in routed), ended][1:]
    answered = [answer for answer in answers if answer.address]
    result = []
    for change, end in zip(routed, ends, strict=True):
        inside = [
            answer
            for answer in answered
            if answer.started >= change.at + GUARD_SECONDS
            and answer.started + answer.seconds <= min(end, ended) - GUARD_SECONDS
        ]
        if not inside:
            continue
        low, high = binomial_bound(len(inside), change.canary / (change.stable + change.canary))
        by_canary = sum(_revision(answer, revisions) == canary for answer in inside)
        result.append(Share(change.canary, len(inside), by_canary, low, high))
    return result


def traffic(answers: Iterable[Answer], revisions: Mapping[str, str]) -> list[RevisionTraffic]:
    """Return the totals of each revision that answered.

    Args:
        answers: What the client got; those that name no pod belong to no revision.
        revisions: Pod address to pod-template hash.

    Returns:
        One entry a revision, in the order of their first answers.
    """
    by_revision: dict[str, list[Answer]] = {}
    for answer in sorted(answers, key=lambda item: item.started):
        if answer.address:
            by_revision.setdefault(_revision(answer, revisions), []).append(answer)
    return [
        RevisionTraffic(revision, len(own), _failed(own), *_milliseconds(own, 0.50, 0.95, 0.99))
        for revision, own in by_revision.items()
    ]


def bucket_seconds(answers: Iterable[Answer]) -> int:
    """Return how long each of at most `MOST_BUCKETS` stretches must be to hold every answer: whole seconds."""
    last = max((answer.started for answer in answers), default=0.0)
    return 1 + int(last // MOST_BUCKETS)


def buckets(answers: Iterable[Answer], revisions: Mapping[str, str], seconds: int) -> list[Bucket]:
    """Return what each revision answered over time.

    Args:
        answers: What the client got; those that name no pod are those of no revision.
        revisions: Pod address to pod-template hash.
        seconds: How long each stretch is.

    Returns:
        One entry a stretch and revision that answered in it, in order.
    """
    found: dict[tuple[int, str], list[Answer]] = {}
    for answer in answers:
        revision = _revision(answer, revisions) if answer.address else ""
        found.setdefault((int(answer.started // seconds), revision), []).append(answer)
    return [
        Bucket(float(number * seconds), revision, len(own), _failed(own), *_milliseconds(own, 0.50, 0.95))
        for (number, revision), own in sorted(found.items(), key=lambda item: item[0])
    ]


def _low(draws: int, probability: float, tail: float) -> int:
    """Return the greatest count below which a binomial variable falls with at most `tail` chance."""
    below = 0.0
    for count in range(draws + 1):
        below += math.exp(
            math.lgamma(draws + 1)
            - math.lgamma(count + 1)
            - math.lgamma(draws - count + 1)
            + count * math.log(probability)
            + (draws - count) * math.log1p(-probability)
        )
        if below > tail:
            return count
    return draws


def _revision(answer: Answer, revisions: Mapping[str, str]) -> str:
    try:
        return revisions[answer.address]
    except KeyError:
        raise CheckFailedError(
            f"an answer came from {answer.address}, which is no pod of this Rollout",
            fix="see whether another Deployment or Service answers for the model's host",
        ) from None


def _failed(answers: Iterable[Answer]) -> int:
    return sum(not answer.good for answer in answers)


def _milliseconds(answers: Iterable[Answer], *shares: float) -> list[float]:
    """Return the percentiles of the latency."""
    ascending = sorted(round(answer.seconds * 1000, 3) for answer in answers)
    return [_percentile(ascending, share) for share in shares]


def _percentile(ascending: Sequence[float], share: float) -> float:
    """Return the value that at least `share` of the values do not exceed (nearest rank)."""
    return ascending[math.ceil(share * len(ascending)) - 1]
