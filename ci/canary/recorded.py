"""What the gates would have made of a canary that really ran, by what Prometheus recorded of it."""

from collections.abc import Iterator
from pathlib import Path

from ci.base.errors import CheckFailedError
from ci.canary import engine, judge, overlay, replay
from ci.canary.assessment import Recorded, Share
from ci.canary.engine import Engine
from ci.canary.overlay import Overlay
from ci.canary.plan import Metric, Plan
from ci.canary.recording import Given, Recording
from ci.canary.replay import UnknownError
from ci.canary.series import REQUESTS


async def replayed(prometheus: Path, promtool: Path, plan: Plan, recording: Recording, given: Given) -> Recorded:
    """Replay a canary's steps over a recording.

    Args:
        prometheus: The executable.
        promtool: The executable that makes its blocks.
        plan: The canary.
        recording: What a real Prometheus recorded.
        given: What the user says about it.

    Raises:
        CheckFailedError: A query of the canary's is no PromQL.
        UsageError: The recording does not have what the canary's queries read.
    """
    canary = plan.by_figures()
    async with engine.empty(prometheus) as reader:
        read = await reader.read({metric.query for metric in canary.metrics})
    for metric in canary.metrics:
        if error := read[metric.query].error:
            said = f"metric {metric.name}: Prometheus does not take its query: {error}"
            raise CheckFailedError(said, detail=metric.query)
    laid = overlay.lay(recording, canary, given, read)
    async with engine.running(prometheus, promtool, laid.samples) as running:
        known = await judge.answers(running, canary, laid.revisions, int(min(laid.end, canary.seconds)), canary.grid)
        shares = [await _share(running, laid, *step) for step in _steps(canary, laid.end)]

    def ask(metric: Metric, second: int) -> object:
        if second > laid.end:
            raise UnknownError
        return known[metric.query].get(second, [])

    without = dict.fromkeys(metric.name for metric in plan.metrics if not metric.query)
    notes = [*laid.notes, *(f"{name} is not judged: it is no question to Prometheus" for name in without)]
    return Recorded(plan.environment, replay.replay(canary, ask), notes, shares)


def _steps(plan: Plan, end: float) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, weight, first and last second of each step that a recording has some of."""
    weights = plan.weights()
    begins = [*(second for second, _ in weights), plan.length]
    for number, (begin, percent) in enumerate(weights, start=1):
        last = int(min(begins[number], end))
        if last > begin:
            yield number, percent, int(begin), last


async def _share(running: Engine, laid: Overlay, step: int, weight: int, start: int, end: int) -> Share:
    async def requests(revision: str) -> float:
        query = f'sum(increase({REQUESTS}{{revision="{revision}"}}[{end - start}s]))'
        return sum((await running.answers(query, end, end)).get(end, ()))

    stable, canary = [await requests(laid.revisions[role]) for role in ("Stable", "Latest")]
    return Share(step, weight, start, end, stable + canary, canary)
