"""metrics-server: CPU and memory for `kubectl top` and the HorizontalPodAutoscaler."""

import json
from typing import Any

from ci.base import wait
from ci.stack import manifests, probes
from ci.stack.component import READY_SECONDS, StackContext

NAMESPACE = "kube-system"
API_SERVICE = "v1beta1.metrics.k8s.io"
IMAGE = "registry.k8s.io/metrics-server/metrics-server"


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the aggregated API, whoever serves it."""
    return await context.kubectl.get("apiservice", API_SERVICE)


async def install(context: StackContext) -> None:
    """Apply upstream's chart."""
    objects = await manifests.from_chart(
        context,
        "metrics-server",
        context.supply.module("metrics-server") / "charts" / "metrics-server",
        NAMESPACE,
        {
            # The chart in the module still names the release before.
            "image": {"tag": context.supply.image(IMAGE).rpartition(":")[2]},
            # kind's kubelets sign their certificates themselves; 10 s is the shortest resolution there is, and a
            # request to a kubelet must take less.
            "args": ["--kubelet-insecure-tls", "--metric-resolution=10s", "--kubelet-request-timeout=5s"],
            "readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 60},
            "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
        },
    )
    await manifests.apply_aggregated(context, objects, "metrics-server", NAMESPACE)


async def ready(context: StackContext) -> None:
    """Wait until the API server can use it and a node has figures."""
    await probes.available(context, f"apiservice/{API_SERVICE}")
    await wait.until(
        "metrics-server answers", lambda: _measures(context), timeout=READY_SECONDS, interval=1, successes=2
    )


async def _measures(context: StackContext) -> None:
    nodes = json.loads(await probes.answers(context, "/apis/metrics.k8s.io/v1beta1/nodes"))
    if not nodes["items"]:
        raise wait.NotYet("no node has figures yet")
