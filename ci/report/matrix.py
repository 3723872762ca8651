"""What the gates stop and let through, for the person at the terminal."""

from itertools import groupby
from operator import attrgetter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.gates import power
from ci.gates.check import Assessment
from ci.gates.declared import Accepted
from ci.gates.judge import Verdict
from ci.report import terminal

ENDS = {"Healthy": "goes through", "Degraded": "aborted", "Paused": "held for a person"}


def render(assessment: Assessment) -> Group:
    """Return a table an environment, the chances of its steps, and what is wrong.

    Args:
        assessment: What came out.
    """
    parts: list[RenderableType] = []
    for environment, verdicts in groupby(assessment.verdicts, key=attrgetter("environment")):
        parts += [_verdicts(environment, list(verdicts), assessment), Text()]
        parts += [_chances(environment, assessment), Text()]
    parts.append(terminal.findings(assessment.findings))
    return Group(*parts)


def _verdicts(environment: str, verdicts: list[Verdict], assessment: Assessment) -> Table:
    bad, good = ([each for each in verdicts if each.bad is kind] for kind in (True, False))
    stopped, passed = (sum(not each.wrong for each in kind) for kind in (bad, good))
    faults, healthy = (
        f"{stopped} of {len(bad)} faults are stopped",
        f"{passed} of {len(good)} healthy versions go through",
    )
    table = terminal.titled(f"{environment}: {faults}, {healthy}")
    for heading in ("", "Canary", "Ends", "Step", "Second", "By"):
        table.add_column(heading, justify="right" if heading in ("Step", "Second") else "left", no_wrap=heading != "By")
    for each in verdicts:
        outcome = max(each.wrong or each.outcomes, key=attrgetter("second"))
        accepted = assessment.declared.accepts(each.shape, environment)
        mark = _mark(bool(each.wrong), accepted)
        often = f" ({len(each.wrong)} of {len(each.outcomes)})" if each.wrong and len(each.outcomes) > 1 else ""
        said = f"accepted: {accepted.reason}" if each.wrong and accepted else outcome.metric
        table.add_row(mark, each.shape, ENDS[outcome.phase] + often, str(outcome.step), str(outcome.second), Text(said))
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
        weak, accepted = power.is_weak(chance, declared), declared.accepts(chance.name, environment)
        mark = _mark(weak, accepted)
        catch = "" if chance.catch is None else f"≥ {_chance(chance.catch)}"
        row = (str(chance.step), f"{chance.weight} %", chance.metric, str(chance.requests), catch)
        table.add_row(mark, *row, f"≤ {_chance(chance.false_abort, up=True)}")
    return table


def _mark(wrong: bool, accepted: Accepted | None) -> Text:
    if not wrong:
        return Text("✓", style="green")
    return Text("!", style="yellow") if accepted else Text("✗", style="red")


def _chance(value: float, *, up: bool = False) -> str:
    """Return a probability as a percentage of two places, rounded to the safe side."""
    places = 10**4
    rounded = -(-value * places // 1) if up else value * places // 1
    return f"{rounded / places:.2%}"
