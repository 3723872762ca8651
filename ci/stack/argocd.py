"""Argo CD as upstream's core installation: everything that syncs, without the API server and its users."""

import secrets
from base64 import b64encode
from typing import Any

from ci.base import tasks, wait
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.stack import manifests
from ci.stack.component import READY_SECONDS, StackContext

UPSTREAM = "argocd"
"""The namespace in upstream's manifests."""
IMAGE = "quay.io/argoproj/argocd"
REDIS = "public.ecr.aws/docker/library/redis"
SELECTOR = "app.kubernetes.io/component=application-controller,app.kubernetes.io/part-of=argocd"
SECRET = "argocd-secret"  # noqa: S105 - a Secret's name
SECRET_KEY = "server.secretkey"  # noqa: S105 - the name of a key in it
SETTINGS: dict[str, dict[str, str]] = {
    "argocd-cm": {"timeout.reconciliation": "5s", "timeout.reconciliation.jitter": "0s"},
    "argocd-cmd-params-cm": {
        "applicationsetcontroller.requeue.after": "5s",
        # Of every sync, between the namespace and what goes into it: nothing here reacts to a namespace.
        "controller.sync.wave.delay.seconds": "0",
    },
}
"""How often git is looked at, and how long a sync waits; upstream's minutes are longer than a whole run."""

PROBE = "ml-serving-ci-reconcile-probe"
NOWHERE = "127.0.0.1:1"
"""Nothing listens there in the repo server's own pod, so that it answers at once, with this address."""


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the application controller, in any namespace; it is a Deployment where it shares its clusters out."""
    found = await context.kubectl.get_list("statefulsets,deployments", all_namespaces=True, selector=SELECTOR)
    return found[0] if found else None


async def install(context: StackContext) -> None:
    """Apply upstream's core installation."""
    objects = await manifests.from_files(context, context.supply.module("argo-cd") / "manifests" / "core-install.yaml")
    kept = await context.kubectl.get("secret", SECRET, context.argocd) or {}
    key = kept.get("data", {}).get(SECRET_KEY)
    adapt(objects, context.argocd, context.supply.image(IMAGE), context.supply.image(REDIS), key)
    await manifests.apply(context, [documents.namespace(context.argocd), *objects])


def adapt(objects: list[Document], namespace: str, image: str, redis: str, secret_key: str | None) -> None:
    """Make upstream's objects fit a cluster of minutes, in place.

    Args:
        objects: The core installation.
        namespace: Where it goes.
        image: Argo CD's image.
        redis: The cache's image.
        secret_key: The key that the cluster has already, as a Secret holds it.
    """
    documents.into_namespace(objects, UPSTREAM, namespace)
    documents.place(objects, namespace)
    for document in objects:
        if document["kind"] in ("Deployment", "StatefulSet"):
            pod = document["spec"]["template"]["spec"]
            for container in (*pod["containers"], *pod.get("initContainers", [])):
                container["image"] = redis if container["name"] == "redis" else image
                if "readinessProbe" in container:
                    documents.probe_at_once(container["readinessProbe"])
    for name, settings in SETTINGS.items():
        documents.find(objects, "ConfigMap", name).setdefault("data", {}).update(settings)
    # The API server makes it when it starts, and is not there; the controllers refuse to work without it.
    made = b64encode(secrets.token_urlsafe(32).encode()).decode()
    documents.find(objects, "Secret", SECRET)["data"] = {SECRET_KEY: secret_key or made}


async def ready(context: StackContext) -> None:
    """Wait until one question has gone all the way round: ApplicationSet, Application, repo server, and back.

    The Application's repository does not exist, and its condition must say so in the repo server's words.
    """
    controller = await find(context)
    assert controller is not None
    namespace = controller["metadata"]["namespace"]
    await context.kubectl.apply(probe(namespace), validate=False)
    try:
        await wait.until(
            "Argo CD reconciles", lambda: _reconciled(context, namespace), timeout=READY_SECONDS, interval=1
        )
    finally:
        with tasks.clean_up("delete the probe"):
            await context.kubectl.run(
                "delete", f"applicationset/{PROBE}", f"appproject/{PROBE}", f"--namespace={namespace}", "--wait=false"
            )


def probe(namespace: str) -> list[Document]:
    """Return an ApplicationSet of one Application, and the project that lets it ask; it may deploy nothing, nowhere.

    Args:
        namespace: Argo CD's own.
    """
    metadata = {"name": PROBE, "namespace": namespace, "labels": {documents.MANAGED_BY: documents.OWNER}}
    repository = f"http://{NOWHERE}/none.git"
    destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    return [
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": metadata,
            "spec": {
                "sourceRepos": [repository],
                "destinations": [destination],
                "namespaceResourceWhitelist": [],
            },
        },
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "ApplicationSet",
            "metadata": metadata,
            "spec": {
                "goTemplate": True,
                "generators": [{"list": {"elements": [{"name": PROBE}]}}],
                # There is nothing to delete with it, and a finalizer would wait for the controller.
                "syncPolicy": {"preserveResourcesOnDeletion": True},
                "template": {
                    "metadata": {"name": "{{.name}}"},
                    "spec": {
                        "project": PROBE,
                        "source": {"repoURL": repository, "path": ".", "targetRevision": "HEAD"},
                        "destination": destination,
                    },
                },
            },
        },
    ]


async def _reconciled(context: StackContext, namespace: str) -> None:
    application = await context.kubectl.get("application.argoproj.io", PROBE, namespace)
    if application is None:
        raise wait.NotYet("the ApplicationSet controller has made no Application yet")
    conditions = application.get("status", {}).get("conditions", [])
    if not any(c["type"] == "ComparisonError" and NOWHERE in c["message"] for c in conditions):
        said = "; ".join(f"{c['type']}: {c['message']}" for c in conditions)
        raise wait.NotYet(said or "the application controller has not looked at its Application yet")
