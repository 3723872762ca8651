"""What serves an application's models, as its manifests have it: the server itself, and what it is given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.manifests import documents
from ci.manifests.manifests import dig, entries, mapping
from ci.manifests.runtimes import BESIDE, CONTAINER, beside

ITS_OWN = frozenset(
    {
        "activeDeadlineSeconds",
        "affinity",
        "annotations",
        "autoScaling",
        "canaryTrafficPercent",
        "deploymentStrategy",
        "imagePullSecrets",
        "labels",
        "maxReplicas",
        "minReplicas",
        "nodeName",
        "nodeSelector",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "scaleMetric",
        "scaleMetricType",
        "scaleTarget",
        "schedulerName",
        "schedulingGates",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
    }
)
"""Fields of a predictor by which an environment has its own: how many pods, where, by whose rights."""
OF_A_POD = frozenset(
    {
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "ports",
        "readinessProbe",
        "resizePolicy",
        "resources",
        "securityContext",
        "startupProbe",
        "terminationMessagePath",
        "terminationMessagePolicy",
    }
)
"""Fields of a container by which an environment has its own: what it uses, how it comes and goes."""
ELSEWHERE = frozenset({"command", "env", "image", "name", "protocolVersion", "runtime", "storageUri"})
"""Fields of the server's container that are compared with the set, by `served_by`, or one by one."""
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HOOKS = ("postStart", "preStop")
READ_BY = ("istio.io", "kserve.io")
"""Domains of annotations by which the mesh and KServe make another pod: its proxy, its mounts, its routes."""
HARMLESS = frozenset(
    {
        "serving.kserve.io/autoscalerClass",
        "serving.kserve.io/deploymentMode",
        *(f"sidecar.istio.io/proxy{name}" for name in ("CPU", "CPULimit", "Memory", "MemoryLimit")),
    }
)
"""Annotations of these by which an environment has its own number of pods, and resources of the proxy."""


def served_by(manifests: str, name: str) -> list[str]:
    """Return what serves each InferenceService: runtime, format and protocol, and a container's own command."""
    found = []
    for _, predictor, containers in _predictors(manifests, name):
        model = mapping(predictor.get("model"))
        older = [key for key, each in predictor.items() if key != "model" and "storageUri" in mapping(each)]
        keys = [*older, model.get("runtime"), dig(model, "modelFormat", "name"), model.get("protocolVersion")]
        commands = [each.get("command") for each in containers]
        said = [each for each in keys if each] + [" ".join(map(str, each)) for each in commands if each]
        found.append(" ".join(map(str, said)))
    return sorted(found)


def given(manifests: str, name: str) -> dict[str, Any]:
    """Return what each model server is given, by what people call it: arguments, variables, and what runs beside it."""
    found: dict[str, Any] = {}
    for service, predictor, containers in _predictors(manifests, name):
        for key, value in mapping(predictor.get("annotations")).items():
            if _is_read(key):
                found[f"annotation {key} of {service}"] = value
        for key, value in predictor.items():
            if key not in ITS_OWN and key not in ("model", *BESIDE) and "storageUri" not in mapping(value):
                found[f"{key} of {service}"] = value
        for container in containers:
            place = f"of {service}" + (f" ({container['name']})" if "name" in container else "")
            found |= {f"{key} {place}": container[key] for key in container if key not in OF_A_POD | ELSEWHERE}
            found |= {f"{key} {place}": command for key, command in _run_within(container)}
            for _, variable in entries(container.get("env")):
                found[f"env {variable.get('name')} {place}"] = variable
        for key, _, container in beside(predictor):
            kept = {field: value for field, value in container.items() if field not in OF_A_POD}
            found[f"{key} of {service} ({container.get('name')})"] = kept | dict(_run_within(container))
    return found


def by_tag(manifests: str, name: str) -> dict[str, str]:
    """Return the images of containers beside each model server that have no digest, by what people call them."""
    return {
        f"{key} of {service} ({container.get('name')})": str(container["image"])
        for service, predictor, _ in _predictors(manifests, name)
        for key, _, container in beside(predictor)
        if "@" not in str(container.get("image") or "@")
    }


def _run_within(container: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a container's probes and hooks run in it; how often, and for how long, is an environment's own."""
    asked = [(key, dig(container, key, "exec")) for key in PROBES]
    asked += [(f"lifecycle.{key}", dig(container, "lifecycle", key, "exec")) for key in HOOKS]
    yield from ((key, command) for key, command in asked if command)


def _is_read(annotation: str) -> bool:
    domain = f".{annotation.partition('/')[0]}"
    return annotation not in HARMLESS and any(domain.endswith(f".{each}") for each in READ_BY)


def _predictors(manifests: str, name: str) -> Iterator[tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]]:
    """Yield the name of each InferenceService, its predictor, and the containers that serve."""
    for document in documents.parse(manifests, name):
        if document.get("kind") == "InferenceService":
            predictor = mapping(dig(document, "spec", "predictor"))
            handed_on = {**mapping(dig(document, "metadata", "annotations")), **mapping(predictor.get("annotations"))}
            predictor = {**predictor, "annotations": handed_on}  # KServe's, to the pods
            model = mapping(predictor.get("model"))
            own = [each for _, each in entries(predictor.get("containers")) if each.get("name") == CONTAINER]
            containers = [each for each in (model, *own) if each]
            yield str(dig(document, "metadata", "name")), predictor, containers
