"""What the controllers make of applied objects: what they refuse, and what they have not come to yet.

Pure: of the objects as the API server has them, nothing else. Conditions are believed before events, which tell of
conflicts that the next turn settles.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]

CONFLICT = "the object has been modified"
"""Of two controllers that write one object at once; the next turn settles it."""
NO_NODE = ("MinimumReplicasUnavailable", "Stopped")
"""Reasons for which something is not ready that is as it should be: no node runs its pods, or it is to have none."""
STOPPED = (
    'metadata.annotations: "serving.kserve.io/stop" has KServe make no Deployment, whose pods a Rollout would take'
)
"""Said of an InferenceService, for nobody else does."""
COMPONENTS = ("predictor", "transformer", "explainer")
"""Of an InferenceService, a Deployment each."""
WORKLOADS = ("StatefulSet", "DaemonSet", "Job")
"""Kinds beside ReplicaSets whose controllers make pods, and tell by an event that they cannot."""
MONITORS = ("ServiceMonitor", "PodMonitor", "Probe")
"""Kinds that the Prometheus operator makes scraping of."""
LEFT_OUT = "InvalidConfiguration"
"""Reason for which the operator makes none of one."""
OWN_CLASS = re.compile("scrapeClassName: ")
"""Of a class that only a cluster's own Prometheus may have."""


@dataclass(frozen=True)
class Complaint:
    """What somebody has against an applied object.

    Attributes:
        uid: The object's.
        said: In their own words.
        reason: Their word for the kind of it, where there is one.
    """

    uid: str
    said: str
    reason: str = ""


@dataclass
class Verdict:
    """What is known of some objects.

    Attributes:
        complaints: What is wrong with them.
        waiting: For what nobody has come to a decision, in words, with the uid of what it is about.
    """

    complaints: list[Complaint] = field(default_factory=list)
    waiting: list[tuple[str, str]] = field(default_factory=list)


def of(applied: Sequence[Document], seen: Sequence[Document]) -> Verdict:
    """Judge the objects of one application.

    Args:
        applied: What was applied, as the API server answered.
        seen: What the API server has now: these and what was made of them, with events.
    """
    things = _Things(applied, seen)
    verdict = Verdict()
    stopped = []
    for document in applied:
        now = things.by_uid.get(_uid(document))
        if now is not None and now["kind"] in JUDGES:
            JUDGES[now["kind"]](now, things, verdict)
            if _true(now, "Stopped"):
                stopped.append(now)
    missed = [each for each in stopped if any(is_echo(one.said, [each]) for one in verdict.complaints)]
    verdict.complaints += (Complaint(_uid(each), STOPPED, "Stopped") for each in missed)
    return verdict


def is_echo(said: str, refused: Iterable[Document]) -> bool:
    """Tell whether all that is said is that another object is not there, or not right.

    Args:
        said: Of an object.
        refused: Others of its application that are refused themselves.
    """
    return any(
        re.search(rf"""["'/]{re.escape(name)}["'] not found""", said) or f"AnalysisTemplate {name}: " in said
        for each in refused
        for name in _names(each)
    )


def _names(document: Document) -> Iterator[str]:
    """Yield the names of an object, and of what KServe makes of it."""
    name = str(document["metadata"].get("name"))
    yield name
    if document["kind"] == "InferenceService":
        yield from (f"{name}-{component}" for component in COMPONENTS)


class _Things:
    """What there is, by what it belongs to."""

    def __init__(self, applied: Sequence[Document], seen: Sequence[Document]) -> None:
        self.by_uid = {_uid(each): each for each in seen if each["kind"] != "Event"}
        self._roots = {_uid(each) for each in applied}
        self._events: dict[str, list[Document]] = {}
        for each in seen:
            if each["kind"] == "Event" and each.get("type") == "Warning" and CONFLICT not in each.get("message", ""):
                self._events.setdefault(each["involvedObject"].get("uid", ""), []).append(each)
        self._made: dict[str, list[Document]] = {}
        for each in self.by_uid.values():
            for owner in each["metadata"].get("ownerReferences", ()):
                self._made.setdefault(owner["uid"], []).append(each)

    def made_of(self, document: Document) -> Iterator[Document]:
        """Yield what controllers made of an object, directly or not, but no other applied one."""
        for each in self._made.get(_uid(document), ()):
            if _uid(each) not in self._roots:
                yield each
                yield from self.made_of(each)

    def warnings(self, document: Document) -> list[Document]:
        """Return the events that warn of an object."""
        return self._events.get(_uid(document), [])


def _inference_service(document: Document, things: _Things, verdict: Verdict) -> None:
    """An InferenceService is ready, but for the pods that no node runs; or KServe says why it makes nothing of it."""
    conditions = [each for each in _conditions(document) if each["type"].endswith("Ready")]
    refused = [each for each in conditions if each["status"] == "False" and each.get("reason") not in NO_NODE]
    # KServe repeats in Ready what it says of a part
    said = _messages(each for each in refused if each["type"] != "Ready") or _messages(refused)
    if said:
        verdict.complaints += (Complaint(_uid(document), message, reason) for message, reason in said)
        return
    if conditions and all(each["status"] == "True" or each.get("reason") in NO_NODE for each in conditions):
        _workloads(document, things, verdict)
        return
    # of a storageUri whose scheme nobody knows an event alone tells, and of a runtime it tells more than the status
    failure = document.get("status", {}).get("modelStatus", {}).get("lastFailureInfo") or {}
    for told in (*things.warnings(document)[-1:], failure):
        if told.get("message"):
            verdict.complaints.append(Complaint(_uid(document), told["message"], told.get("reason", "")))
            return
    verdict.waiting.append((_uid(document), f"{_name(document)}: KServe has not made its Deployment yet"))


