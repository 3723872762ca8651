"""Argo Rollouts, cluster-wide."""

from typing import Any

from ci.base import tasks, wait
from ci.cluster import runs
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.stack import manifests, probes
from ci.stack.component import READY_SECONDS, Source, StackContext

NAMESPACE = "argo-rollouts"
CONTROLLER = "argo-rollouts"
IMAGE = "quay.io/argoproj/argo-rollouts"
SELECTOR = "app.kubernetes.io/component=rollouts-controller"


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the controller's Deployment, in any namespace."""
    found = await context.kubectl.get_list("deployments", all_namespaces=True, selector=SELECTOR)
    return found[0] if found else None


async def install(context: StackContext) -> None:
    """Apply upstream's cluster-wide installation."""
    objects = await upstream(context)
    controller = documents.find(objects, "Deployment", CONTROLLER)
    # The manifests in the module say `latest`; releases differ from them in this line only.
    documents.container(controller, CONTROLLER)["image"] = context.supply.image(IMAGE)
    await manifests.apply(context, [documents.namespace(NAMESPACE), *objects])


async def upstream(source: Source) -> list[Document]:
    """Return upstream's cluster-wide installation."""
    objects = await manifests.from_files(source, source.supply.module("argo-rollouts") / "manifests" / "install.yaml")
    documents.place(objects, NAMESPACE)
    return objects


async def ready(context: StackContext) -> None:
    """Wait until the controller has reconciled a Rollout (one without pods, removed afterwards)."""
    controller = await find(context)
    assert controller is not None
    namespace = controller["metadata"]["namespace"]
    await probes.available(context, f"deployment/{controller['metadata']['name']}", namespace)
    probe = _probe(namespace)
    await context.kubectl.apply([probe], validate=False)
    try:
        await wait.until("Argo Rollouts reconciles", lambda: _reconciled(context, probe), timeout=READY_SECONDS)
    finally:
        with tasks.clean_up("delete the probe"):
            await context.kubectl.run(
                "delete", "rollout", probe["metadata"]["name"], f"--namespace={namespace}", "--wait=false"
            )


def _probe(namespace: str) -> dict[str, Any]:
    name = f"ml-serving-ci-reconcile-probe-{runs.new_id()}"  # of this run alone: another may look at the same time
    labels = {"app": name}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {documents.MANAGED_BY: documents.OWNER},
        },
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "strategy": {"canary": {}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app"}]}},
        },
    }


async def _reconciled(context: StackContext, probe: dict[str, Any]) -> None:
    metadata = probe["metadata"]
    rollout = await context.kubectl.get("rollout", metadata["name"], metadata["namespace"]) or {}
    phase = rollout.get("status", {}).get("phase")
    if phase != "Healthy":
        raise wait.NotYet(f"an empty Rollout's phase is {phase or 'not set'}")
