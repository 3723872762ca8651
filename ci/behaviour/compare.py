"""What two versions of a model answered to the golden inputs, compared; pure data, no cluster."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ci.base.errors import CheckFailedError
from ci.base.text import cut
from ci.behaviour import golden as golden_inputs
from ci.behaviour import protocols, statistics
from ci.behaviour.golden import Golden, Input
from ci.canary.observe.files import traffic_client
from ci.results import Behaviour, ChangedAnswer, LatencyDifference, Proportion, Slice

LONGEST = 2000
"""Characters of an answer, as JSON, that are kept."""
SHOWN = 40
"""Characters of a value within an answer that a line shows."""
PLACES = 3
"""Places at which an answer differs that a line names."""


@dataclass(frozen=True)
class Answer:
    """One version's answer to one input.

    Attributes:
        value: It, whatever JSON; None where there is none.
        seconds: How long it took.
        failure: Why there is none, in one line: no 2xx, or nothing where the golden file says; else empty.
    """

    value: Any
    seconds: float
    failure: str = ""

    @property
    def good(self) -> bool:
        """Whether there is one."""
        return not self.failure


Answers = Sequence[Sequence[Answer]]
"""Of one version: each round's answers, in the order of the golden inputs."""


@dataclass(frozen=True)
class _Row:
    """What became of one input.

    Attributes:
        champion: Whether the champion was right.
        candidate: Whether the candidate was.
        agree: Whether they answered the same.
        failed: Whether the candidate gave no answer, in one of the rounds at least.
        compared: Whether the candidate is compared with the champion: not where that one alone gave no answer, in one
            of the rounds at least.
    """

    champion: bool
    candidate: bool
    agree: bool
    failed: bool
    compared: bool


def compare(golden: Golden, versions: Sequence[str], champion: Answers, candidate: Answers) -> Behaviour:
    """Return how a candidate differs from the champion.

    An input that a version answers differently from round to round, or not at all, has no answer, and that is wrong. So
    is one whose answer is wrong in one round: what the tolerance lets pass for the same may not all be right. What the
    champion alone does not answer is compared with nothing: the candidate neither agrees with that nor disagrees.

    Args:
        golden: The inputs.
        versions: storageUri of the champion and of the candidate.
        champion: Its answers.
        candidate: Its answers, each taken right before or after the champion's to the same input.

    Returns:
        The comparison, with what the file's gates say of it.
    """
    rows: list[_Row] = []
    changed: list[ChangedAnswer] = []
    of_each = zip(golden.inputs, zip(*champion, strict=True), zip(*candidate, strict=True), strict=True)
    for item, of_champion, of_candidate in of_each:
        before, was_wrong = _judged(golden, item, of_champion)
        after, said = _judged(golden, item, of_candidate)
        pairs = zip(of_champion, of_candidate, strict=True)
        agree = before.good and after.good and all(same(golden, one.value, other.value) for one, other in pairs)
        failed = not all(answer.good for answer in of_candidate)
        compared = failed or all(answer.good for answer in of_champion)
        rows.append(_Row(not was_wrong, not said, agree, failed, compared))
        if said and not was_wrong:
            expected = _text(item.expected) if item.judged else ""
            answered = _text(after.value) if after.good else ""
            changed.append(ChangedAnswer(item.id, item.slices, expected, answered, said))
    slices = [_slice(name, [rows[number] for number in golden.inside(name)]) for name in golden.slices]
    slices.sort(key=lambda each: (_gain(each), -each.regressions, each.name))  # the worst regression first
    slices.insert(0, _slice(golden_inputs.ALL, rows))
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
        failures=list(_failures(golden, slices, rows)),
        champion_failure=_first_failure(champion),
        candidate_failure=_first_failure(candidate),
    )


def answered(golden: Golden, answers: Answers) -> list[Input]:
    """Return the inputs that a version answered in every round, right or wrong, in the file's order."""
    of_each = zip(golden.inputs, zip(*answers, strict=True), strict=True)
    return [item for item, rounds in of_each if all(answer.good for answer in rounds)]


