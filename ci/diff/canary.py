"""Which change of an InferenceService starts a canary.

In Standard mode KServe makes a Deployment's pod template of an InferenceService, a Rollout takes its pods from there
(`workloadRef`), and Argo Rollouts starts a canary for every pod template with another hash. What is copied where, read
in KServe v0.20.0: pkg/controller/v1beta1/inferenceservice/components/predictor.go, pkg/constants/constants.go; the hash
in Argo Rollouts v1.10.2: utils/hash/hash.go.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.base.text import visible
from ci.diff import fields, text
from ci.diff.fields import Change, Path
from ci.diff.model import Effect, Field
from ci.manifests import manifests, quantities
from ci.manifests.documents import Document
from ci.results import Outcome

PREDICTOR = ("spec", "predictor")
METADATA = ("labels", "annotations")
WORKLOAD = ("spec", "workloadRef")
MADE = "ml-serving/pods"
"""Annotation of the chart's Services: what that version of it makes of the same values."""

NOT_IN_TEMPLATE = frozenset(
    {
        "autoScaling",
        "canaryTrafficPercent",
        "containerConcurrency",
        "deploymentStrategy",
        "maxReplicas",
        "minReplicas",
        "name",
        "scaleMetric",
        "scaleMetricType",
        "scaleTarget",
        "timeout",
    }
)
"""Fields of a predictor that go to the Deployment or its autoscaler, or that mean something to Knative alone."""

NOT_COPIED = frozenset(
    {
        "autoscaling.knative.dev/max-scale",
        "autoscaling.knative.dev/min-scale",
        "internal.serving.kserve.io/storage-initializer-sourceuri",
        "kubectl.kubernetes.io/last-applied-configuration",
        "modelFormat",
    }
)
"""KServe's ServiceAnnotationDisallowedList: annotations that stay on the InferenceService."""

WHY: Mapping[Path, str] = {
    ("metadata",): "KServe copies an InferenceService's labels and annotations to its pods",
    (*PREDICTOR, "labels"): "KServe gives it to the pods",
    (*PREDICTOR, "annotations"): "KServe gives it to the pods",
    (*PREDICTOR, "model", "storageUri"): "KServe writes it into an annotation of the pods",
    (*PREDICTOR, "model", "storage"): "KServe writes it into annotations of the pods",
    (*PREDICTOR, "model", "image"): "the model server's image",
    (*PREDICTOR, "model", "runtime"): "KServe takes the model server's container from it",
    (*PREDICTOR, "model", "runtimeVersion"): "KServe makes it the image's tag",
    (*PREDICTOR, "model", "modelFormat"): "KServe may choose or set up the model server by it",
    (*PREDICTOR, "model", "protocolVersion"): "KServe may choose or set up the model server by it",
    (*PREDICTOR, "model"): "part of the model server's container",
    (*PREDICTOR, "logger"): "KServe writes it into annotations of the pods",
    (*PREDICTOR, "batcher"): "KServe writes it into annotations of the pods",
    PREDICTOR: "part of the pod's spec",
    ("Rollout",): "the Rollout takes its pod template from elsewhere",
}
"""Start of a path to how the field gets into the pod template; the longest start counts."""


def effects(place: str, before: Sequence[Document], after: Sequence[Document]) -> Iterator[Effect]:
    """Yield what a change does to the pods of each model of an application.

    Args:
        place: The application, as ENV/NAME.
        before: Its objects; secrets may be hidden, as long as one that differs still does.
        after: Its objects after the change.
    """
    old_services, old_rollouts = _by_name(before, "InferenceService"), _by_name(before, "Rollout")
    was, will = _made(before), _made(after)
    by_chart = bool(was and will) and was != will
    for name, service in sorted(_by_name(after, "InferenceService").items()):
        old = old_services.get(name)
        rollout = _rollout(after, _deployment(service))
        previous = old_rollouts.get(rollout["metadata"]["name"]) if rollout else None
        if old is None or (rollout and previous is None):
            yield Effect(place, visible(name), "first")
            continue
        found = [*triggers(old, service), *_moved(previous, rollout)]
        handed_over = rollout is None and _rollout(before, _deployment(old)) is not None
        outcome: Outcome = "none"
        if found or handed_over:
            outcome = "canary" if manifests.dig(rollout, "spec", "strategy", "canary", "steps") else "update"
        innocent = bool(found) and all(map(_innocent, found))
        yield Effect(place, visible(name), outcome, tuple(map(_field, found)), innocent, bool(found) and by_chart)


