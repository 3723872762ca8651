"""What the gates stop and let through, for the person at the terminal."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.canary.assessment import Assessment, Chance, is_weak
from ci.checks.merged import named
from ci.report import terminal
from ci.results import Gate

ENDS = {"Healthy": "goes through", "Degraded": "aborted", "Paused": "held for a person"}
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Row:
    """What came of one shape for all targets that it came to alike.

    Attributes:
        gate: The first of them.
        first: The earliest second of an end.
        last: The latest.
        where: The targets, in words; empty where it is all of them.
    """

    gate: Gate
    first: int
    last: int
    where: str

    @property
    def seconds(self) -> str:
        """When it ended."""
        return f"{self.first} s" if self.first == self.last else f"{self.first} to {self.last} s"


def render(assessment: Assessment) -> Group:
    """Return a table for each target, or for several that are alike, the chances of its steps, and what is wrong.

    Args:
        assessment: What came out.
    """
    own = by_target(assessment.gates)
    able: dict[str, list[Chance]] = {target: [] for target in own}
    for chance in assessment.chances:
        able.setdefault(chance.environment, []).append(chance)
    parts: list[RenderableType] = []
    said_of = {name: (_unnamed(gates), _chances_of(name, able, assessment)) for name, gates in own.items()}
    for targets in _alike(said_of):
        said = ", ".join(named(targets, [*own]))
        parts += [_gates(said, own[targets[0]]), Text()]
        parts += [_chances(said, able[targets[0]], assessment), Text()]
    parts.append(terminal.findings(assessment.findings))
    return Group(*parts)


def score(gates: Sequence[Gate]) -> str:
    """Return how many shapes end as they must, in words.

    Args:
        gates: Of one environment.
    """
    bad, good = ([not gate.wrong for gate in gates if gate.bad is kind] for kind in (True, False))
    return f"{sum(bad)} of {len(bad)} faults are stopped, {sum(good)} of {len(good)} healthy versions go through"


def by_target(gates: Sequence[Gate]) -> dict[str, list[Gate]]:
    """Return the gates of each target, in their order."""
    own: dict[str, list[Gate]] = {}
    for gate in gates:
        own.setdefault(gate.environment, []).append(gate)
    return own


def scores(gates: Sequence[Gate]) -> dict[str, str]:
    """Return each score, by the names of the targets that have it.

    Args:
        gates: Of all targets.
    """
    own = {target: score(theirs) for target, theirs in by_target(gates).items()}
    return {", ".join(named(targets, [*own])): own[targets[0]] for targets in _alike(own)}


def rows(gates: Sequence[Gate], *, bad: bool) -> list[Row]:
    """Return what came of each shape, once for all targets that it came to alike.

    Args:
        gates: Of all targets.
        bad: Faults, or else healthy versions.
    """
    targets, found = [*by_target(gates)], []
    by_shape: dict[str, list[Gate]] = {}
    for gate in gates:
        if gate.bad is bad:
            by_shape.setdefault(gate.shape, []).append(gate)
    for own in by_shape.values():
        groups: dict[Gate, list[Gate]] = {}
        for gate in own:
            groups.setdefault(replace(gate, environment="", second=0, step=0), []).append(gate)
        for group in groups.values():
            seconds = [gate.second for gate in group]
            some = [] if len(group) == len(targets) else named([gate.environment for gate in group], targets)
            found.append(Row(group[0], min(seconds), max(seconds), ", ".join(some)))
    return found


def accepted(gates: Sequence[Gate]) -> list[tuple[str, str, str]]:
    """Return what is lived with: the targets, the shape, and why."""
    own = {(gate.environment, gate.shape): (gate.shape, gate.accepted) for gate in gates if gate.accepted}
    targets = [*by_target(gates)]
    groups: dict[tuple[str, str], list[str]] = {}
    for (target, _), said in own.items():
        groups.setdefault(said, []).append(target)
    return [(", ".join(named(some, targets)), *said) for said, some in groups.items()]


def _alike(said: dict[str, K]) -> Iterable[list[str]]:
    """Return the names that have the same, together."""
    groups: dict[K, list[str]] = {}
    for name, what in said.items():
        groups.setdefault(what, []).append(name)
    return groups.values()


def _unnamed(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    return tuple(replace(gate, environment="") for gate in gates)


def _chances_of(target: str, able: dict[str, list[Chance]], assessment: Assessment) -> tuple[tuple[Chance, bool], ...]:
    """Return what a target's steps can see, without its name, and whether that is lived with."""
    accepts = assessment.declared.accepts
    return tuple((replace(each, environment=""), bool(accepts(each.name, target))) for each in able[target])


def _gates(environment: str, gates: Sequence[Gate]) -> Table:
    table = terminal.titled(f"{environment}: {score(gates)}")
    for heading in ("", "Canary", "Ends", "Step", "Second", "By"):
        table.add_column(heading, justify="right" if heading in ("Step", "Second") else "left", no_wrap=heading != "By")
    for gate in gates:
        mark = _mark(bool(gate.wrong), bool(gate.accepted))
        often = f" ({gate.wrong} of {gate.replays})" if gate.wrong and gate.replays > 1 else ""
        said = f"accepted: {gate.accepted}" if gate.accepted else gate.metric
        table.add_row(mark, gate.shape, ENDS[gate.end] + often, str(gate.step), str(gate.second), Text(said))
    return table


def _chances(environment: str, chances: Sequence[Chance], assessment: Assessment) -> Table:
    declared = assessment.declared
    regression = f"{declared.regression.errors:.0%} errors, or {declared.regression.slow:.0%} slow requests"
    table = terminal.titled(f"{environment}: what each step can see of {regression}")
    for heading in ("", "Step", "Weight", "Metric", "Requests", "Stops it", "Stops a good one"):
        table.add_column(heading, justify="left" if heading in ("", "Metric") else "right", no_wrap=True)
    for chance in chances:
        weak, listed = is_weak(chance, declared), bool(declared.accepts(chance.name, chance.environment))
        mark = _mark(weak, listed)
        catch = "" if chance.catch is None else f"≥ {_chance(chance.catch)}"
        row = (str(chance.step), f"{chance.weight} %", chance.metric, str(chance.requests), catch)
        table.add_row(mark, *row, f"≤ {_chance(chance.false_abort, up=True)}")
    return table


def _mark(wrong: bool, accepted: bool) -> Text:
    if not wrong:
        return Text("✓", style="green")
    return Text("!", style="yellow") if accepted else Text("✗", style="red")


def _chance(value: float, *, up: bool = False) -> str:
    """Return a probability as a percentage of two places, rounded to the safe side."""
    places = 10**4
    rounded = -(-value * places // 1) if up else value * places // 1
    return f"{rounded / places:.2%}"
