"""What a cluster under test cannot hold, found before one is started or touched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tomlkit
from kubernetes.utils.quantity import parse_quantity

from ci.manifests import manifests, places, runtimes
from ci.manifests.documents import Document
from ci.manifests.runtimes import Fault

WAY_OUT = (
    "Change it under throwaway.values in ml-serving-ci.toml, which report and evidence will list, "
    "or test on a cluster of yours that has it: --kubeconfig FILE"
)
TAKE_AWAY = (
    "Take it away under throwaway.values in ml-serving-ci.toml, which report and evidence will list: "
    "{key} = {{}} below [throwaway.values.{application}]; or test on a cluster of yours that has it: --kubeconfig FILE"
)
"""The way out where a table of the application's values asks for it."""
WITHOUT = (
    "Have the application's chart bring it, or do without under throwaway.values in ml-serving-ci.toml, which report "
    "and evidence will list: {key} = […] without it below [throwaway.values.{application}]; or test on a cluster of "
    "yours that has it: --kubeconfig FILE"
)
"""The way out where an entry of a list of the application's values names what is not there."""
ON_EXISTING = "Change it under cluster.values in ml-serving-ci.toml, which report and evidence will list"
"""The way out on a cluster that is there, where an application gets a namespace of its own."""
CLOUD_IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
"""Annotations of a service account that stand for credentials of a cloud."""


ON_EVERY_NODE = ("kubernetes.io/os", "kubernetes.io/arch")
"""Labels that nodes of a throw-away cluster have as any others do
(https://kubernetes.io/docs/reference/labels-annotations-taints/)."""


NAMED = {"priorityClassName": "PriorityClass", "runtimeClassName": "RuntimeClass", "schedulerName": "scheduler"}
"""Fields of a pod that name what a cluster has been given, but for the names that each has."""
USUAL = ("", "default-scheduler", "system-cluster-critical", "system-node-critical")


EVERYWHERE = (("ConfigMap", "kube-root-ca.crt"), ("ConfigMap", "istio-ca-root-cert"))
"""What Kubernetes and Istio put into every namespace
(https://kubernetes.io/docs/concepts/security/service-accounts/#kube-root-ca-crt)."""


@dataclass(frozen=True)
class Machine:
    """What a throw-away cluster has of its machine.

    Attributes:
        memory: Bytes.
        cpus: How many CPUs.
    """

    memory: float
    cpus: float


@dataclass(frozen=True)
class Objection:
    """What the cluster under test lacks of what an application asks for.

    Attributes:
        said: In a line.
        label: The label, annotation or table that asks for it; empty where none does.
        named: The name of an object that is not there; empty where it is about none.
    """

    said: str
    label: str = ""
    named: str = ""

    def path(self, values: Mapping[str, Any]) -> places.Path | None:
        """Return where values name what is not there; None where they do not."""
        return next((path for path, value in places.walk(values) if self.named and value == self.named), None)

    def way_out(self, application: str, values: Mapping[str, Any]) -> str:
        """Return what to do about it on a throw-away cluster: literally, where values have the label.

        Args:
            application: The application's name.
            values: What Helm makes of all of its values.
        """
        tables = (path for path, value in places.walk(values) if isinstance(value, Mapping) and self.label in value)
        path = next(tables, None)
        if path is None:
            return self._without(application, values)
        if isinstance(manifests.dig(values, *path, self.label), Mapping):
            path = (*path, self.label)
        table, key = (tomlkit.key([str(part) for part in each]).as_string() for each in ((application,), path))
        return TAKE_AWAY.format(application=table, key=key)

    def _without(self, application: str, values: Mapping[str, Any]) -> str:
        """Return what to do without an object that is not there: Helm takes a list as a whole, and so it is given."""
        path = self.path(values)
        number = next((number for number, part in enumerate(path or ()) if isinstance(part, int)), None)
        if path is None or number is None:
            return WAY_OUT
        table, key = (tomlkit.key([str(part) for part in each]).as_string() for each in ((application,), path[:number]))
        return WITHOUT.format(application=table, key=key)


def objections(documents: Sequence[Document], machine: Machine | None) -> Iterator[Objection]:
    """Yield what the cluster under test lacks of what an application asks for.

    Args:
        documents: The application, rendered.
        machine: This one; None on a cluster that is there, whose nodes and cloud decide themselves.
    """
    own = {(each["kind"], each["metadata"]["name"]) for each in documents}
    for document in documents:
        who = f"{document['kind']} {document['metadata']['name']}"
        if machine is not None:
            yield from (replace(lack, said=f"{who}: {lack.said}") for lack in _lacks(document, machine))
        containers = (read for container in _containers(document) for read in _environment(container))
        volumes = (read for pod in _pods(document) for read in _volumes(pod))
        headers = (read for argument in _arguments(document) for read in _variable(argument))
        for kind, name in dict.fromkeys((*containers, *volumes, *headers, *_accounts(document))):
            if (kind, name) not in own and (kind, name) not in EVERYWHERE:
                yield Objection(f"{who}: reads {kind} {name}, which is not there", named=name)
        if machine is None:  # a throw-away cluster has the images, and asks nobody for them
            for secret in _pull_secrets(document):
                if ("Secret", secret) not in own:
                    yield Objection(f"{who}: gets its image with Secret {secret}, which is not there")
        for uri in _uris(document):
            if uri.startswith("pvc://"):
                yield Objection(f"{who}: {uri} is a volume of another namespace")


