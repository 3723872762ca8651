"""KServe in Standard mode, with a webhook certificate of our own where cert-manager would otherwise be needed."""

from base64 import b64decode, b64encode
from typing import Any

from ci.base import wait
from ci.base.errors import CommandError
from ci.manifests import documents, runtimes
from ci.manifests.documents import Document
from ci.stack import certificates, manifests, probes
from ci.stack.certificates import ServingCertificate
from ci.stack.component import READY_SECONDS, Source, StackContext

NAMESPACE = "kserve"
MANAGER = "kserve-controller-manager"
WEBHOOK_SERVICE = "kserve-webhook-server-service"
WEBHOOK_SECRET = "kserve-webhook-server-cert"  # noqa: S105 - a Secret's name
VALIDATOR = "inferenceservice.kserve-webhook-server.validator"
INJECT_CA_ANNOTATION = "cert-manager.io/inject-ca-from"
INFERENCE_SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices"
RESOURCES: dict[str, Any] = {
    "kserve": {
        "controller": {
            "deploymentMode": "Standard",
            # KServe routes nothing here: the chart's own VirtualService does.
            "gateway": {"disableIstioVirtualHost": True},
            # Upstream's limit of a tenth of a core makes the manager take most of a minute to start.
            "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}, "limits": {"cpu": "1", "memory": "300Mi"}},
            "rbacProxy": {
                "resources": {
                    "requests": {"cpu": "10m", "memory": "20Mi"},
                    "limits": {"cpu": "500m", "memory": "300Mi"},
                }
            },
        },
    }
}


async def find(context: StackContext) -> dict[str, Any] | None:
    """Return the webhook that validates InferenceServices."""
    return await context.kubectl.get("validatingwebhookconfiguration", "inferenceservice.serving.kserve.io")


async def install(context: StackContext) -> None:
    """Apply CRDs, manager and webhooks; then, once the webhooks answer, the serving runtimes.

    All that the chart has: which of them serves, the application says; none costs anything before it does.
    """
    definitions = await crds(context)
    certificate = await _certificate(context)
    resources = without_cert_manager(await manager_and_webhooks(context), certificate)
    manager = documents.find(resources, "Deployment", MANAGER)
    documents.probe_at_once(documents.container(manager, "manager")["readinessProbe"])
    fetcher = documents.find(resources, "ClusterStorageContainer", "default")["spec"]["container"]
    # The scheduler counts it for the pod's whole life, and a canary's extra pods must fit a two-core node.
    fetcher["resources"]["requests"]["cpu"] = "10m"
    await manifests.apply(context, [documents.namespace(NAMESPACE), secret(certificate), *definitions, *resources])
    served_by = await serving_runtimes(context)
    await probes.available(context, f"deployment/{MANAGER}", NAMESPACE)
    await wait.until(
        "KServe's webhook lets serving runtimes in",
        lambda: _applied(context, served_by),
        timeout=READY_SECONDS,
        interval=1,
    )


async def crds(source: Source) -> list[Document]:
    """Return KServe's CRDs."""
    chart = source.supply.module("kserve") / "charts" / "kserve-crd"
    return await manifests.from_chart(source, "kserve-crd", chart, NAMESPACE)


async def manager_and_webhooks(source: Source) -> list[Document]:
    """Return what upstream's chart has beside CRDs and runtimes, for cert-manager as well."""
    chart = source.supply.module("kserve") / "charts" / "kserve-resources"
    return await manifests.from_chart(source, "kserve-resources", chart, NAMESPACE, RESOURCES)


async def serving_runtimes(source: Source) -> list[Document]:
    """Return the serving runtimes that KServe brings."""
    chart = source.supply.module("kserve") / "charts" / runtimes.CHART
    return await manifests.from_chart(source, runtimes.CHART, chart, NAMESPACE, runtimes.ENABLED)


async def _applied(context: StackContext, objects: list[Document]) -> None:
    try:
        await manifests.apply(context, objects)
    except CommandError as error:
        raise wait.NotYet(error.message) from error


async def _certificate(context: StackContext) -> ServingCertificate:
    """Return the certificate that is on the cluster if it is good, else a new one.

    A new one on every installation would leave the manager with the old one until its volume is refreshed.
    """
    data = (await context.kubectl.get("secret", WEBHOOK_SECRET, NAMESPACE) or {}).get("data", {})
    if {"ca.crt", "tls.crt", "tls.key"} <= set(data):
        kept = ServingCertificate(*(b64decode(data[key]) for key in ("ca.crt", "tls.crt", "tls.key")))
        if not certificates.expires_soon(kept.certificate):
            return kept
    return certificates.issue(WEBHOOK_SERVICE, NAMESPACE)


def without_cert_manager(resources: list[Document], certificate: ServingCertificate) -> list[Document]:
    """Take out what cert-manager would act on, and give every webhook the authority it is to trust.

    The chart has no value for it: it renders its Certificate always.
    """
    bundle = b64encode(certificate.authority).decode()
    kept = [document for document in resources if not document["apiVersion"].startswith("cert-manager.io/")]
    for document in kept:
        if document["kind"] in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            document["metadata"].get("annotations", {}).pop(INJECT_CA_ANNOTATION, None)
            for webhook in document["webhooks"]:
                webhook["clientConfig"]["caBundle"] = bundle
    return kept


def secret(certificate: ServingCertificate) -> Document:
    """Return the Secret that KServe's manager mounts."""
    data = {"ca.crt": certificate.authority, "tls.crt": certificate.certificate, "tls.key": certificate.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": WEBHOOK_SECRET, "namespace": NAMESPACE},
        "data": {key: b64encode(value).decode() for key, value in data.items()},
    }


async def ready(context: StackContext) -> None:
    """Wait until the webhook lets a good InferenceService in and keeps a bad one out.

    A Ready pod is not enough: its webhook may still refuse everything (kserve#4182).
    """
    managers = await context.kubectl.get_list("deployments", all_namespaces=True, selector=f"control-plane={MANAGER}")
    for manager in managers:
        await probes.available(context, f"deployment/{manager['metadata']['name']}", manager["metadata"]["namespace"])
    await wait.until("KServe's webhook answers", lambda: _validates(context), timeout=READY_SECONDS, successes=2)


async def _validates(context: StackContext) -> None:
    await probes.admitted(context, INFERENCE_SERVICES, _inference_service("webhook-probe"))
    # Kubernetes allows a name that begins with a digit, KServe does not: only its webhook can refuse this one.
    await probes.refused(context, INFERENCE_SERVICES, _inference_service("1-webhook-probe"), VALIDATOR)


def _inference_service(name: str) -> Document:
    # a container of its own: no runtime, whatever the cluster has, is asked for
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"predictor": {"containers": [{"name": "kserve-container", "image": "webhook-probe"}]}},
    }
