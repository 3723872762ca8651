"""Copies of Rollouts and AnalysisTemplates that are over within seconds, and ask where somebody answers.

All that is played otherwise than it was rendered is changed here.
"""

from collections.abc import Collection, Mapping
from typing import Any

from ci.checks.control_plane.inside import answers
from ci.manifests.documents import Document
from ci.manifests.manifests import dig, entries

INTERVAL = "1s"
ARGUMENT = "1"
"""Value of an argument that is in a Secret: it is in no git."""
CONDITIONS = ("successCondition", "failureCondition")
ANYTHING = "vector(1)"
"""A question that is good whatever is answered, in place of one that nobody can answer here."""


def rollout(document: Mapping[str, Any], namespace: str) -> Document:
    """Return a Rollout whose pauses end when they are told to.

    Args:
        document: As it was rendered.
        namespace: Where it goes if it names none.
    """
    canary = dig(document, "spec", "strategy", "canary")
    steps = [{"pause": {}} if "pause" in step else step for _, step in entries(canary.get("steps"))]
    spec = {**document["spec"], "minReadySeconds": 0, "strategy": {"canary": {**canary, "steps": steps}}}
    return {**_placed(document, namespace), "spec": spec}


def template(document: Mapping[str, Any], namespace: str, port: int, asked: Collection[int]) -> Document:
    """Return an AnalysisTemplate with short intervals, whose questions go to this container.

    Args:
        document: As it was rendered.
        namespace: Where it goes if it names none.
        port: Of the application's answers.
        asked: Indices of the metrics that are answered; any answer is good to the others.
    """
    spec = document["spec"]
    metrics = [_metric(each, port, index in asked) for index, each in entries(spec.get("metrics"))]
    changed = {**spec, "metrics": metrics, "args": [_argument(each) for _, each in entries(spec.get("args"))]}
    return {**_placed(document, namespace), "spec": changed}


def _metric(metric: Mapping[str, Any], port: int, is_asked: bool) -> Mapping[str, Any]:
    address = f"http://{answers.HOST}:{port}"
    query = dig(metric, "provider", "prometheus", "query") if is_asked else ANYTHING
    asking = (
        {"prometheus": {"address": address, "query": query}}
        if query
        else {"web": {"url": address, "jsonPath": "{$.answer}"}}
    )
    dropped = ("initialDelay", *(() if is_asked else CONDITIONS))
    kept = {key: value for key, value in metric.items() if key not in dropped}
    interval = {"interval": INTERVAL} if "interval" in metric else {}
    return {**kept, **interval, "provider": asking}


def _argument(argument: Mapping[str, Any]) -> Mapping[str, Any]:
    if dig(argument, "valueFrom", "secretKeyRef") is None:
        return argument
    return {"name": argument["name"], "value": ARGUMENT}


def _placed(document: Mapping[str, Any], namespace: str) -> Document:
    metadata = document["metadata"]
    own = {} if document["kind"].startswith("Cluster") else {"namespace": metadata.get("namespace") or namespace}
    return {**document, "metadata": {**metadata, **own}}