def without_runtime(documents: Sequence[Document], there: Sequence[Document]) -> Iterator[tuple[str, Fault]]:
    """Yield each model of an application that no serving runtime takes, and why.

    Args:
        documents: The application, rendered.
        there: The serving runtimes of the cluster.
    """
    known = [*runtimes.of(documents), *there]
    for document in documents:
        if (fault := runtimes.fault(document, known)) is not None:
            yield f"{document['kind']} {document['metadata']['name']}", fault


def beside(documents: Sequence[Document]) -> Iterator[str]:
    """Yield each image that runs beside an application's model servers, or before them."""
    images = (
        container["image"]
        for document in documents
        if document["kind"] == "InferenceService"
        for pod in _pods(document)
        for _, _, container in runtimes.beside(pod)
        if "image" in container
    )
    yield from dict.fromkeys(images)


def _lacks(document: Document, machine: Machine) -> Iterator[Objection]:
    """Yield what this machine, and no cloud, lacks of what an object asks for."""
    annotations = document["metadata"].get("annotations") or {}
    for key in CLOUD_IDENTITIES:
        if document["kind"] == "ServiceAccount" and key in annotations:
            yield Objection(f"{key} is an identity of a cloud", key)
    for container in _containers(document):
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name, amount in asked.items():
            if "/" in name:
                yield Objection(f"asks for {name}")
            elif name == "memory" and parse_quantity(amount) > machine.memory:
                yield Objection(
                    f"asks for {amount} of memory, and this machine has {machine.memory / (1 << 30):.0f} GiB"
                )
            elif name == "cpu" and parse_quantity(amount) > machine.cpus:
                yield Objection(f"asks for {amount} CPUs, and this machine has {machine.cpus:g}")
    for pod in _pods(document):
        for label, value in (pod.get("nodeSelector") or {}).items():
            if label not in ON_EVERY_NODE:
                yield Objection(f"asks for a node with {label}={value}", label)
        for field in ("logger", "batcher"):
            if field in pod:
                said = f"has a {field}, which is KServe's agent, and no image of a throw-away cluster is that"
                yield Objection(said, field)
        if pod.get("nodeName"):
            yield Objection(f"asks for node {pod['nodeName']}")
        for field, kind in NAMED.items():
            if pod.get(field, "") not in USUAL:
                yield Objection(f"asks for {kind} {pod[field]}")


def _pods(document: Document) -> Iterator[Mapping[str, Any]]:
    spec = document.get("spec") or {}
    yield spec.get("predictor") or {}
    yield (spec.get("template") or {}).get("spec") or {}


def _containers(document: Document) -> Iterator[Mapping[str, Any]]:
    predictor = (document.get("spec") or {}).get("predictor") or {}
    for value in predictor.values():
        if isinstance(value, Mapping) and ("resources" in value or "env" in value):
            yield value
    for pod in _pods(document):
        for key in ("containers", "initContainers"):
            yield from (each for each in pod.get(key) or () if isinstance(each, Mapping))


def _environment(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what a container cannot start without."""
    for each in container.get("env") or ():
        yield from _variable(each)
    for each in container.get("envFrom") or ():
        yield from _named(each, {"secretRef": "Secret", "configMapRef": "ConfigMap"})


def _variable(item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _named(item.get("valueFrom") or {}, {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"})


def _arguments(document: Document) -> Iterator[Mapping[str, Any]]:
    if document["kind"] == "AnalysisTemplate":
        yield from (document.get("spec") or {}).get("args") or ()


def _accounts(document: Document) -> Iterator[tuple[str, str]]:
    for pod in _pods(document):
        if (name := pod.get("serviceAccountName", "default")) != "default":
            yield "ServiceAccount", str(name)


def _volumes(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield kind and name of what a pod cannot start without."""
    for volume in pod.get("volumes") or ():
        yield from _named(volume, {"secret": "Secret"}, "secretName")
        yield from _named(volume, {"configMap": "ConfigMap"})
        yield from _named(volume, {"persistentVolumeClaim": "PersistentVolumeClaim"}, "claimName")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source, {"secret": "Secret", "configMap": "ConfigMap"})


def _named(item: Mapping[str, Any], kinds: Mapping[str, str], key: str = "name") -> Iterator[tuple[str, str]]:
    for field, kind in kinds.items():
        reference = item.get(field) or {}
        if key in reference and not reference.get("optional"):
            yield kind, str(reference[key])


def _pull_secrets(document: Document) -> Iterator[str]:
    account = [document] if document["kind"] == "ServiceAccount" else []
    for each in (*account, *_pods(document)):
        for reference in each.get("imagePullSecrets") or ():
            if "name" in reference:
                yield str(reference["name"])


def _uris(document: Document) -> Iterator[str]:
    model = ((document.get("spec") or {}).get("predictor") or {}).get("model") or {}
    if isinstance(model, Mapping) and isinstance(model.get("storageUri"), str):
        yield model["storageUri"]
