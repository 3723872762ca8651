"""The gates of a checkout's chart: what they stop, what they let through, how much they can see, and what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ci.canary import declared as declarations
from ci.canary import judge, plan, power
from ci.canary.assessment import Assessment, Chance, Verdict, is_weak
from ci.canary.catalogue import faults, healthy
from ci.canary.declared import Declared
from ci.canary.plan import Plan
from ci.manifests import places
from ci.manifests.chart import Chart
from ci.manifests.manifests import Manifest
from ci.results import Finding


async def assess(
    prometheus: Path, promtool: Path, chart: Chart, rendered: Mapping[str, Sequence[Manifest]], repeat: int = 1
) -> Assessment:
    """Try the gates of each environment.

    Args:
        prometheus: The executable.
        promtool: The executable.
        chart: The chart.
        rendered: Its objects by environment.
        repeat: How often each shape is replayed.

    Raises:
        UsageError: gates.yaml is not there, or wrong.
        CheckFailedError: A canary that cannot be replayed.
    """
    declared = declarations.load(chart)
    plans = [found for name, objects in rendered.items() if (found := plan.read(name, objects))]
    declared.require_traffic(chart, [each.environment for each in plans])
    cases = judge.catalogued(plans, repeat)
    verdicts = await judge.judge(prometheus, promtool, cases, declared) if cases else []
    chances = [(each, chance) for each in plans for chance in power.chances(each, declared)]
    findings = [
        *(finding for verdict in verdicts for finding in _of_verdict(chart, verdict, declared)),
        *(finding for each, chance in chances for finding in _of_chance(chart, each, chance, declared)),
        *_of_declared(chart, declared, plans, [chance for _, chance in chances]),
    ]
    return Assessment(verdicts, [chance for _, chance in chances], declared, findings)


def _of_verdict(chart: Chart, verdict: Verdict, declared: Declared) -> Iterator[Finding]:
    tolerated = 1 - declared.power.catch if verdict.bad else declared.power.false_abort
    share = len(verdict.wrong) / len(verdict.outcomes)
    if share <= tolerated or declared.accepts(verdict.shape, verdict.environment):
        return
    often = f" in {len(verdict.wrong)} of {len(verdict.outcomes)} replays" if len(verdict.outcomes) > 1 else ""
    first = verdict.wrong[0]
    if verdict.bad:
        said = (
            f"the fault '{verdict.shape}' escapes{often}: nothing stops it in {first.second} s [{verdict.environment}]"
        )
        remedy = "tighten canary.analysis or lengthen the steps"
    else:
        why = f"{first.metric} at {first.second} s: {first.why}"
        said = f"the healthy '{verdict.shape}' is stopped{often} by {why} [{verdict.environment}]"
        remedy = "loosen that metric, or widen canary.analysis.window"
    yield Finding("gates", *_place(chart, verdict.environment, ("canary", "analysis")), said, f"{remedy}, {_LISTED}")


def _of_chance(chart: Chart, canary: Plan, chance: Chance, declared: Declared) -> Iterator[Finding]:
    if not is_weak(chance, declared) or declared.accepts(chance.name, chance.environment):
        return
    said = [f"step {chance.step} ({chance.weight} %) is too weak: over {chance.requests} requests {chance.metric}"]
    if chance.catch is not None and chance.catch < declared.power.catch:
        said.append(
            f"stops the declared regression with a chance of {chance.catch:.3f} ({declared.power.catch} wanted),"
        )
    said.append(f"and a good version with up to {chance.false_abort:.3f} (at most {declared.power.false_abort} wanted)")
    place = _place(chart, chance.environment, ("canary", "steps", chance.step - 1))
    remedy = f"{power.sufficient(canary, chance, declared)} would do; or list it as '{chance.name}', with a reason"
    yield Finding("gates", *place, f"{' '.join(said)} [{chance.environment}]", remedy)


def _of_declared(
    chart: Chart, declared: Declared, plans: Sequence[Plan], chances: Sequence[Chance]
) -> Iterator[Finding]:
    """Yield exceptions for what does not exist: a misspelled one would except nothing."""
    known = {shape.name for shape in (*faults(1), *healthy(1))} | {chance.name for chance in chances}
    file = f"{chart.path}/{declarations.FILE}"
    for index, item in enumerate(declared.accepted):
        if item.what not in known and {each.environment for each in plans} >= set(item.environments):
            line = places.values_line((chart.root / file).read_text(), ("accepted", index, "what"))
            yield Finding("gates", file, line, f"accepted: there is no '{item.what}'", "`gates` prints the names")


_LISTED = f"or list it with a reason under accepted in {declarations.FILE}"


def _place(chart: Chart, environment: str, path: Sequence[str | int]) -> tuple[str, int]:
    """Return the values file that decides, and the line in it."""
    files = chart.files(environment)
    found = ((file, places.values_line((chart.root / file).read_text(), path)) for file in files)
    return next(((file, line) for file, line in found if line), (files[0], 0))
