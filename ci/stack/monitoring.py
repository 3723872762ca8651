"""Prometheus Operator and one Prometheus: where `cluster.prometheus` says, and as its users find it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ci.base import wait
from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.project import FILE, Prometheus
from ci.stack import manifests, probes
from ci.stack.component import READY_SECONDS, Source, StackContext

NAME = "prometheus"
CRD = "prometheuses.monitoring.coreos.com"
CRDS = ("prometheuses", "servicemonitors", "podmonitors", "probes", "prometheusrules")
"""Those of upstream's bundle without which the operator's Prometheus controller does not start.

The others (Alertmanager, Thanos, agents) are two thirds of the bundle, and cost the API server most of its work here.
"""
OPERATOR = ("cluster-role", "cluster-role-binding", "service-account", "service", "deployment")
IMAGE = "quay.io/prometheus/prometheus"
OPERATOR_IMAGE = "prometheus-operator"
"""What every publisher's image of the operator ends with; its Deployment's name and labels are the installer's."""
UNLIMITED = "--config-reloader-cpu-limit=0"
"""Of the operator: its own limit for the config reloader, a hundredth of a core, has its two containers start for seven
seconds each, one before Prometheus and one before its pod is Ready."""
SELECTORS = ("serviceMonitorSelector", "ruleSelector")
INTERVAL = "5s"
PORT = 9090
SERVICE = "prometheus-operated"
"""The Service that the operator makes itself."""
RELOADER = (
    "--listen-address=:8080",
    f"--reload-url=http://localhost:{PORT}/-/reload",
    "--config-file=/etc/prometheus/config/prometheus.yaml.gz",
    "--config-envsubst-file=/etc/prometheus/config_out/prometheus.env.yaml",
    f"--watched-dir=/etc/prometheus/rules/prometheus-{NAME}-rulefiles-0",
    "--watch-interval=5s",
)
"""The config reloader's arguments as the operator writes them, but for the last one. It watches a file that the kubelet
replaces at the first change; of later ones it hears by this clock alone, which has three minutes by default."""


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the Prometheus that the operator runs; None where it runs none.

    Raises:
        UsageError: It runs in another namespace than was said, or selects by other labels: what is deployed would
            never be scraped.
    """
    if await context.kubectl.get("crd", CRD) is None:
        return None  # the group may be served for ServiceMonitors alone
    found = await context.kubectl.get_list(CRD, all_namespaces=True)
    return chosen(found, context.prometheus) if found else None


def chosen(found: Sequence[Document], place: Prometheus) -> Document:
    """Return the one of a cluster's Prometheus objects that a place means.

    Raises:
        UsageError: None is in its namespace, or none of those selects by its labels.
    """
    here = [each for each in found if each["metadata"]["namespace"] == place.namespace]
    if not here:
        elsewhere = sorted({each["metadata"]["namespace"] for each in found})
        raise UsageError(
            f"this cluster's Prometheus is in namespace {', '.join(elsewhere)}, not in {place.namespace}",
            fix=f"{FILE}, [cluster.prometheus]: namespace",
        )
    for each in here:
        if all(_selected(each["spec"].get(key), place.labels) for key in SELECTORS):
            return each
    wanted = {key: here[0]["spec"].get(key) for key in SELECTORS}
    raise UsageError(
        f"Prometheus {here[0]['metadata']['name']} in namespace {place.namespace} selects by {json.dumps(wanted)}, and "
        f"so nothing with the labels {json.dumps(place.labels)}",
        fix=f"{FILE}, [cluster.prometheus]: labels",
    )


def _selected(selector: dict[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Return whether a selector takes labels; no selector takes nothing, and what expressions ask is not looked at."""
    return selector is not None and bool((selector.get("matchLabels") or {}).items() <= labels.items())


async def install(context: StackContext) -> None:
    """Apply the Prometheus with what it may read, and the operator with its CRDs where the cluster has none."""
    place = context.prometheus
    if (place.service, place.port) != (SERVICE, PORT):
        raise UsageError(
            f"{FILE}: cluster.prometheus: no {place.service}:{place.port} on this cluster, and what is installed is "
            f"asked by {SERVICE}:{PORT}",
            fix="leave out service and port, or install that Prometheus",
        )
    operator = [] if await _operator(context) else await _upstream(context)
    image = context.supply.image(IMAGE)
    own = [*access(place.namespace), prometheus(image, place)]
    await manifests.apply(context, [*await manifests.namespace(context, place.namespace), *operator, *own])