def same(golden: Golden, one: Any, other: Any) -> bool:
    """Return whether two answers are the same, numbers as near as the golden file asks.

    Args:
        golden: The file.
        one: An answer, whatever JSON.
        other: Another.
    """
    return not any(True for _ in _differences(golden, one, other))


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


def _differences(golden: Golden, one: Any, other: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    return traffic_client.differences(one, other, golden.tolerance.absolute, golden.tolerance.relative)


def _judged(golden: Golden, item: Input, rounds: Sequence[Answer]) -> tuple[Answer, str]:
    """Return the answer to one input, and why it is wrong: that of the first round that is, if any."""
    answer = _agreed(golden, rounds)
    each = ((one, said) for one in (rounds if answer.good else [answer]) if (said := _wrong(golden, item, one)))
    return next(each, (answer, ""))


def _agreed(golden: Golden, rounds: Sequence[Answer]) -> Answer:
    """Return the answer to one input: none where it failed in a round, or the rounds do not agree on one."""
    first = rounds[0]
    if failed := next((answer for answer in rounds if not answer.good), None):
        return failed
    if other := next((answer for answer in rounds if not same(golden, first.value, answer.value)), None):
        said = f"not the same each time: {_short(first.value)}, {_short(other.value)}"
        return Answer(None, first.seconds, said)
    return first


def _wrong(golden: Golden, item: Input, answer: Answer) -> str:
    """Return why an answer is wrong, in one line; nothing where it is right."""
    if not answer.good:
        return answer.failure
    if said := golden.objection(answer.value):
        return cut(said, LONGEST)
    if not item.judged:
        return ""
    found = _differences(golden, item.expected, answer.value)
    lines = [
        f"{protocols.shown(at)} is {_short(got)}, not {_short(wanted)}"
        for at, wanted, got in itertools.islice(found, PLACES)
    ]
    more = sum(1 for _ in found)
    return "; ".join([*lines, *([f"and {more} more"] if more else [])])


def _text(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False), LONGEST)


def _short(value: Any) -> str:
    return cut(json.dumps(value, ensure_ascii=False), SHOWN)


def _failed(answers: Answers) -> int:
    return sum(not answer.good for of_round in answers for answer in of_round)


def _first_failure(answers: Answers) -> str:
    return next((answer.failure for of_round in answers for answer in of_round if not answer.good), "")


def _slice(name: str, rows: Sequence[_Row]) -> Slice:
    regressions = sum(row.champion and not row.candidate for row in rows)
    improvements = sum(row.candidate and not row.champion for row in rows)
    return Slice(
        name,
        agreement=_proportion(row.agree for row in rows if row.compared),
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
    """Return how much more of a slice the candidate answers right."""
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


def _failures(golden: Golden, slices: Iterable[Slice], rows: Sequence[_Row]) -> Iterator[str]:
    """Yield what the gates have against the candidate, slice and numbers named."""
    by_name = {each.name: each for each in slices}
    for name, gate in golden.gates.items():
        found = by_name[name]
        shares: list[tuple[str, Proportion, float | None]] = [
            ("agreement", found.agreement, gate.agreement),
            ("accuracy", found.candidate, gate.accuracy),
        ]
        for what, got, least in shares:
            if least is not None and got.total and got.share < least:
                reached = f"{got.count} of {got.total} ({got.share:.1%})"
                yield f"{what} in slice {name} is {reached}, at least {least:.1%} asked"
        without = sum(row.failed and not row.champion for row in map(rows.__getitem__, golden.inside(name)))
        if gate.regressions is not None and found.regressions + without > gate.regressions:
            many = f"{found.regressions} answers in slice {name} went from right to wrong"
            more = f", and {without} more inputs got no answer" if without else ""
            yield f"{many}{more}, at most {gate.regressions} may"
