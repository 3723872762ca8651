"""Prometheus Operator and one Prometheus; it selects as kube-prometheus-stack does, by `release: prometheus`."""

from typing import Any

from ci.base import wait
from ci.base.errors import CheckFailedError
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.stack import manifests, probes
from ci.stack.component import READY_SECONDS, StackContext

NAMESPACE = "monitoring"
NAME = "prometheus"
CRD = "prometheuses.monitoring.coreos.com"
CRDS = ("prometheuses", "servicemonitors", "podmonitors", "probes", "prometheusrules")
"""Those of upstream's bundle without which the operator's Prometheus controller does not start.

The others (Alertmanager, Thanos, agents) are two thirds of the bundle, and cost the API server most of its work here.
"""
OPERATOR = ("cluster-role", "cluster-role-binding", "service-account", "service", "deployment")
IMAGE = "quay.io/prometheus/prometheus"
SELECT = {"matchLabels": {"release": "prometheus"}}
INTERVAL = "5s"
PORT = 9090
SERVICE = "prometheus-operated"
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
    """Return a Prometheus that the operator runs, in any namespace."""
    if await context.kubectl.get("crd", CRD) is None:
        return None  # the group may be served for ServiceMonitors alone
    found = await context.kubectl.get_list(CRD, all_namespaces=True)
    return found[0] if found else None


async def install(context: StackContext) -> None:
    """Apply the operator with the CRDs that it needs for Prometheus, and the Prometheus with what it may read."""
    examples = context.supply.module("prometheus-operator") / "example"
    operator = await manifests.from_files(
        *(examples / "prometheus-operator-crd" / f"monitoring.coreos.com_{plural}.yaml" for plural in CRDS),
        *(examples / "rbac" / "prometheus-operator" / f"prometheus-operator-{part}.yaml" for part in OPERATOR),
    )
    documents.into_namespace(operator, "default", NAMESPACE)
    image = context.supply.image(IMAGE)
    await manifests.apply(context, [documents.namespace(NAMESPACE), *operator, *access(), prometheus(image)])


def access() -> list[Document]:
    """Return the service account, and what finding scrape targets in every namespace takes: reading, nothing more."""
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ml-serving-ci-prometheus"}
    reading = ["get", "list", "watch"]
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
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


def prometheus(image: str) -> Document:
    """Return the Prometheus object for a pinned image."""
    everywhere: dict[str, Any] = {}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "image": image,
            "version": image.rpartition(":")[2],
            "replicas": 1,
            "retention": "1d",
            "serviceAccountName": NAME,
            "scrapeInterval": INTERVAL,
            "evaluationInterval": INTERVAL,
            "serviceMonitorSelector": SELECT,
            "serviceMonitorNamespaceSelector": everywhere,
            "podMonitorSelector": SELECT,
            "podMonitorNamespaceSelector": everywhere,
            "ruleSelector": SELECT,
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
    path = f"/api/v1/namespaces/{where}/services/{SERVICE}:{PORT}/proxy/-/ready"
    await wait.until(
        "Prometheus ready", lambda: probes.answers(context, path), timeout=READY_SECONDS, interval=1, successes=2
    )


async def url(context: StackContext) -> str:
    """Return where Prometheus answers inside the cluster."""
    found = await prometheus_object(context)
    return f"http://{SERVICE}.{found['metadata']['namespace']}.svc:{PORT}/"


async def prometheus_object(context: StackContext) -> Document:
    """Return the cluster's Prometheus.

    Raises:
        CheckFailedError: There is none.
    """
    found = await find(context)
    if found is None:
        raise CheckFailedError("no Prometheus object on the cluster", fix=f"kubectl get {CRD} --all-namespaces")
    return found
