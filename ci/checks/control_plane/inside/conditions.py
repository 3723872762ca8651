"""Conditions of AnalysisTemplates, whoever uses them: Argo Rollouts evaluates each, on answers of several kinds.

What it says of every one of them, it says of the condition: on a cluster no measurement would ever end otherwise.
"""

import http
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from ci.checks.control_plane.inside import answers
from ci.checks.control_plane.inside.answers import Moment
from ci.checks.control_plane.inside.api import Api, Document

TEMPLATES = ("AnalysisTemplate", "ClusterAnalysisTemplate")
FIELDS = ("successCondition", "failureCondition")
ANSWERS: Mapping[str, Any] = {"list": [1], "number": 1, "object": {"answer": 1}}
"""By what the measurement of one is called."""
NAMESPACE = "default"
RUNS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/analysisruns"
ARGUMENT = "1"
"""Value of an argument that gets its own from what is rolled out."""
SIGN = "=="
"""Another, for it may be that as well."""
BEGINS = "could not evaluate"
"""How Argo Rollouts begins to say what is wrong with a condition."""
SECONDS = 30.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Condition:
    """A condition, with what is put into it.

    Attributes:
        field: Which of a metric's it is.
        text: It.
        arguments: Names and values.
    """

    field: str
    text: str
    arguments: tuple[tuple[str, str], ...]


def arguments(template: Mapping[str, Any], otherwise: str = ARGUMENT) -> list[dict[str, str]]:
    """Return values for the arguments of a template.

    Args:
        template: Its spec.
        otherwise: Value of those that have none.
    """
    return [{"name": each["name"], "value": each.get("value", otherwise)} for each in template.get("args") or ()]


def of(document: Document) -> Iterator[tuple[str, Sequence[Condition]]]:
    """Yield the conditions of an object, each with its place there as Kubernetes writes one, and by all it may be."""
    if document["kind"] not in TEMPLATES:
        return
    spec = document["spec"]
    for index, metric in enumerate(spec.get("metrics") or ()):
        for field in FIELDS:
            if text := metric.get(field):
                ways = [arguments(spec, each) if "{{" in text else [] for each in (ARGUMENT, SIGN)]
                filled = (Condition(field, text, tuple((each["name"], each["value"]) for each in way)) for way in ways)
                yield f"spec.metrics[{index}].{field}", list(dict.fromkeys(filled))


def judge(api: Api, conditions: Sequence[Condition]) -> dict[Condition, str]:
    """Return what Argo Rollouts has against conditions, whatever is answered; nothing of those that it takes.

    Raises:
        SystemExit: It did not come to an end with them.
    """
    if not conditions:
        return {}
    with ExitStack() as servers:
        ports = {
            name: servers.enter_context(answers.served(0, partial(Moment, 0, {}, answer)))
            for name, answer in ANSWERS.items()
        }
        runs = {f"condition-{number}": _run(each, ports) for number, each in enumerate(conditions)}
        for name, spec in runs.items():
            _start(api, name, spec)
        ended = _ended(api, runs)
    found = zip(conditions, map(said, ended), strict=True)
    return {condition: message for condition, message in found if message}


def said(status: Mapping[str, Any]) -> str:
    """Return what Argo Rollouts says of a condition on every answer; empty where it depends on the answer.

    Args:
        status: Of the AnalysisRun.
    """
    messages = {each["measurements"][-1].get("message", "") for each in status["metricResults"]}
    message = messages.pop()
    return message if message.startswith(BEGINS) and not messages else ""


def _run(condition: Condition, ports: Mapping[str, int]) -> Document:
    """Return the spec of an AnalysisRun that evaluates a condition on every answer, once."""
    return {
        "args": [{"name": name, "value": value} for name, value in condition.arguments],
        "metrics": [
            {
                "name": name,
                condition.field: condition.text,
                "consecutiveErrorLimit": 0,
                "provider": {"web": {"url": f"http://{answers.HOST}:{port}", "jsonPath": "{$.answer}"}},
            }
            for name, port in ports.items()
        ],
    }


def _start(api: Api, name: str, spec: Document) -> None:
    metadata = {"name": name, "namespace": NAMESPACE}
    run = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": metadata, "spec": spec}
    code, answer = api.apply(run)
    if code >= http.HTTPStatus.BAD_REQUEST:
        raise SystemExit(f"AnalysisRun {name}: {answer.get('message')}")


def _ended(api: Api, runs: Mapping[str, Document]) -> list[Mapping[str, Any]]:
    """Return the status of each AnalysisRun once all of them have measured."""
    until = time.monotonic() + SECONDS
    while True:
        there = {each["metadata"]["name"]: each.get("status", {}) for each in api.items(RUNS)}
        waiting = [name for name in runs if len(there[name].get("metricResults") or ()) < len(ANSWERS)]
        if not waiting:
            return [there[name] for name in runs]
        if time.monotonic() > until:
            raise SystemExit(f"Argo Rollouts has not evaluated {len(waiting)} conditions within {SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
