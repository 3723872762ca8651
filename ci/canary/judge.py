"""Every shape against a canary's gates, and what came out of it."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ci.base import tasks
from ci.base.errors import CheckFailedError
from ci.canary import catalogue, engine, known_answer, replay, series
from ci.canary.assessment import Outcome, Verdict
from ci.canary.catalogue import Shape
from ci.canary.declared import Declared
from ci.canary.engine import Answers, Engine
from ci.canary.plan import Metric, Plan
from ci.canary.replay import NoAnswerError
from ci.canary.series import Sample

NO_KNOWN_ANSWER = "the application has no known answer: nothing tells a right one from a wrong one"


@dataclass(frozen=True)
class Case:
    """One shape in one target, once.

    Attributes:
        plan: The target's canary.
        shape: The shape.
        seed: Tells replays of the same shape apart.
    """

    plan: Plan
    shape: Shape
    seed: int

    @property
    def revisions(self) -> Mapping[str, str]:
        """Pod-template hashes of its own for each case: all of them share one Prometheus."""
        name = re.sub(r"\W+", "-", f"{self.plan.environment}-{self.shape.name}-{self.seed}")
        return {"Stable": f"stable-{name}", "Latest": f"canary-{name}"}

    def samples(self, declared: Declared) -> Iterator[Sample]:
        """Yield what Prometheus would have of it."""
        requests = declared.requests(self.plan.environment)
        return series.samples(self.plan, self.shape, declared.healthy, requests, self.seed, self.revisions)


def catalogued(plans: Sequence[Plan], repeat: int = 1) -> list[Case]:
    """Return every shape of the catalogue for each canary.

    Args:
        plans: The canaries.
        repeat: How often each, every time with other requests.
    """
    return [
        Case(plan, shape, seed)
        for plan in plans
        for shape in (*catalogue.faults(plan.length), *catalogue.healthy(plan.length))
        for seed in range(repeat)
    ]


async def judge(prometheus: Path, promtool: Path, cases: Sequence[Case], declared: Declared) -> list[Verdict]:
    """Replay cases, all of them over one Prometheus.

    Args:
        prometheus: The executable.
        promtool: The executable that makes its blocks.
        cases: What to replay; those of one shape stand together.
        declared: Traffic, and what healthy means.

    Raises:
        CheckFailedError: A metric asks neither Prometheus nor for the known answer.
    """
    outcomes: dict[int, Outcome] = {}
    samples = (sample for case in cases for sample in case.samples(declared))
    async with engine.running(prometheus, promtool, samples) as running, tasks.group() as group:

        async def one(number: int, case: Case) -> None:
            outcomes[number] = await _replayed(running, case)

        for number, case in enumerate(cases):
            group.start_soon(one, number, case)
    numbered = groupby(enumerate(cases), key=lambda item: (item[1].plan, item[1].shape))
    return [
        Verdict(
            plan.environment,
            shape.name,
            shape.bad,
            [outcomes[number] for number, _ in group],
            NO_KNOWN_ANSWER if shape.wrong and plan.known_answer is None else "",
        )
        for (plan, shape), group in numbered
    ]


async def answers(
    running: Engine, plan: Plan, revisions: Mapping[str, str], seconds: int, grid: int
) -> Mapping[str, Answers]:
    """Return what each query of a canary would have given, by its text.

    Args:
        running: Answers them.
        plan: The canary.
        revisions: Pod-template hash of the "Stable" and of the "Latest" revision.
        seconds: The last one that is asked about.
        grid: Seconds between two.
    """
    known: dict[str, Answers] = {}
    for metric in plan.metrics:
        if metric.query and metric.query not in known:
            known[metric.query] = await running.answers(metric.about(revisions), seconds, grid)
    return known


async def _replayed(running: Engine, case: Case) -> Outcome:
    plan, shape = case.plan, case.shape
    grid = math.gcd(plan.grid, int(shape.clock))
    known = await answers(running, plan, case.revisions, int(plan.seconds + shape.clock), grid)

    def ask(metric: Metric, second: int) -> object:
        if not metric.query:
            if plan.known_answer is None:
                raise CheckFailedError(
                    f"the gates cannot know what metric {metric.name} is answered: no AnalysisTemplate says so",
                    fix=f"annotate it with {known_answer.ANNOTATION}, as the chart does",
                )
            return plan.known_answer.wrong if shape.wrong else plan.known_answer.right
        if not shape.answering(series.at(second))[0]:
            raise NoAnswerError
        asked = int(second + shape.clock)
        assert asked % grid == 0, f"{metric.name} is measured at {second} s, of which {grid} is no divisor"
        return known[metric.query].get(asked, [])

    return replay.replay(plan, ask)
