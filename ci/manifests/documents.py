"""Upstream's manifests as parsed documents: read, found, edited, labelled; text is never patched."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from ci.base.errors import CheckFailedError

Document = dict[str, Any]
MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER = "ml-serving-ci"
CLUSTER_WIDE = ("CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding")
"""Kinds in upstream's manifests that have no namespace."""


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it.

    PyYAML's own rules (YAML 1.1) turn `on`, `12:30`, `2026-01-01` and `=` into something else than the strings that
    Kubernetes sees, and refuse the `=` that stands in Prometheus Operator's CRDs.
    """


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*|0[0-7]+|0x[0-9a-fA-F]+)", list("-+0123456789")),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def parse(text: str) -> list[Document]:
    """Return the documents of a manifest, empty ones left out."""
    return [document for document in yaml.load_all(text, _Loader) if document]


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
