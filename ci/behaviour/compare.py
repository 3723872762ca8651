"""What two versions of a model answered to the golden inputs, compared; pure data, no cluster."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ci.base.errors import CheckFailedError
from ci.behaviour import golden as golden_inputs
from ci.behaviour import statistics
from ci.behaviour.golden import Golden
from ci.results import Behaviour, ChangedAnswer, LatencyDifference, Proportion, Slice


@dataclass(frozen=True)
class Answer:
    """One version's answer to one input.

    Attributes:
        good: Whether it is a 2xx answer.
        label: The prediction; None where there is none.
        seconds: How long it took.
    """

    good: bool
    label: Any
    seconds: float


Answers = Sequence[Sequence[Answer]]
"""Of one version: each round's answers, in the order of the golden inputs."""


@dataclass(frozen=True)
class _Row:
    """What became of one input.

    Attributes:
        champion: Whether the champion was right.
        candidate: Whether the candidate was.
        agree: Whether they answered the same.
    """

    champion: bool
    candidate: bool
    agree: bool


def compare(golden: Golden, versions: Sequence[str], champion: Answers, candidate: Answers) -> Behaviour:
    """Return how a candidate differs from the champion.

    An input that a version answers differently from round to round, or not at all, has no answer, and that is wrong.

    Args:
        golden: The inputs.
        versions: storageUri of the champion and of the candidate.
        champion: Its answers.
        candidate: Its answers, each taken right before or after the champion's to the same input.

    Returns:
        The comparison, with what the file's gates say of it.
    """
    of_champion, of_candidate = _settled(champion), _settled(candidate)
    rows = [
        _Row(before == item.expected, after == item.expected, before == after and before is not None)
        for item, before, after in zip(golden.inputs, of_champion, of_candidate, strict=True)
    ]
    slices = [_slice(name, [rows[number] for number in golden.inside(name)]) for name in golden.slices]
    slices.sort(key=lambda each: (_gain(each), -each.regressions, each.name))  # the worst regression first
    slices.insert(0, _slice(golden_inputs.ALL, rows))
    changed = [
        ChangedAnswer(item.id, item.slices, json.dumps(item.expected), "" if after is None else json.dumps(after))
        for item, row, after in zip(golden.inputs, rows, of_candidate, strict=True)
        if row.champion and not row.candidate
    ]
    return Behaviour(
        golden=golden.name,
        golden_version=golden.version,
        champion=versions[0],
        candidate=versions[1],
        requests=sum(map(len, champion)),
        champion_failed=_failed(champion),
        candidate_failed=_failed(candidate),
        slices=slices,
        regressions=changed,
        latency=_latency(champion, candidate),
        failures=list(_failures(golden, slices)),
    )


def require(behaviour: Behaviour) -> None:
    """Hold a candidate to the gates of its golden inputs.

    Raises:
        CheckFailedError: It is below one; the first is named with slice and numbers.
    """
    if behaviour.failures:
        more = f" (and {len(behaviour.failures) - 1} more)" if len(behaviour.failures) > 1 else ""
        raise CheckFailedError(
            f"{behaviour.candidate} does not behave as {behaviour.golden} {behaviour.golden_version} asks: "
            f"{behaviour.failures[0]}{more}",
            fix="mend the model, or, where the change is meant, the golden file: docs/behaviour.md",
            detail="\n".join(behaviour.failures),
        )


def _settled(answers: Answers) -> list[Any]:
    """Return the label of each input, None where the rounds do not agree on one."""
    return [
        labels[0] if all(label == labels[0] for label in labels) else None
        for labels in ([answer.label for answer in of_input] for of_input in zip(*answers, strict=True))
    ]


def _failed(answers: Answers) -> int:
    return sum(not answer.good for of_round in answers for answer in of_round)


def _slice(name: str, rows: Sequence[_Row]) -> Slice:
    regressions = sum(row.champion and not row.candidate for row in rows)
    improvements = sum(row.candidate and not row.champion for row in rows)
    return Slice(
        name,
        agreement=_proportion(row.agree for row in rows),
        champion=_proportion(row.champion for row in rows),
        candidate=_proportion(row.candidate for row in rows),
        regressions=regressions,
        improvements=improvements,
        p_value=statistics.mcnemar(regressions, improvements),
    )


def _proportion(true: Iterable[bool]) -> Proportion:
    each = list(true)
    low, high = statistics.clopper_pearson(sum(each), len(each))
    return Proportion(sum(each), len(each), low, high)


def _gain(each: Slice) -> float:
    """Return how much more of a slice the candidate names right."""
    return each.candidate.share - each.champion.share


def _latency(champion: Answers, candidate: Answers) -> list[LatencyDifference]:
    pairs = [
        (before.seconds * 1000, after.seconds * 1000)
        for rounds in zip(champion, candidate, strict=True)
        for before, after in zip(*rounds, strict=True)
        if before.good and after.good
    ]
    if not pairs:
        return []
    of_champion, of_candidate = zip(*pairs, strict=True)
    intervals = statistics.difference_intervals(of_champion, of_candidate)
    figures = [statistics.percentiles(np.array(times)).tolist() for times in (of_champion, of_candidate)]
    return [
        LatencyDifference(percentile, *(round(value, 3) for value in (before, after, after - before, low, high)))
        for percentile, before, after, (low, high) in zip(statistics.PERCENTILES, *figures, intervals, strict=True)
    ]


def _failures(golden: Golden, slices: Iterable[Slice]) -> Iterator[str]:
    """Yield what the gates have against the candidate, slice and numbers named."""
    by_name = {each.name: each for each in slices}
    for name, gate in golden.gates.items():
        found = by_name[name]
        shares: list[tuple[str, Proportion, float | None]] = [
            ("agreement", found.agreement, gate.agreement),
            ("accuracy", found.candidate, gate.accuracy),
        ]
        for what, got, least in shares:
            if least is not None and got.share < least:
                reached = f"{got.count} of {got.total} ({got.share:.1%})"
                yield f"{what} in slice {name} is {reached}, at least {least:.1%} asked"
        if gate.regressions is not None and found.regressions > gate.regressions:
            many = f"{found.regressions} answers in slice {name}"
            yield f"{many} went from right to wrong, at most {gate.regressions} may"
