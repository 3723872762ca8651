"""The model store inside the cluster: an S3 API, as KServe's storage initializer reads models from in production."""

import base64
import secrets
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import requests
from requests_aws4auth import AWS4Auth

from ci.base.errors import CheckFailedError, CommandError, WaitTimeoutError
from ci.base.progress import step
from ci.cluster.kubectl import Kubectl
from ci.cluster.port_forward import port_forward
from ci.models.digests import pinned
from ci.supply.supply import Supply

NAMESPACE = "model-store"
NAME = "model-store"
PORT = 9000
IMAGE = "docker.io/versity/versitygw"
BUCKET = "models"
REGION = "us-east-1"
READY_SECONDS = 120
UPLOAD_SECONDS = 30
DIGESTS = "model-digests"
"""ConfigMap: MODEL.VERSION to the digest of that model."""
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""As KServe wants them in a Secret."""


def uri(model: str, version: str) -> str:
    """Return the storageUri of a model's version."""
    return f"s3://{BUCKET}/{model}/{version}"


async def install(kubectl: Kubectl, supply: Supply, models: Path | None) -> None:
    """Have the store running with these models in it; called again, it adds and replaces models.

    Args:
        kubectl: On the cluster.
        supply: Where the image comes from.
        models: Folder with MODEL/VERSION/files; None leaves it as it is.

    Raises:
        WaitTimeoutError: The store did not start.
        CheckFailedError: It did not take a model.
    """
    with step("install the model store"):
        objects = [_deployment(supply.image(IMAGE)), _service()]
        if await kubectl.get("secret", NAME, NAMESPACE) is None:
            keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
            objects.insert(0, _secret(NAME, NAMESPACE, keys))
        # beside the stack, whose CRDs arrive all the while
        await kubectl.apply([_namespace(), *objects], validate=False)
        try:
            await kubectl.run(
                "rollout",
                "status",
                f"deployment/{NAME}",
                f"--namespace={NAMESPACE}",
                f"--timeout={READY_SECONDS}s",
                timeout=READY_SECONDS + 10,
            )
        except CommandError as error:
            raise WaitTimeoutError(f"Deployment {NAMESPACE}/{NAME} available", READY_SECONDS, error.message) from error
        if models is not None:
            await upload(kubectl, models)
            await kubectl.apply([_digests(models)], validate=False)


async def digest(kubectl: Kubectl, uri: str) -> str:
    """Return the digest of a model in the store as the chart's `exampleModel.digest` has it.

    Args:
        kubectl: On the cluster.
        uri: The model's storageUri.

    Returns:
        The digest; nothing where the store has no such model, or the cluster no store.
    """
    held = await kubectl.get("configmap", DIGESTS, NAMESPACE)
    data: dict[str, str] = (held or {}).get("data", {})
    return data.get(uri.removeprefix(f"s3://{BUCKET}/").replace("/", "."), "")


async def upload(kubectl: Kubectl, models: Path) -> None:
    """Put models into the store, by its S3 API.

    Args:
        kubectl: On the cluster.
        models: Folder with MODEL/VERSION/files.

    Raises:
        CheckFailedError: The store refused one.
    """
    keys = await _keys(kubectl)
    async with port_forward(kubectl, f"svc/{NAME}", PORT, NAMESPACE) as url:
        await anyio.to_thread.run_sync(put, url, keys, models)


async def add(kubectl: Kubectl, model: str, version: str, folder: Path) -> None:
    """Put one version of a model into the store.

    Args:
        kubectl: On the cluster.
        model: Its name.
        version: The version's.
        folder: With its files.

    Raises:
        CheckFailedError: The store refused it.
    """
    keys = await _keys(kubectl)
    async with port_forward(kubectl, f"svc/{NAME}", PORT, NAMESPACE) as url:
        await anyio.to_thread.run_sync(put, url, keys, folder, f"{model}/{version}/")


def put(url: str, keys: dict[str, str], models: Path, below: str = "") -> None:
    """Put every file of a folder into the store's bucket, which is made if it is not there.

    Args:
        url: The store's address.
        keys: Its credentials.
        models: The folder.
        below: What the keys begin with.
    """
    with requests.Session() as session:
        session.auth = AWS4Auth(*(keys[name] for name in KEYS), REGION, "s3")
        try:
            made = session.put(f"{url}/{BUCKET}", timeout=UPLOAD_SECONDS)
            if made.status_code not in (HTTPStatus.OK, HTTPStatus.CONFLICT):
                raise CheckFailedError(f"the model store made no bucket {BUCKET}: {made.status_code}", detail=made.text)
            for file in sorted(path for path in models.rglob("*") if path.is_file()):
                key = f"{below}{file.relative_to(models).as_posix()}"
                with file.open("rb") as content:
                    stored = session.put(f"{url}/{BUCKET}/{key}", data=content, timeout=UPLOAD_SECONDS)
                if stored.status_code != HTTPStatus.OK:
                    raise CheckFailedError(
                        f"the model store did not take {key}: {stored.status_code}", detail=stored.text
                    )
        except requests.RequestException as error:
            raise CheckFailedError(f"the model store does not answer: {error}") from error


async def credentials(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Have a Secret in a namespace with which KServe reads from the store.

    Args:
        kubectl: On the cluster.
        namespace: Where the model is served.
        name: Name of the Secret; the predictor's service account lists it.
    """
    annotations = {
        "serving.kserve.io/s3-endpoint": f"{NAME}.{NAMESPACE}.svc.cluster.local:{PORT}",
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-region": REGION,
    }
    await kubectl.apply([_secret(name, namespace, await _keys(kubectl), annotations)], validate=False)


async def _keys(kubectl: Kubectl) -> dict[str, str]:
    held = await kubectl.get("secret", NAME, NAMESPACE)
    if held is None:
        raise CheckFailedError("the cluster has no model store", fix="python ci/main.py test --only stack")
    return {name: base64.b64decode(held["data"][name]).decode() for name in KEYS}


def _metadata(name: str, namespace: str | None = NAMESPACE) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "ml-serving-ci"}
    return {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}


def _namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _metadata(NAMESPACE, None)}


def _secret(
    name: str, namespace: str, keys: dict[str, str], annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata = {**_metadata(name, namespace), "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}


def _service() -> dict[str, Any]:
    # TCP to the mesh: a proxy that read the requests as HTTP could change what their signatures cover.
    port = {"name": "tcp-s3", "port": PORT, "targetPort": "s3"}
    spec = {"selector": {"app.kubernetes.io/name": NAME}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(NAME), "spec": spec}


def _digests(models: Path) -> dict[str, Any]:
    data = {f"{folder.parent.name}.{folder.name}": pinned(folder) for folder in models.glob("*/*")}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(DIGESTS), "data": data}


def _deployment(image: str) -> dict[str, Any]:
    def key(variable: str, name: str) -> dict[str, Any]:
        return {"name": variable, "valueFrom": {"secretKeyRef": {"name": NAME, "key": name}}}

    container = {
        "name": "versitygw",
        "image": image,
        "args": [
            f"--port=:{PORT}",
            f"--region={REGION}",
            "--health=/health",
            "--quiet",
            "posix",
            "--sidecar=/meta",
            "/buckets",
        ],
        "env": [key("ROOT_ACCESS_KEY", KEYS[0]), key("ROOT_SECRET_KEY", KEYS[1])],
        "ports": [{"name": "s3", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "s3"}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("buckets", "meta")],
    }
    pod = {
        "metadata": {"labels": _metadata(NAME)["labels"]},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": name, "emptyDir": {}} for name in ("buckets", "meta")],
        },
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(NAME), "spec": spec}
