"""Istio: CRDs and istiod, injecting by the namespace label `istio-injection: enabled`; no gateway."""

from typing import Any

from ci.base import wait
from ci.base.errors import UsageError
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.stack import manifests, probes
from ci.stack.component import READY_SECONDS, Source, StackContext
from ci.supply.supply import Supply

NAMESPACE = "istio-system"
PILOT = "docker.io/istio/pilot"
PROXY = "docker.io/istio/proxyv2"
CHARTS = "manifests/charts"
UPSTREAM_ENVOY: dict[str, Any] = {
    "pilot": {"env": {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}},
    "telemetry": {"enabled": False},
}
"""For the source way, whose proxy is Envoy as its own project builds it: it refuses a configuration that names the
filters which only Istio's build has."""


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the sidecar injector's webhook, under any revision."""
    found = await context.kubectl.get_list("mutatingwebhookconfigurations", selector="app=sidecar-injector")
    return found[0] if found else None


async def install(context: StackContext) -> None:
    """Apply the base chart, then istiod's."""
    await manifests.apply(context, [documents.namespace(NAMESPACE), *await base(context)])
    await manifests.apply(context, await istiod(context))


async def base(source: Source) -> list[Document]:
    """Return what the base chart has: the CRDs, first of all."""
    chart = source.supply.module("istio") / CHARTS / "base"
    return await manifests.from_chart(source, "istio-base", chart, NAMESPACE, chart_values(source.supply))


async def istiod(source: Source, *, cni: bool = False) -> list[Document]:
    """Return what istiod's chart has.

    Args:
        source: Has the chart.
        cni: Whether it injects as beside its CNI plugin, which does on the node what istio-init does in each pod
            (https://istio.io/latest/docs/setup/additional-setup/cni/).
    """
    chart = source.supply.module("istio") / CHARTS / "istio-control" / "istio-discovery"
    values = chart_values(source.supply)
    values["pilot"] |= {"cni": {"enabled": cni}}
    return await manifests.from_chart(source, "istiod", chart, NAMESPACE, values)


def chart_values(supply: Supply) -> dict[str, Any]:
    """Return the values of both charts.

    Raises:
        UsageError: The pins of istiod and the proxy disagree; Istio takes one hub and one tag for both.
    """
    hub, _, tag = supply.image(PILOT).removesuffix("@").partition("/pilot:")
    if supply.image(PROXY) != f"{hub}/proxyv2:{tag}":
        raise UsageError(f"pins.toml: {PILOT} and {PROXY} must have one tag")
    values: dict[str, Any] = {
        "global": {
            "hub": hub,
            "tag": tag,
            # What a sidecar asks the scheduler for: a canary's extra pods must fit a two-core node.
            "proxy": {"resources": {"requests": {"cpu": "10m", "memory": "40Mi"}}},
        },
        "pilot": {"resources": {"requests": {"cpu": "10m", "memory": "100Mi"}}, "autoscaleEnabled": False},
        # Istio's own advice for charts that are rendered and applied: istiod then has no field of ours to change.
        "base": {"validationFailurePolicy": "Fail"},
    }
    if supply.way == "source":
        values["pilot"] |= UPSTREAM_ENVOY["pilot"]
        values["telemetry"] = UPSTREAM_ENVOY["telemetry"]
    return values


async def ready(context: StackContext) -> None:
    """Wait until a pod that asks for a sidecar gets one."""
    found = await context.kubectl.get_list("deployments", all_namespaces=True, selector="app=istiod")
    for istiod in found:
        await probes.available(context, f"deployment/{istiod['metadata']['name']}", istiod["metadata"]["namespace"])
    await wait.until("Istio injects a sidecar", lambda: _injects(context), timeout=READY_SECONDS, successes=2)


async def _injects(context: StackContext) -> None:
    pod = await probes.admitted(
        context,
        "/api/v1/namespaces/default/pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "sidecar-",
                "namespace": "default",
                "labels": {"sidecar.istio.io/inject": "true"},
            },
            "spec": {"containers": [{"name": "app", "image": "app"}]},
        },
    )
    spec = pod["spec"]
    names = [c["name"] for c in (*spec["containers"], *spec.get("initContainers", ()))]
    if "istio-proxy" not in names:
        raise wait.NotYet(f"a pod with sidecar.istio.io/inject=true has only {', '.join(names)}")
