"""A canary that was stopped, what its analyses measured, and whether anything of that proves it bad."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ci.cluster.kubectl import Kubectl
from ci.manifests.runtimes import CONTAINER
from ci.release import health
from ci.tree.tree import Application

MEASUREMENTS = 3
"""Of each metric that failed, the last ones are told."""
REQUESTS = "requests"
"""The chart's metric of how much traffic there is: too little of it is nobody's fault."""
STOP_SECONDS = 60.0
"""How long before an abort a metric failed at most that is its cause: a retry of before is another matter."""
DEADLINE = "timed out progressing"
"""How Argo Rollouts says that an abort is for progressDeadlineSeconds (utils/conditions/conditions.go)."""
INCONCLUSIVE = "InconclusiveAnalysisRun"
"""Why Argo Rollouts pauses a canary whose analysis came to no end."""


@dataclass(frozen=True)
class Stopped:
    """One canary that does not go on by itself.

    Attributes:
        rollout: NAMESPACE/NAME.
        revision: Pod-template hash of the canary.
        aborted: Whether stable has all requests again; else it waits for a person.
        reason: In Argo Rollouts' own words.
        measurements: A line for each metric that was not good.
        faults: A line for each thing that proves the canary bad; none where nobody has judged it.
    """

    rollout: str
    revision: str
    aborted: bool
    reason: str
    measurements: Sequence[str]
    faults: Sequence[str]


def is_stopped(rollout: Mapping[str, Any]) -> bool:
    """Tell whether a Rollout has come to rest without its new revision: aborted, or without a verdict."""
    status: Mapping[str, Any] = rollout.get("status", {})
    if status.get("abort"):  # which a person sets, and Argo Rollouts answers with the rest
        return status.get("phase") == "Degraded" and "abortedAt" in status
    return any(condition.get("reason") == INCONCLUSIVE for condition in status.get("pauseConditions", []))


async def look(kubectl: Kubectl, application: Application) -> Stopped | None:
    """Return how the very set that the tree wants was stopped, or None where that set was not.

    What was stopped is what the canary's ReplicaSet runs. The InferenceService and the Deployment tell what comes next:
    after a revert they have the former set again while the Rollout still shows the abort of the other.

    Args:
        kubectl: On the environment's cluster.
        application: As the tree has it.
    """
    predictor = f"{application.name}-predictor"
    rollout = await kubectl.get("rollouts.argoproj.io", predictor, application.namespace)
    if rollout is None or not is_stopped(rollout):
        return None
    status = rollout["status"]
    revision = status.get("currentPodHash", "")
    selector = f"rollouts-pod-template-hash={revision}"
    canaries = await kubectl.get_list("replicasets.apps", application.namespace, selector)
    if health.wanted(application.release) not in [health.runs(canary["spec"]["template"]) for canary in canaries]:
        return None
    runs = await kubectl.get_list("analysisruns.argoproj.io", application.namespace, selector)
    faults: list[str] = []
    if status.get("abort"):
        faults = [line for run in runs for line in judged(run, datetime.fromisoformat(status["abortedAt"]))]
        if DEADLINE in status.get("message", ""):
            pods = await kubectl.get_list("pods", application.namespace, selector)
            faults += [line for pod in pods for line in crashed(pod)]
    return Stopped(
        f"{application.namespace}/{predictor}",
        revision,
        bool(status.get("abort")),
        status.get("message", "aborted"),
        [line for run in runs for line in measured(run)],
        faults,
    )


def measured(run: Mapping[str, Any]) -> list[str]:
    """Return a line for each metric of an AnalysisRun that is not good, with its last values."""
    return [_told(run, metric) for metric in _metrics(run) if metric["phase"] not in ("Successful", "Running")]


def judged(run: Mapping[str, Any], aborted_at: datetime) -> list[str]:
    """Return a line for each metric by which an analysis found a canary bad, and had it aborted.

    Figures that were not there, or could not be asked for, found nothing, and neither did a metric that only looks on.

    Args:
        run: The AnalysisRun.
        aborted_at: When the Rollout was aborted.
    """
    return [
        _told(run, metric)
        for metric in _metrics(run)
        if metric["phase"] == "Failed" and metric["name"] != REQUESTS and _decided(metric, aborted_at)
    ]


def crashed(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the model server of a pod ended by itself, and ends again and again.

    It ends so where the model cannot be loaded, and where its files are not the pinned ones. What keeps a pod from
    starting besides says nothing of the version: no room or GPU, a registry or a model's store that does not answer, a
    Secret that is missing. Neither does a server that is slow.

    Args:
        pod: The canary's.
    """
    for status in pod.get("status", {}).get("containerStatuses", []):
        ended = status.get("lastState", {}).get("terminated", {})
        if status["name"] == CONTAINER and not status.get("ready") and ended.get("exitCode"):
            reason, message = ended.get("reason", "Error"), " ".join(ended.get("message", "").split())
            how = f"{reason}, exit code {ended['exitCode']}, {status.get('restartCount', 1)} times"
            yield f"{CONTAINER}: {how}{f': {message}' if message else ''}; Pod {pod['metadata']['name']}"


def _metrics(run: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (metric for metric in run.get("status", {}).get("metricResults", []) if not metric.get("dryRun"))


def _decided(metric: Mapping[str, Any], aborted_at: datetime) -> bool:
    """Tell whether the last measurement of a metric that failed is a figure, and the reason of an abort."""
    last = metric.get("measurements", [{}])[-1]
    if last.get("phase") != "Failed" or not _figure(last.get("value")):
        return False
    before = (aborted_at - datetime.fromisoformat(last["finishedAt"])).total_seconds()
    return abs(before) <= STOP_SECONDS


def _figure(value: str | None) -> bool:
    """Tell whether a measurement has a value at all: a Job's has none, and a query's may be empty or NaN."""
    if not value:
        return True
    try:
        found = json.loads(value)
    except ValueError:  # +Inf, say, or text
        return True
    listed = found if isinstance(found, list) else [found]
    return any(not (each is None or (isinstance(each, float) and math.isnan(each))) for each in listed)


def _told(run: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    last = metric.get("measurements", [])[-MEASUREMENTS:]
    told = [f"{item.get('value') or item.get('message') or 'no value'} ({item['phase']})" for item in last]
    counts = ", ".join(
        f"{metric[word]} {word}" for word in ("successful", "failed", "inconclusive", "error") if metric.get(word)
    )
    return f"{metric['name']}: {metric['phase']}: {', '.join(told)}; {counts}; AnalysisRun {run['metadata']['name']}"
