"""prometheus-adapter: requests per second of a model's pods, for the HorizontalPodAutoscaler."""

from typing import Any

import yaml

from ci.manifests import documents
from ci.manifests.documents import Document
from ci.project import Prometheus
from ci.stack import manifests, probes
from ci.stack.component import StackContext

UPSTREAM = "monitoring"
"""The namespace in upstream's manifests."""
NAME = "prometheus-adapter"
IMAGE = "registry.k8s.io/prometheus-adapter/prometheus-adapter"
API = "custom.metrics.k8s.io"
API_SERVICE = f"v1beta1.{API}"
READER_ROLE = "custom-metrics-server-resources"
FILES = (
    "service-account.yaml",
    "cluster-role.yaml",
    "cluster-role-binding.yaml",
    "cluster-role-binding-delegator.yaml",
    "cluster-role-binding-hpa-custom-metrics.yaml",
    "cluster-role-metrics-server-resources.yaml",
    "role-binding-auth-reader.yaml",
    "config-map.yaml",
    "service.yaml",
    "deployment.yaml",
    "api-service.yaml",
)
RULES = {
    "rules": [
        {
            "seriesQuery": 'inference_request_total{namespace!="",pod!=""}',
            "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
            "name": {"as": "inference_requests_per_second"},
            "metricsQuery": "sum(rate(<<.Series>>{<<.LabelMatchers>>}[30s])) by (<<.GroupBy>>)",
        }
    ]
}
RELIST_INTERVAL = "10s"


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the aggregated API, whoever serves it."""
    return await context.kubectl.get("apiservice", API_SERVICE)


async def install(context: StackContext) -> None:
    """Apply upstream's manifests, turned from resource metrics, which metrics-server has, to custom metrics."""
    folder = context.supply.module(NAME) / "deploy" / "manifests"
    objects = await manifests.from_files(context, *(folder / file for file in FILES))
    namespace = context.prometheus.namespace
    edited = custom_metrics(objects, context.supply.image(IMAGE), context.prometheus)
    around = await manifests.namespace(context, namespace)
    await manifests.apply_aggregated(context, [*around, *edited], NAME, namespace)


def custom_metrics(objects: list[Document], image: str, prometheus: Prometheus) -> list[Document]:
    """Edit upstream's manifests, which serve resource metrics, to serve our metric from a Prometheus, beside it."""
    documents.into_namespace(objects, UPSTREAM, prometheus.namespace)
    service = documents.find(objects, "APIService", "v1beta1.metrics.k8s.io")
    service["metadata"]["name"] = API_SERVICE
    service["spec"]["group"] = API
    service["spec"]["service"]["namespace"] = prometheus.namespace
    reader = documents.find(objects, "ClusterRole", "resource-metrics-server-resources")
    # The autoscaler's binding upstream names this role; no file of theirs defines it.
    reader["metadata"]["name"] = READER_ROLE
    reader["rules"] = [{"apiGroups": [API], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    documents.find(objects, "ConfigMap", "adapter-config")["data"]["config.yaml"] = yaml.safe_dump(RULES)
    deployment = documents.find(objects, "Deployment", NAME)
    deployment["spec"]["replicas"] = 1
    adapter = documents.container(deployment, NAME)
    adapter["image"] = image
    arguments = dict(argument.split("=", 1) for argument in adapter["args"])
    arguments |= {"--prometheus-url": f"http://{prometheus.host}/", "--metrics-relist-interval": RELIST_INTERVAL}
    adapter["args"] = [f"{flag}={value}" for flag, value in arguments.items()]
    adapter["resources"] = {"requests": {"cpu": "10m", "memory": "50Mi"}}
    documents.probe_at_once(adapter["readinessProbe"])
    return objects


async def ready(context: StackContext) -> None:
    """Wait until the API server reaches it; it has no metric to be asked for before the first model is served."""
    await probes.available(context, f"apiservice/{API_SERVICE}")
