"""What the gates stop and let through, for the person at the terminal."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.canary.assessment import Assessment, is_weak
from ci.report import terminal
from ci.results import Gate

ENDS = {"Healthy": "goes through", "Degraded": "aborted", "Paused": "held for a person"}


def render(assessment: Assessment) -> Group:
    """Return a table an environment, the chances of its steps, and what is wrong.

    Args:
        assessment: What came out.
    """
    parts: list[RenderableType] = []
    for environment, gates in groupby(assessment.gates, key=attrgetter("environment")):
        parts += [_gates(environment, list(gates)), Text()]
        parts += [_chances(environment, assessment), Text()]
    parts.append(terminal.findings(assessment.findings))
    return Group(*parts)


def score(gates: Sequence[Gate]) -> str:
    """Return how many shapes end as they must, in words.

    Args:
        gates: Of one environment.
    """
    bad, good = ([not gate.wrong for gate in gates if gate.bad is kind] for kind in (True, False))
    return f"{sum(bad)} of {len(bad)} faults are stopped, {sum(good)} of {len(good)} healthy versions go through"


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


def _chances(environment: str, assessment: Assessment) -> Table:
    declared = assessment.declared
    regression = f"{declared.regression.errors:.0%} errors, or {declared.regression.slow:.0%} slow requests"
    table = terminal.titled(f"{environment}: what each step can see of {regression}")
    for heading in ("", "Step", "Weight", "Metric", "Requests", "Stops it", "Stops a good one"):
        table.add_column(heading, justify="left" if heading in ("", "Metric") else "right", no_wrap=True)
    for chance in assessment.chances:
        if chance.environment != environment:
            continue
        weak, accepted = is_weak(chance, declared), bool(declared.accepts(chance.name, environment))
        mark = _mark(weak, accepted)
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
