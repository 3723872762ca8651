"""Manifests as parsed documents: read, found, edited, labelled; text is never patched."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import kubernetes_yaml
from ci.project import MANIFESTS

Document = dict[str, Any]
MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "ml-serving-ci"
CLUSTER_WIDE = ("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding")
"""Kinds in upstream's manifests that have no namespace."""
KUSTOMIZE = "kustomize.config.k8s.io"
"""Group of what kustomize reads and no cluster gets."""

Identity = tuple[str, str, str, str]
"""API group, kind, namespace, name."""


def parse(text: str, name: str = "manifest") -> list[Document]:
    """Return the objects of a manifest; what a List has is there by itself, as it will be on the cluster.

    Args:
        text: The manifest.
        name: What errors call it.

    Raises:
        UsageError: It is not YAML to Kubernetes, or a document in it is not a mapping.
    """
    found: list[Document] = []
    for document in kubernetes_yaml.stream(text, name):
        if not isinstance(document, dict):
            raise UsageError(f"{name}: a document in it is not a mapping", fix="Leave objects alone in it.")
        found += flattened(document)
    return found


def of_file(content: bytes, path: str) -> list[Document] | None:
    """Return the objects of a file of plain manifests; None for one that is not one, such as a patch or a README.

    Args:
        content: The file.
        path: Its path.
    """
    if not is_applied(path):
        return None
    try:
        _, text = kubernetes_yaml.decoded(content, path)
        found = parse(text, path)
    except UsageError:
        return None
    return found if all(map(_is_object, found)) else None


def is_applied(path: str) -> bool:
    """Tell whether `kubectl apply -f FOLDER` reads a file of this name; to Go `.yaml` has that suffix, too."""
    return path.endswith(MANIFESTS)


def located(content: bytes, path: str) -> Iterator[tuple[int, Document]]:
    """Yield the objects of a file, each with the line where its document begins; none of what is no manifest.

    Args:
        content: The file.
        path: Its path.
    """
    if of_file(content, path) is None:
        return
    for before, text in kubernetes_yaml.parts(kubernetes_yaml.decoded(content, path)[1]):
        lines = enumerate(text.split("\n"), before + 1)
        line = next((number for number, line in lines if line.strip() and not line.startswith("#")), before + 1)
        yield from ((line, each) for each in parse(text, path))


def _is_object(document: Document) -> bool:
    version, kind, metadata = (document.get(key) for key in ("apiVersion", "kind", "metadata"))
    if not (isinstance(version, str) and isinstance(kind, str) and isinstance(metadata, dict | None)):
        return False
    return version.partition("/")[0] != KUSTOMIZE


def identity(document: Mapping[str, Any]) -> Identity:
    """Return what an object is to a cluster; an empty name where it has none."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    group = str(document.get("apiVersion") or "").rpartition("/")[0]
    kind, namespace, name = (
        "" if each is None else str(each)
        for each in (document.get("kind"), metadata.get("namespace"), metadata.get("name"))
    )
    return group, kind, namespace, name


def flattened(document: Document) -> Iterator[Document]:
    """Yield a document, or the objects of one that is a list of them to Kubernetes, whatever its kind is called.

    Lists may be in lists. An item without a kind gets it from its list, `ConfigMap` of a `ConfigMapList`, as in
    apimachinery's unstructuredJSONScheme.
    """
    if "items" in document and document["items"] is None and not {"spec", "status"} & document.keys():
        return  # a list of nothing, as a template writes it that has nothing to put in
    items = document.get("items")
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        if document:
            yield document
        return
    kind = str(document.get("kind", "")).removesuffix("List")
    for each in items:
        if not each.get("kind") and kind:
            each = {**each, "apiVersion": document.get("apiVersion"), "kind": kind}
        yield from flattened(each)


def find(documents: Iterable[Document], kind: str, name: str) -> Document:
    """Return the one document of that kind and name.

    Raises:
        CheckFailedError: Upstream's manifest has none; a new version has moved it.
    """
    for document in documents:
        if document["kind"] == kind and document["metadata"]["name"] == name:
            return document
    raise CheckFailedError(f"{kind}/{name}: not in upstream's manifest at the pinned version")


def container(workload: Document, name: str) -> Document:
    """Return a container of a Deployment.

    Raises:
        CheckFailedError: It has none of that name.
    """
    containers: list[Document] = workload["spec"]["template"]["spec"]["containers"]
    for candidate in containers:
        if candidate["name"] == name:
            return candidate
    raise CheckFailedError(f"Deployment/{workload['metadata']['name']}: no container {name}")


def probe_at_once(probe: Document) -> None:
    """Let a readiness probe look from the first second, every second.

    Some of upstream's wait half a minute before the first look, which is all that a cluster of minutes would wait for.
    """
    probe.update(initialDelaySeconds=1, periodSeconds=1)
    probe["failureThreshold"] = max(30, probe.get("failureThreshold", 3))


def split(documents: Iterable[Document]) -> tuple[list[Document], list[Document]]:
    """Return the CRDs, and everything else, each in the order given."""
    crds: list[Document] = []
    rest: list[Document] = []
    for document in documents:
        (crds if document["kind"] == "CustomResourceDefinition" else rest).append(document)
    return crds, rest


def place(documents: Iterable[Document], namespace: str) -> None:
    """Put documents that leave it to `kubectl apply --namespace` into a namespace."""
    for document in documents:
        if document["kind"] not in CLUSTER_WIDE:
            document["metadata"]["namespace"] = namespace


def into_namespace(documents: Iterable[Document], old: str, new: str) -> None:
    """Move documents from one namespace to another, with the subjects of their bindings."""
    for document in documents:
        if document["metadata"].get("namespace") == old:
            document["metadata"]["namespace"] = new
        for subject in document.get("subjects", ()):
            if subject.get("namespace") == old:
                subject["namespace"] = new


def owned(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents with the label that says whose they are."""
    for document in documents:
        document["metadata"].setdefault("labels", {})[MANAGED_BY] = OWNER
        yield document


def is_owned(document: Document) -> bool:
    """Tell whether this project put the object on the cluster."""
    return bool((document["metadata"].get("labels") or {}).get(MANAGED_BY) == OWNER)


def namespace(name: str) -> Document:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