def _rollout(document: Document, things: _Things, verdict: Verdict) -> None:
    """A Rollout has its first pods, or Argo Rollouts says what is wrong with it."""
    if invalid := _true(document, "InvalidSpec"):
        verdict.complaints += (Complaint(_uid(document), message, reason) for message, reason in _messages(invalid))
        return
    made = [each for each in things.made_of(document) if each["kind"] == "ReplicaSet"]
    newest = max(made, key=lambda each: each["metadata"].get("creationTimestamp", ""), default=None)
    if newest is None:
        verdict.waiting.append((_uid(document), f"{_name(document)}: Argo Rollouts has not made its ReplicaSet yet"))
        return
    asked = 0 if is_canary(document) else document["spec"].get("replicas", 1)  # of a canary as many as its step says
    if newest["spec"]["replicas"] < asked:  # it is made to have none, and scaled later
        verdict.waiting.append((_uid(document), f"{_name(document)}: its ReplicaSet is not to have its pods yet"))
        return
    _workloads(document, things, verdict)


def is_canary(rollout: Document) -> bool:
    """Tell whether a Rollout has pods of another revision beside the stable ones, or is to have them."""
    status = rollout.get("status", {})
    stable = status.get("stableRS")
    return bool(stable) and stable != status.get("currentPodHash")


def _workload(document: Document, things: _Things, verdict: Verdict) -> None:
    """A workload of Kubernetes' own has its pods, or its controller says why it cannot make them."""
    if document["kind"] == "Deployment" and not any(each["kind"] == "ReplicaSet" for each in things.made_of(document)):
        verdict.waiting.append((_uid(document), f"{_name(document)}: no ReplicaSet yet"))
        return
    _workloads(document, things, verdict)


def _workloads(document: Document, things: _Things, verdict: Verdict) -> None:
    """Whatever was made of an object, or it is itself, to make pods of: it has them, or says why not."""
    for each in (document, *things.made_of(document)):
        if each["kind"] not in ("ReplicaSet", *WORKLOADS):
            continue
        said = [message for message, _ in _messages(_true(each, "ReplicaFailure"))]
        said = said or [one["message"] for one in things.warnings(each) if one.get("reason") == "FailedCreate"][-1:]
        if said:
            verdict.complaints.append(Complaint(_uid(document), _without_pod(said[0], each), "FailedCreate"))
        elif _lacks_pods(each):
            verdict.waiting.append((_uid(document), f"{_name(document)}: its pods are not made yet"))


def _lacks_pods(workload: Document) -> bool:
    """Tell whether pods are still to be made that a workload asks for; a DaemonSet asks for none without nodes."""
    spec, status = workload["spec"], workload.get("status", {})
    if workload["kind"] == "ReplicaSet":
        return bool(status.get("replicas", 0) < spec["replicas"])
    if workload["kind"] == "StatefulSet":  # the second pod waits for the first to be ready
        return bool(spec["replicas"] and not status.get("replicas"))
    if workload["kind"] == "Job":  # one that is suspended, or over at once, has a condition
        return bool(spec["parallelism"] and not status.get("active") and not status.get("conditions"))
    return False


def _analysis_run(document: Document, _things: _Things, verdict: Verdict) -> None:
    """An AnalysisRun that is to measure nothing ends at once, or Argo Rollouts says what is wrong with its metrics."""
    status = document.get("status", {})
    if status.get("phase") == "Error":
        verdict.complaints.append(Complaint(_uid(document), status.get("message", ""), "Error"))
    elif not status.get("phase"):
        verdict.waiting.append((_uid(document), f"{_name(document)}: Argo Rollouts has not looked at it yet"))


def _monitor(document: Document, _things: _Things, verdict: Verdict) -> None:
    """What tells a Prometheus whom to scrape is taken by the operator, or it says why it leaves it out."""
    told = [
        condition
        for binding in document.get("status", {}).get("bindings") or ()
        for condition in binding["conditions"]
        if condition.get("observedGeneration") == document["metadata"]["generation"]
    ]
    if not told:
        said = f"{_name(document)}: the Prometheus operator has not looked at it yet"
        verdict.waiting.append((_uid(document), said))
    refused = (each for each in told if each["status"] == "False" and not OWN_CLASS.match(each.get("message", "")))
    verdict.complaints += (Complaint(_uid(document), said, LEFT_OUT) for said, _ in _messages(refused))


def _messages(conditions: Iterable[Document]) -> list[tuple[str, str]]:
    """Return message and reason of conditions, each once."""
    return list(dict.fromkeys((each["message"], each.get("reason", "")) for each in conditions if each.get("message")))


def _without_pod(said: str, owner: Document) -> str:
    """Return what is said of a pod, whose name ends otherwise at each attempt, as said of pods of its owner."""
    name = owner["metadata"]["name"]
    before, found, after = said.partition(f'"{name}-')
    return f'{before}"{name}{after[after.find(chr(34)) :]}' if found else said


def _conditions(document: Document) -> Sequence[Document]:
    return document.get("status", {}).get("conditions") or ()


def _true(document: Document, name: str) -> list[Document]:
    """Return the condition of a name, if it holds."""
    return [each for each in _conditions(document) if (each["type"], each["status"]) == (name, "True")]


def _uid(document: Document) -> str:
    return str(document["metadata"]["uid"])


def _name(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


JUDGES = {
    "InferenceService": _inference_service,
    "Rollout": _rollout,
    "AnalysisRun": _analysis_run,
    **dict.fromkeys(MONITORS, _monitor),
    "Deployment": _workload,
    **dict.fromkeys(WORKLOADS, _workload),
}
