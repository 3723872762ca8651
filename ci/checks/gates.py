"""The gates of every target: what they stop, what they let through, how much they can see, and what is wrong."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci.base.errors import CheckFailedError
from ci.canary import declared as declarations
from ci.canary import judge, plan, power, series
from ci.canary.assessment import Assessment, Chance, Verdict, is_weak
from ci.canary.catalogue import faults, healthy
from ci.canary.declared import Declared
from ci.canary.plan import Plan
from ci.checks.merged import merged
from ci.manifests import places
from ci.manifests.chart import PAST, Rendering, Target
from ci.manifests.manifests import Manifest
from ci.results import Finding

UNJUDGED = "this canary is not judged: of an application the gates judge one, the first that its chart renders"


@dataclass(frozen=True)
class _Alike:
    """Canaries that are judged alike: but for their names they ask the same, about the same traffic."""

    unnamed: Plan
    requests: float
    plans: list[Plan] = field(default_factory=list)

    @property
    def first(self) -> Plan:
        """The one that is judged."""
        return self.plans[0]


@dataclass(frozen=True)
class _Wrong:
    """What is wrong in one target, if it is not accepted."""

    what: str
    path: places.Path
    said: str
    remedy: str


async def assess(
    prometheus: Path,
    promtool: Path,
    folder: Path,
    tree: str,
    renderings: Sequence[Rendering],
    *,
    repeat: int = 1,
    known: Collection[str] = (),
) -> Assessment:
    """Try the gates of each rendering.

    Args:
        prometheus: The executable.
        promtool: The executable.
        folder: The project's.
        tree: Its tree, from there, with gates.yaml.
        renderings: Without findings.
        repeat: How often each shape is replayed.
        known: What gates.yaml may name, where `renderings` are all that the project has.

    Raises:
        WrongFileError: gates.yaml is not there, or wrong.
    """
    declared = declarations.load(folder, tree)
    targets = {each.target.name: each.target for each in renderings}
    plans, found = _read(renderings)
    groups = _grouped(plans, declared)
    cases = judge.catalogued([group.first for group in groups], repeat)
    judged = await judge.judge(prometheus, promtool, cases, declared) if cases else []
    verdicts: list[Verdict] = []
    chances: list[Chance] = []
    for group in groups:
        own = [verdict for verdict in judged if verdict.environment == group.first.environment]
        able = power.chances(group.first, declared)
        wrong = [*_of_verdicts(group.first, own, declared), *_of_chances(group.first, able, declared)]
        for each in group.plans:
            verdicts += [replace(verdict, environment=each.environment) for verdict in own]
            chances += [replace(chance, environment=each.environment) for chance in able]
            found += [
                (each.environment, _finding(targets[each.environment], item))
                for item in wrong
                if not declared.accepts(item.what, each.environment)
            ]
    if known:
        shapes = {shape.name for shape in (*faults(1), *healthy(1))} | {chance.name for chance in chances}
        found += [("", finding) for finding in _unknown(folder, f"{tree}/{declarations.FILE}", declared, shapes, known)]
    order = list(targets)
    verdicts.sort(key=lambda verdict: order.index(verdict.environment))
    return Assessment(verdicts, chances, declared, merged(found, order))


def _read(renderings: Sequence[Rendering]) -> tuple[list[Plan], list[tuple[str, Finding]]]:
    """Return the canaries, and why one is not replayed."""
    plans: list[Plan] = []
    found: list[tuple[str, Finding]] = []
    for each in renderings:
        found += [(each.target.name, _of_chart(_unjudged(manifest))) for manifest in plan.unread(each.objects)]
        try:
            canary = plan.read(each.target.name, each.objects)
        except plan.MetricsError as error:
            found += [(each.target.name, _of_chart(finding)) for finding in error.findings]
        except CheckFailedError as error:
            place = each.target.place(("canary",))
            found.append((each.target.name, Finding("gates", *place, error.message, error.fix or "correct the canary")))
        else:
            plans += [canary] if canary else []
    return plans, found


def _unjudged(rollout: Manifest) -> Finding:
    return rollout.finding("gates", plan.CANARY, UNJUDGED, "give this model an application of its own, which is judged")


def _grouped(plans: Sequence[Plan], declared: Declared) -> list[_Alike]:
    groups: list[_Alike] = []
    for each in plans:
        unnamed, requests = each.unnamed(), declared.requests(each.environment)
        group = next((group for group in groups if (group.unnamed, group.requests) == (unnamed, requests)), None)
        if group is None:
            group = _Alike(unnamed, requests)
            groups.append(group)
        group.plans.append(each)
    return groups


def _finding(target: Target, wrong: _Wrong) -> Finding:
    file, line = target.place(wrong.path)
    return _of_chart(Finding("gates", file, line, wrong.said, wrong.remedy))


def _of_chart(finding: Finding) -> Finding:
    """Return a finding as a warning where it is of a pinned chart: else it would hold up the change that raises it."""
    return replace(finding, severity="warning") if PAST.match(finding.file) else finding


def _of_verdicts(canary: Plan, verdicts: Sequence[Verdict], declared: Declared) -> Iterator[_Wrong]:
    for verdict in verdicts:
        tolerated = 1 - declared.power.catch if verdict.bad else declared.power.false_abort
        if verdict.unseen or len(verdict.wrong) / len(verdict.outcomes) <= tolerated:
            continue
        often = f" in {len(verdict.wrong)} of {len(verdict.outcomes)} replays" if len(verdict.outcomes) > 1 else ""
        first = verdict.wrong[0]
        if verdict.bad:
            said = f"the fault '{verdict.shape}' escapes{often}: nothing stops it in {first.second} s"
            remedy = "tighten canary.analysis or lengthen the steps"
        else:
            why = f"{first.metric} at {first.second} s: {first.why}"
            said = f"the healthy '{verdict.shape}' is stopped{often} by {why}"
            taken = _declared(canary, first.metric, declared)
            known = f"correct {taken} in {declarations.FILE} where healthy versions do better; else " if taken else ""
            remedy = f"{known}loosen that metric, or widen canary.analysis.window"
        yield _Wrong(verdict.shape, ("canary", "analysis"), said, f"{remedy}, {_LISTED}")


def _declared(canary: Plan, metric: str, declared: Declared) -> str:
    """Return what is declared of the figures that a metric reads, with its keys; empty where it reads none of them."""
    query = next((each.query for each in canary.metrics if each.name == metric), "")
    figures = {
        f"healthy.p95 ({declared.healthy.p95:g} s)": series.BUCKETS in query,
        f"healthy.errors ({declared.healthy.errors:g})": series.REQUESTS in query and series.CODE in query,
        f"requestsPerSecond ({declared.requests(canary.environment):g})": series.BUCKETS in query
        or series.REQUESTS in query,
    }
    return " or ".join(text for text, is_read in figures.items() if is_read)


def _of_chances(canary: Plan, chances: Sequence[Chance], declared: Declared) -> Iterator[_Wrong]:
    for chance in chances:
        if not is_weak(chance, declared):
            continue
        weak = f"step {chance.step} ({chance.weight} %) is too weak"
        said = f"{weak}: over {chance.requests} requests, {chance.metric} stops"
        if chance.catch is not None and chance.catch < declared.power.catch:
            said += f" the declared regression with a chance of {chance.catch:.3f} ({declared.power.catch} wanted), and"
        most = declared.power.false_abort
        said += f" a good version with a chance of up to {chance.false_abort:.3f} (at most {most} wanted)"
        remedy = f"{power.sufficient(canary, chance, declared)} would do; or list it as '{chance.name}', with a reason"
        yield _Wrong(chance.name, ("canary", "steps", chance.step - 1), said, remedy)


def _unknown(
    folder: Path, file: str, declared: Declared, shapes: Collection[str], known: Collection[str]
) -> Iterator[Finding]:
    """Yield what is declared about what does not exist: a misspelled exception would except nothing."""
    text = (folder / file).read_text()
    named: list[tuple[places.Path, str]] = [
        (("requestsPerSecond", name), name) for name in declared.requests_per_second
    ]
    for index, item in enumerate(declared.accepted):
        path = ("accepted", index)
        if item.what not in shapes:
            line = places.values_line(text, (*path, "what"))
            yield Finding("gates", file, line, f"accepted: there is no '{item.what}'", "`gates` prints the names")
        named += [((*path, "environments", number), name) for number, name in enumerate(item.environments or ())]
    for place, name in named:
        if name not in known:
            said = f"{place[0]}: there is no {name}"
            yield Finding("gates", file, places.values_line(text, place), said, "an environment, or ENV/APP")


_LISTED = f"or list it with a reason under accepted in {declarations.FILE}"