async def _operator(context: StackContext) -> bool:
    """Return whether the cluster has an operator of somebody else's: a second one would write what the first does."""
    if await context.kubectl.get("crd", CRD) is None:
        return False
    deployments = await context.kubectl.get_list("deployments.apps", all_namespaces=True)
    return any(is_operator(each) and not documents.is_owned(each) for each in deployments)


def is_operator(deployment: Document) -> bool:
    """Return whether a Deployment is Prometheus Operator."""
    images = [each["image"] for each in deployment["spec"]["template"]["spec"]["containers"]]
    names = [image.partition("@")[0].rpartition("/")[2].partition(":")[0] for image in images]
    return any(name.endswith(OPERATOR_IMAGE) for name in names)


async def _upstream(context: StackContext) -> list[Document]:
    """Return upstream's operator, with the CRDs that it needs for Prometheus."""
    folder = context.supply.module("prometheus-operator") / "example" / "rbac" / "prometheus-operator"
    files = [folder / f"prometheus-operator-{part}.yaml" for part in OPERATOR]
    operator = [*await crds(context), *await manifests.from_files(context, *files)]
    documents.into_namespace(operator, "default", context.prometheus.namespace)
    own = documents.container(documents.find(operator, "Deployment", OPERATOR_IMAGE), OPERATOR_IMAGE)
    own["args"].append(UNLIMITED)
    del own["resources"]["limits"]["cpu"]
    return operator


async def crds(source: Source) -> list[Document]:
    """Return `CRDS`."""
    folder = source.supply.module("prometheus-operator") / "example" / "prometheus-operator-crd"
    return await manifests.from_files(source, *(folder / f"monitoring.coreos.com_{plural}.yaml" for plural in CRDS))


def access(namespace: str) -> list[Document]:
    """Return the service account, and what finding scrape targets in every namespace takes: reading, nothing more."""
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ml-serving-ci-prometheus"}
    reading = ["get", "list", "watch"]
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role["name"]},
            "rules": [{"apiGroups": [""], "resources": ["endpoints", "pods", "services"], "verbs": reading}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role["name"]},
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def prometheus(image: str, place: Prometheus) -> Document:
    """Return the Prometheus object for a pinned image."""
    everywhere: dict[str, Any] = {}
    select = {"matchLabels": dict(place.labels)}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": place.namespace},
        "spec": {
            "image": image,
            "version": image.rpartition(":")[2],
            "replicas": 1,
            "retention": "1d",
            "serviceAccountName": NAME,
            "scrapeInterval": INTERVAL,
            "evaluationInterval": INTERVAL,
            "serviceMonitorSelector": select,
            "serviceMonitorNamespaceSelector": everywhere,
            "podMonitorSelector": select,
            "podMonitorNamespaceSelector": everywhere,
            "ruleSelector": select,
            "ruleNamespaceSelector": everywhere,
            "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}},
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 2000},
            # Merged over what the operator writes, whose startup probe looks every 15 s.
            "containers": [
                {"name": "prometheus", "startupProbe": {"periodSeconds": 1, "failureThreshold": 120}},
                {"name": "config-reloader", "args": list(RELOADER)},
            ],
        },
    }


async def ready(context: StackContext) -> None:
    """Wait until Prometheus itself says that it is ready, asked through the API server."""
    found = await prometheus_object(context)
    where = found["metadata"]["namespace"]
    await probes.available(context, f"{CRD}/{found['metadata']['name']}", where)
    path = f"/api/v1/namespaces/{where}/services/{context.prometheus.service}:{context.prometheus.port}/proxy/-/ready"
    await wait.until("Prometheus ready", lambda: probes.answers(context, path), timeout=READY_SECONDS, successes=2)


async def prometheus_object(context: StackContext) -> Document:
    """Return the cluster's Prometheus.

    Raises:
        CheckFailedError: There is none.
    """
    found = await find(context)
    if found is None:
        raise CheckFailedError("no Prometheus object on the cluster", fix=f"kubectl get {CRD} --all-namespaces")
    return found