def triggers(before: Document, after: Document) -> Iterator[Change]:
    """Yield the fields of an InferenceService that change its pod template.

    Args:
        before: The InferenceService.
        after: What becomes of it.
    """
    for kind in METADATA:
        yield from _metadata(kind, before, after)
    for change in fields.changes(_rest(before), _rest(after), PREDICTOR):
        if not _same_quantity(change):
            yield change


def _metadata(kind: str, before: Document, after: Document) -> Iterator[Change]:
    """Yield the labels or annotations of the pods that differ, at the place that they come from."""
    old, new = (_effective(kind, side) for side in (before, after))
    for key in sorted({*old, *new}):
        (_, was), (path, will) = old.get(key, ((), None)), new.get(key, ((), None))
        if not fields.same(was, will):
            yield Change(path or old[key][0], was, will)


def _effective(kind: str, service: Document) -> dict[str, tuple[Path, Any]]:
    """Return what the pods get: the predictor's own stand over the InferenceService's."""
    sources: tuple[tuple[Path, dict[str, Any]], ...] = (
        (("metadata", kind), _mapping(service["metadata"], kind)),
        ((*PREDICTOR, kind), _mapping(_predictor(service), kind)),
    )
    return {
        key: ((*path, key), value)
        for path, values in sources
        for key, value in values.items()
        if kind == "labels" or key not in NOT_COPIED
    }


def _rest(service: Document) -> dict[str, Any]:
    return {key: value for key, value in _predictor(service).items() if key not in {*NOT_IN_TEMPLATE, *METADATA}}


def _predictor(service: Document) -> dict[str, Any]:
    return _mapping(_mapping(service, "spec"), "predictor")


def _made(objects: Sequence[Document]) -> set[str]:
    services = _by_name(objects, "Service").values()
    return {str(made) for service in services if (made := _mapping(service["metadata"], "annotations").get(MADE))}


def _workload(rollout: Document) -> dict[str, Any]:
    return _mapping(_mapping(rollout, "spec"), "workloadRef")


def _mapping(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a mapping in a mapping; an empty one where there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _same_quantity(change: Change) -> bool:
    """Tell whether two quantities are one in two spellings: the API server keeps only one, so the hash is the same."""
    if not {"limits", "requests", "sizeLimit"} & set(change.path[-2:]) or None in (change.before, change.after):
        return False
    return quantities.same(change.before, change.after)


def _moved(before: Document | None, after: Document | None) -> Iterator[Change]:
    """Yield what differs in where a Rollout takes its pod template from."""
    if before is not None and after is not None:
        for change in fields.changes(_workload(before), _workload(after), ("Rollout", *WORKLOAD)):
            if moves(change.path[1:]):
                yield change


def moves(path: Path) -> bool:
    """Tell whether a field of a Rollout says where it takes its pod template from."""
    return path[:2] == WORKLOAD and path[2:] != ("scaleDown",)


def _deployment(service: Document) -> str:
    """Return the name that KServe gives the predictor's Deployment."""
    variant = _predictor(service).get("name")
    return "-".join([service["metadata"]["name"], *([variant] if variant else []), "predictor"])


def _rollout(documents: Sequence[Document], deployment: str) -> Document | None:
    """Return the Rollout that takes its pods from a Deployment."""
    for rollout in _by_name(documents, "Rollout").values():
        workload = _workload(rollout)
        if (workload.get("kind"), workload.get("name")) == ("Deployment", deployment):
            return rollout
    return None


def _by_name(documents: Sequence[Document], kind: str) -> dict[str, Document]:
    found = ((manifests.dig(each, "metadata", "name"), each) for each in documents if each.get("kind") == kind)
    return {name: each for name, each in found if isinstance(name, str)}


def _field(change: Change) -> Field:
    starts = (start for start in WHY if change.path[: len(start)] == start)
    why = WHY[max(starts, key=len)]
    return Field(visible(fields.shown(change.path)), text.short(change.before), text.short(change.after), why)


def _innocent(change: Change) -> bool:
    return change.path[:2] in {("metadata", kind) for kind in METADATA} or change.path[:3] in {
        (*PREDICTOR, kind) for kind in METADATA
    }
