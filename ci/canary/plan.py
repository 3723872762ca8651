"""What will judge a canary: the steps of a rendered Rollout and the metrics of its AnalysisTemplates."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import Template
from typing import Any

from ci.base import duration
from ci.base.errors import CheckFailedError
from ci.canary import conditions, known_answer
from ci.canary.conditions import RefusedError
from ci.canary.known_answer import KnownAnswer
from ci.manifests.manifests import Manifest, dig, entries, mapping, named
from ci.manifests.series import ARGUMENT
from ci.results import Finding

HELD_SECONDS = 300.0
"""How long a step without a time is taken to wait for the person who promotes."""
RETRY_SECONDS = 10.0
"""After an error the next measurement comes so much later (Argo Rollouts' DefaultErrorRetryInterval)."""
QUOTED = re.compile(r'"([^"\\]*)"')
CANARY = ("spec", "strategy", "canary")
"""Where a Rollout has it."""
ERROR_LIMIT = 4
"""Argo Rollouts' own consecutiveErrorLimit."""


class MetricsError(CheckFailedError):
    """The gates cannot take metrics as Argo Rollouts does.

    Attributes:
        findings: Which, where, and what to write.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = findings
        first, *others = findings
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(f"{first.place}: {first.message}{more}", fix=first.remedy)


@dataclass(frozen=True)
class Metric:
    """One metric of an AnalysisTemplate; the limits mean what they mean to Argo Rollouts.

    Attributes:
        name: As in the template.
        query: PromQL, its arguments filled in but for the revisions; empty for a question to the model itself.
        success: When a measurement is good; may be empty.
        failure: When it is bad; may be empty.
        interval: Seconds between two measurements; None where one is enough.
        initial_delay: Seconds before the first.
        count: After so many it is over; None: it goes on.
        failure_limit: Bad ones tolerated.
        inconclusive_limit: Ones that are neither tolerated.
        error_limit: Errors in a row tolerated.
        success_limit: Good ones in a row that end it; 0: none do.
    """

    name: str
    query: str
    success: str
    failure: str
    interval: float | None
    initial_delay: float
    count: int | None
    failure_limit: int
    inconclusive_limit: int
    error_limit: int
    success_limit: int

    def about(self, revisions: Mapping[str, str]) -> str:
        """Return its query about these pod-template hashes of the "Stable" and of the "Latest" revision."""
        return about(self.query, revisions)


def about(text: str, revisions: Mapping[str, str]) -> str:
    """Return a query, or a part of one, about these revisions; another $ is the query's own, as in "5..$"."""
    return Template(text).safe_substitute(revisions)


@dataclass(frozen=True)
class Step:
    """One step of a canary: exactly one of the three.

    Attributes:
        weight: Percent of the requests that the canary gets from here on.
        pause: Seconds to wait.
        metrics: What must be over, and good.
    """

    weight: int | None = None
    pause: float | None = None
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A canary as its Rollout has it.

    Attributes:
        environment: Name of the target it was rendered for, as ENV/APP.
        namespace: Where the series come from.
        model: Their model.
        service: Their service.
        scrape_seconds: Time between two scrapes of a pod.
        steps: In order.
        background: Measured while the steps run.
        starting_step: Index of the step from which on.
        known_answer: What its known request must be answered with; None where it has none.
    """

    environment: str
    namespace: str
    model: str
    service: str
    scrape_seconds: float
    steps: Sequence[Step]
    background: Sequence[Metric]
    starting_step: int
    known_answer: KnownAnswer | None = None

    @property
    def metrics(self) -> Sequence[Metric]:
        """All that is measured, in the background and by steps."""
        return [*self.background, *(metric for step in self.steps for metric in step.metrics)]

    def by_figures(self) -> "Plan":
        """Return this canary judged by Prometheus alone, without questions to the model itself."""

        def queried(metrics: Sequence[Metric]) -> tuple[Metric, ...]:
            return tuple(metric for metric in metrics if metric.query)

        steps = [replace(step, metrics=queried(step.metrics)) for step in self.steps]
        return replace(self, steps=steps, background=queried(self.background))

    def unnamed(self) -> "Plan":
        """Return this canary without its own names, in queries where one is all of a quoted string.

        Two canaries that are equal then ask the same about series that differ in these labels' values alone, so with
        the same traffic they are judged alike.
        """
        names = {self.service: '"<service>"', self.model: '"<model>"', self.namespace: '"<namespace>"'}

        def metrics(measured: Sequence[Metric]) -> tuple[Metric, ...]:
            return tuple(
                replace(metric, query=QUOTED.sub(lambda match: names.get(match[1], match[0]), metric.query))
                for metric in measured
            )

        steps = [replace(step, metrics=metrics(step.metrics)) for step in self.steps]
        background = metrics(self.background)
        return replace(self, environment="", namespace="", model="", service="", steps=steps, background=background)

    def weights(self) -> list[tuple[float, int]]:
        """Return each weight with the second from which on it is in force, if nothing stops the canary."""
        found, second = [], 0.0
        for step in self.steps:
            if step.weight is not None:
                found.append((second, step.weight))
            second += step.pause or 0.0
        return found

    @property
    def length(self) -> float:
        """Seconds of all pauses."""
        return sum(step.pause or 0.0 for step in self.steps)

    @property
    def seconds(self) -> float:
        """When the last step is over at the latest."""
        return self.length + sum(max(map(longest, step.metrics), default=0.0) for step in self.steps)

    @property
    def grid(self) -> int:
        """Seconds of which the time of every question to Prometheus is a multiple."""
        durations = [RETRY_SECONDS, *(step.pause for step in self.steps)]
        asked = [metric for metric in self.metrics if metric.query]
        durations += [duration for metric in asked for duration in (metric.interval, metric.initial_delay)]
        return math.gcd(*(int(each) for each in durations if each))

    def position(self, weight: int) -> int:
        """Return the index in `steps` of a weight, counted from 1."""
        return [index for index, step in enumerate(self.steps) if step.weight is not None][weight - 1]

    def index(self, number: int) -> int:
        """Return which weight, counted from 1, a step of the Rollout belongs to."""
        return sum(step.weight is not None for step in self.steps[: number + 1])


def longest(metric: Metric) -> float:
    """Return the seconds that a metric of a step can take: errors are asked again."""
    interval = metric.interval or 0.0
    return (
        metric.initial_delay + (metric.count or 1) * max(interval, RETRY_SECONDS) + metric.error_limit * RETRY_SECONDS
    )


def read(environment: str, objects: Sequence[Manifest]) -> Plan | None:
    """Return what judges the canary, or None where the values have no canary, or nothing that judges it.

    Args:
        environment: Name of the target that was rendered.
        objects: What the chart rendered.

    Raises:
        MetricsError: The gates cannot take a metric as Argo Rollouts does.
        CheckFailedError: The Rollout names what is not there.
    """
    rollout = next(iter(_canaries(objects)), None)
    canary = scraped(environment, objects)
    if rollout is None or canary is None:
        return None
    declared = rollout.dig(*CANARY)
    background = dig(declared, "analysis")
    analyses = _Analyses(objects)
    plan = replace(
        canary,
        steps=[analyses.step(step) for _, step in entries(dig(declared, "steps"))],
        background=analyses.metrics(background) if background else (),
        starting_step=dig(background, "startingStep") or 0,
    )
    if analyses.refused:
        raise MetricsError([*dict.fromkeys(analyses.refused)])
    return plan


def scraped(environment: str, objects: Sequence[Manifest]) -> Plan | None:
    """Return a canary as its pods are scraped, without a step yet; None where nothing says how.

    Args:
        environment: Name of the target that was rendered.
        objects: What the chart rendered.
    """
    monitor = next((item for item in objects if item.kind == "ServiceMonitor"), None)
    rollout = next(iter(_canaries(objects)), None)
    if monitor is None or rollout is None:
        return None
    endpoint = mapping(monitor.dig("spec", "endpoints", 0))
    labels = {item.get("targetLabel"): str(item.get("replacement")) for _, item in entries(endpoint.get("relabelings"))}
    if "interval" not in endpoint or not {"model", "service"} <= labels.keys():
        return None
    return Plan(
        environment,
        rollout.dig("metadata", "namespace"),
        labels["model"],
        labels["service"],
        duration.seconds(endpoint["interval"]),
        steps=(),
        background=(),
        starting_step=0,
        known_answer=known_answer.read([item for item in objects if item.kind == "AnalysisTemplate"]),
    )


def unread(objects: Sequence[Manifest]) -> list[Manifest]:
    """Return the Rollouts whose canary `read` does not take: it takes the first.

    Args:
        objects: What the chart rendered; none is missed where nothing that it has would judge one.
    """
    if not any(item.kind == "ServiceMonitor" for item in objects):
        return []
    return [item for item in _canaries(objects)[1:] if item.dig(*CANARY, "steps")]


def _canaries(objects: Sequence[Manifest]) -> list[Manifest]:
    return [item for item in objects if item.kind == "Rollout" and item.dig(*CANARY) is not None]


class _Analyses:
    """Reads what measures during a canary.

    Args:
        objects: What the chart rendered.

    Attributes:
        refused: Metrics that the gates cannot take as Argo Rollouts does, and why.
    """

    def __init__(self, objects: Sequence[Manifest]) -> None:
        self._objects = objects
        self.refused: list[Finding] = []

    def step(self, step: Mapping[str, Any]) -> Step:
        """Return a step of the Rollout's.

        Raises:
            CheckFailedError: It is of a kind that the gates cannot replay.
        """
        if "setWeight" in step:
            return Step(weight=step["setWeight"])
        if "pause" in step:
            given = dig(step, "pause", "duration")
            return Step(pause=HELD_SECONDS if given is None else duration.seconds(given))
        if "analysis" in step:
            return Step(metrics=self.metrics(step["analysis"]))
        raise CheckFailedError(f"a canary's step that the gates cannot replay: {', '.join(step)}")

    def metrics(self, analysis: Mapping[str, Any]) -> tuple[Metric, ...]:
        """Return what an analysis measures.

        Raises:
            CheckFailedError: It names what is not there.
        """
        found: list[Metric] = []
        given = {item["name"]: item for _, item in entries(analysis.get("args"))}
        for _, reference in entries(analysis.get("templates")):
            template = named(self._objects, "AnalysisTemplate", reference["templateName"])
            if template is None:
                raise CheckFailedError(
                    f"the Rollout names AnalysisTemplate {reference['templateName']}, which is not there"
                )
            for index, metric in enumerate(_of_template(template, given)):
                found.append(metric)
                self._check(template, index, metric)
        return tuple(found)

    def _check(self, template: Manifest, index: int, metric: Metric) -> None:
        path = ("spec", "metrics", index)
        kinds = conditions.PROMETHEUS if metric.query else conditions.ANSWERS
        for key, text in (("successCondition", metric.success), ("failureCondition", metric.failure)):
            try:
                if text:
                    conditions.require(text, kinds)
            except RefusedError as error:
                said = f"metric {metric.name}: {key}: {error.message}"
                self.refused.append(template.finding("gates", (*path, key), said, error.fix or ""))
        ranged = (*path, "provider", "prometheus", "rangeQuery")
        if template.dig(*ranged) is not None:
            said = f"metric {metric.name}: rangeQuery: the gates ask Prometheus about one moment"
            self.refused.append(template.finding("gates", ranged, said, "Write the range into the query."))


def _of_template(template: Manifest, given: Mapping[str, Any]) -> Iterator[Metric]:
    arguments = {
        item["name"]: {**item, **given.get(item["name"], {})} for _, item in entries(template.dig("spec", "args"))
    }

    def filled(text: str) -> str:
        return ARGUMENT.sub(lambda match: _argument(template, match[1], arguments), text)

    for _, metric in entries(template.dig("spec", "metrics")):
        interval, delay = metric.get("interval"), metric.get("initialDelay")
        count = metric.get("count")
        if count is None and interval is None:
            count = 1
        yield Metric(
            metric["name"],
            filled(dig(metric, "provider", "prometheus", "query") or ""),
            filled(metric.get("successCondition", "")),
            filled(metric.get("failureCondition", "")),
            duration.seconds(interval) if interval else None,
            duration.seconds(delay) if delay else 0.0,
            count,
            metric.get("failureLimit", 0),
            metric.get("inconclusiveLimit", 0),
            metric.get("consecutiveErrorLimit", ERROR_LIMIT),
            metric.get("consecutiveSuccessLimit", 0),
        )


def _argument(template: Manifest, name: str, arguments: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an argument's value; a revision's is a name of its own, for each replay has its own revisions."""
    argument = arguments.get(name, {})
    revision = dig(argument, "valueFrom", "podTemplateHashValue")
    if revision:
        return f"${{{revision}}}"
    if argument.get("value") is None:
        raise CheckFailedError(
            f"{template.file}: {template}: the gates do not know the value of its argument {name}",
            fix="Give it in the template's args, or in the Rollout's.",
        )
    return str(argument["value"])
