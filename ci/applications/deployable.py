"""What a cluster under test cannot hold, found before one is started or touched."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from ci.manifests.documents import Document

WAY_OUT = (
    "Change it under throwaway.values in ml-serving-ci.toml, which report and evidence will list, "
    "or test on a cluster of yours that has it: --kubeconfig FILE"
)
ON_EXISTING = "Change it under cluster.values in ml-serving-ci.toml, which report and evidence will list"
"""The way out on a cluster that is there, where an application gets a namespace of its own."""
RUNTIMES = ("ServingRuntime", "ClusterServingRuntime")
CLOUD_IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
"""Annotations of a service account that stand for credentials of a cloud."""


def objections(documents: Sequence[Document], memory: float | None) -> Iterator[str]:
    """Yield what the cluster under test lacks of what an application asks for, a line each.

    Args:
        documents: The application, rendered.
        memory: Bytes that this machine has; None on a cluster that is there, whose nodes and cloud decide themselves.
    """
    own = {(each["kind"], each["metadata"]["name"]) for each in documents}
    for document in documents:
        who = f"{document['kind']} {document['metadata']['name']}"
        if memory is not None:
            yield from (f"{who}: {lack}" for lack in _lacks(document, memory))
        for container in _containers(document):
            for secret in _secrets(container):
                if ("Secret", secret) not in own:
                    yield f"{who}: reads Secret {secret}, which is not there"
        for uri in _uris(document):
            if uri.startswith("pvc://"):
                yield f"{who}: {uri} is a volume of another namespace"


def without_runtime(documents: Sequence[Document], runtimes: Collection[str]) -> Iterator[str]:
    """Yield each serving runtime that an application names and nobody brings, in a line.

    Args:
        documents: The application, rendered.
        runtimes: Those of the cluster.
    """
    own = {each["metadata"]["name"] for each in documents if each["kind"] in RUNTIMES}
    for document in documents:
        model = ((document.get("spec") or {}).get("predictor") or {}).get("model") or {}
        name = model.get("runtime") if document["kind"] == "InferenceService" else None
        if name is not None and name not in own and name not in runtimes:
            who = f"InferenceService {document['metadata']['name']}"
            yield f"{who}: no serving runtime is called {name}; there are {', '.join(sorted({*own, *runtimes}))}"


def _lacks(document: Document, memory: float) -> Iterator[str]:
    """Yield what this machine, and no cloud, lacks of what an object asks for."""
    annotations = document["metadata"].get("annotations") or {}
    for key in CLOUD_IDENTITIES:
        if document["kind"] == "ServiceAccount" and key in annotations:
            yield f"{key} is an identity of a cloud"
    for container in _containers(document):
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, amount in asked.items():
            if "/" in name:
                yield f"asks for {name}"
            elif name == "memory" and parse_quantity(amount) > memory:
                yield f"asks for {amount} of memory, and this machine has {memory / (1 << 30):.0f} GiB"


def _containers(document: Document) -> Iterator[Mapping[str, Any]]:
    predictor = (document.get("spec") or {}).get("predictor") or {}
    for value in predictor.values():
        if isinstance(value, Mapping) and ("resources" in value or "env" in value):
            yield value
    for pod in (predictor, ((document.get("spec") or {}).get("template") or {}).get("spec") or {}):
        for key in ("containers", "initContainers"):
            yield from (each for each in pod.get(key) or () if isinstance(each, Mapping))


def _secrets(container: Mapping[str, Any]) -> Iterator[str]:
    for each in container.get("env") or ():
        reference = (each.get("valueFrom") or {}).get("secretKeyRef") or {}
        if "name" in reference and not reference.get("optional"):
            yield str(reference["name"])
    for each in container.get("envFrom") or ():
        reference = each.get("secretRef") or {}
        if "name" in reference and not reference.get("optional"):
            yield str(reference["name"])


def _uris(document: Document) -> Iterator[str]:
    model = ((document.get("spec") or {}).get("predictor") or {}).get("model") or {}
    if isinstance(model, Mapping) and isinstance(model.get("storageUri"), str):
        yield model["storageUri"]
