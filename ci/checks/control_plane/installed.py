"""What is installed on the control plane: of the stack's own charts and manifests all that needs no node."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any

from ci.checks.control_plane import certificate
from ci.cluster.helm import Renderer
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.project import Prometheus
from ci.stack import istio, kserve, monitoring, rollouts
from ci.supply.supply import Supply

CONFIGURATION = ("ConfigMap", "Secret", "ClusterServingRuntime", "ClusterStorageContainer")
"""Kinds that controllers and webhooks read."""
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
SERVERS = {
    "istiod": "127.0.0.1:15017",
    kserve.WEBHOOK_SERVICE: "127.0.0.1:9443",
    "prometheus-operator": "127.0.0.1:18443",
}
"""Where the webhooks of a Service are."""
RULES: Document = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "prometheus-operator"},
    "webhooks": [
        {
            "name": "prometheusrules.monitoring.coreos.com",
            "clientConfig": {
                "service": {
                    "name": "prometheus-operator",
                    "namespace": Prometheus().namespace,
                    "path": "/admission-prometheusrules/validate",
                }
            },
            "rules": [
                {
                    "apiGroups": ["monitoring.coreos.com"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["prometheusrules"],
                }
            ],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
        }
    ],
}
"""The operator serves it, and upstream's manifests do not ask for it: a rule that it refuses is left out in silence."""

SCRAPING: Document = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "lint", "namespace": Prometheus().namespace},
    "spec": {
        "replicas": 0,
        **{
            f"{each}{selector}": {}
            for each in ("serviceMonitor", "podMonitor", "probe")
            for selector in ("Selector", "NamespaceSelector")
        },
    },
}
"""Any cluster's: the operator says of each monitor whether it takes it for one, and leaves it out in silence else."""
KEPT = ("CustomResourceDefinition", *CONFIGURATION, *WEBHOOKS, SCRAPING["kind"])


@dataclass(frozen=True)
class _Source:
    helm: Renderer
    supply: Supply


async def objects(supply: Supply) -> list[Document]:
    """Return what is installed.

    Args:
        supply: Has the charts and manifests.
    """
    source = _source(supply)
    upstream = [
        *await istio.base(source),
        *await istio.istiod(source),
        *await kserve.crds(source),
        *await kserve.manager_and_webhooks(source),
        *await kserve.serving_runtimes(source),
        *await monitoring.crds(source),
        *await rollouts.upstream(source),
        RULES,
        SCRAPING,
    ]
    namespaces = (istio.NAMESPACE, kserve.NAMESPACE, rollouts.NAMESPACE, Prometheus().namespace)
    return [
        *map(documents.namespace, namespaces),
        *(_asked_here(each) for each in upstream if each["kind"] in KEPT),
    ]


async def with_cni(supply: Supply) -> list[Document]:
    """Return what is otherwise where Istio has its CNI plugin: how it injects.

    Args:
        supply: As for `objects`.
    """
    source = _source(supply)
    without = await istio.istiod(source)
    return [each for each in await istio.istiod(source, cni=True) if each["kind"] in KEPT and each not in without]


def _source(supply: Supply) -> _Source:
    return _Source(Renderer(supply.tool("helm")), supply)


def _asked_here(document: Document) -> Document:
    """Return an object, its webhooks asked where they are here: no Service has a pod behind it."""
    if document["kind"] not in WEBHOOKS:
        return document
    return {**document, "webhooks": [_webhook(each) for each in document["webhooks"]]}


def _webhook(webhook: dict[str, Any]) -> dict[str, Any]:
    service = webhook["clientConfig"]["service"]
    client = {
        "url": f"https://{SERVERS[service['name']]}{service['path']}",
        "caBundle": b64encode(certificate.fixed().certificate).decode(),
    }
    return {**webhook, "clientConfig": client, "failurePolicy": "Fail"}
