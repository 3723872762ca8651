"""What the pods of an application are made of, and what becomes of them by a change.

Pure: of the objects as the API server has them, nothing else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace and name."""

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
STRONGEST = ("canary", "update", "first", "none")
"""What becomes of pods, as ci/results.py has it; of several workloads of one object the first of these counts."""


@dataclass(frozen=True)
class Pods:
    """What one workload makes its pods of.

    Attributes:
        template: Tells it from any other.
        rollout: Whether a Rollout moves them from one to the next.
        steps: Whether it does so in steps.
    """

    template: str
    rollout: bool = False
    steps: bool = False


def of(applied: Sequence[Document], seen: Sequence[Document]) -> dict[Key, dict[Key, Pods]]:
    """Return the workloads of an application, below the applied object that each is made of.

    Args:
        applied: What was applied, as the API server answered.
        seen: What the API server has now.
    """
    roots = {each["metadata"]["uid"] for each in applied}
    there = {each["metadata"]["uid"]: each for each in seen}
    rollouts = dict(_takers(applied, seen))
    found: dict[Key, dict[Key, Pods]] = {}
    for each in seen:
        if each["kind"] not in WORKLOADS or "workloadRef" in each["spec"]:
            continue
        root, pods = _root(each, there, roots), _made_of(rollouts.get(key(each), each))
        if root is not None and pods.template:  # of a Rollout that was refused nobody has made any
            found.setdefault(key(root), {})[key(each)] = pods
    return found


def outcomes(before: Mapping[Key, Mapping[Key, Pods]], after: Mapping[Key, Mapping[Key, Pods]]) -> dict[Key, str]:
    """Return what becomes of the pods of each object that has some after a change.

    Args:
        before: What `of` returned of it before.
        after: The same, after it.
    """
    return {
        root: min((_outcome(before.get(root, {}).get(name), pods) for name, pods in own.items()), key=STRONGEST.index)
        for root, own in after.items()
    }


def behind(applied: Sequence[Document], seen: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """Yield the Rollouts that Argo Rollouts has not looked at as they are now: uid and, in words, what is missing."""
    there = {each["metadata"]["uid"]: each for each in seen}
    takers = {rollout["metadata"]["uid"]: name for name, rollout in _takers(applied, seen)}
    generations = {key(each): each["metadata"].get("generation") for each in seen}
    for each in applied:
        rollout = there.get(each["metadata"]["uid"])
        if rollout is None or rollout["kind"] != "Rollout":
            continue
        status = rollout.get("status", {})
        wanted = [(status.get("observedGeneration"), rollout["metadata"]["generation"])]
        refused = any((one["type"], one["status"]) == ("InvalidSpec", "True") for one in status.get("conditions") or ())
        if not refused and (deployment := takers.get(each["metadata"]["uid"])) in generations:
            wanted.append((status.get("workloadObservedGeneration"), generations[deployment]))
        if any(str(observed) != str(now) for observed, now in wanted):
            said = f"Rollout {rollout['metadata']['name']}: Argo Rollouts has not looked at it yet"
            yield each["metadata"]["uid"], said


def key(document: Document) -> Key:
    """Return what tells an object from others of the same API."""
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def _outcome(before: Pods | None, after: Pods) -> str:
    if before is None or (after.rollout and not before.rollout):
        return "first"
    if before.template == after.template:
        return "none"
    return "canary" if after.steps else "update"


def _made_of(document: Document) -> Pods:
    if document["kind"] != "Rollout":
        return Pods(json.dumps(document["spec"]["template"]))
    canary = document["spec"].get("strategy", {}).get("canary") or {}
    return Pods(document.get("status", {}).get("currentPodHash", ""), True, bool(canary.get("steps")))


def _takers(applied: Sequence[Document], seen: Sequence[Document]) -> Iterator[tuple[Key, Document]]:
    """Yield the applied Rollouts that take their pods from a workload, each behind that one's key."""
    roots = {each["metadata"]["uid"] for each in applied}
    for each in seen:
        reference = each.get("spec", {}).get("workloadRef")
        if each["kind"] == "Rollout" and each["metadata"]["uid"] in roots and reference:
            yield (reference.get("kind", ""), each["metadata"]["namespace"], reference.get("name", "")), each


def _root(document: Document, there: Mapping[str, Document], roots: set[str]) -> Document | None:
    """Return the applied object that one was made of, directly or not; itself where it was applied."""
    while document["metadata"]["uid"] not in roots:
        owners = [each["uid"] for each in document["metadata"].get("ownerReferences", ()) if each["uid"] in there]
        if not owners:
            return None
        document = there[owners[0]]
    return document
