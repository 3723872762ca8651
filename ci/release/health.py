"""How an application is: Argo CD's word, and the pods themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ci.base.errors import CheckFailedError
from ci.cluster.kubectl import Kubectl
from ci.manifests import values
from ci.tree import tree
from ci.tree.tree import Application, Release

SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""Annotation of a pod: the model that it loaded. KServe puts it there."""
CONTAINER = "kserve-container"


@dataclass(frozen=True)
class Pod:
    """What a pod runs, or is to run.

    Attributes:
        storage_uri: The model that it loaded.
        image: The image that it runs.
        digest: Of the model's files, where they are pinned: it compared before it started.
    """

    storage_uri: str
    image: str
    digest: str = ""

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.storage_uri}{f' ({self.digest})' if self.digest else ''} on {self.image}"


@dataclass(frozen=True)
class Health:
    """One look at an application.

    Attributes:
        source: Who says so.
        at: When, as ISO 8601.
        sync: "Synced" or another of Argo CD's words.
        health: "Healthy" or another of Argo CD's words.
        message: What it adds.
        seconds: How long it is so, in seconds.
        chart_revision: The chart's commit that is deployed.
        deployed: What is deployed.
        pods: What answers, which is not yet what is deployed while KServe or a Rollout is behind.
    """

    source: str
    at: str
    sync: str
    health: str
    message: str
    seconds: float
    chart_revision: str
    deployed: Pod
    pods: Sequence[Pod]

    @property
    def good(self) -> bool:
        """Whether it runs what git says, and well."""
        return (self.sync, self.health) == ("Synced", "Healthy")

    @property
    def text(self) -> str:
        """The state in one line."""
        added = f" ({self.message})" if self.message else ""
        return f"{self.sync} and {self.health}{added} for {self.seconds:.0f} s, says {self.source} at {self.at}"


async def from_argo_cd(kubectl: Kubectl, application: Application) -> Health:
    """Read an application's health from Argo CD, and from the pods that it deployed to the same cluster.

    Raises:
        CheckFailedError: Argo CD has no such Application.
    """
    found = await kubectl.get("applications.argoproj.io", application.argo_name, application.project.argocd.namespace)
    if found is None:
        raise CheckFailedError(
            f"Argo CD on {kubectl.cluster.name} has no Application {application.argo_name}",
            fix=f"kubectl apply -f {application.project.paths.argocd}/, or --context of the cluster that has Argo CD",
        )
    selector = f"serving.kserve.io/inferenceservice={application.name}"
    pods = await kubectl.get_list("pods", application.namespace, selector)
    return read(found, pods, f"Argo CD on {kubectl.cluster.name}", datetime.now(UTC))


def read(application: dict[str, Any], pods: Sequence[dict[str, Any]], source: str, now: datetime) -> Health:
    """Return what an Application's status says, and its pods.

    A set is as old as its deployment and as healthy as since the health last changed: the later of the two counts.

    Args:
        application: The Argo CD Application.
        pods: The model's, as the API server has them.
        source: Who says so.
        now: The time of the look.
    """
    status = application.get("status", {})
    health = status.get("health", {})
    history = status.get("history") or [{}]
    since = [time for time in (health.get("lastTransitionTime"), history[-1].get("deployedAt")) if time]
    seconds = min(((now - datetime.fromisoformat(time)).total_seconds() for time in since), default=0.0)
    helm = application["spec"]["source"].get("helm", {})
    given = values.read(helm.get("values") or "", "spec.source.helm.values") or helm.get("valuesObject") or {}
    model = given.get("exampleModel", {})
    return Health(
        source,
        now.isoformat(timespec="seconds"),
        status.get("sync", {}).get("status", "Unknown"),
        health.get("status", "Unknown"),
        health.get("message", ""),
        max(seconds, 0.0),
        status.get("sync", {}).get("revision", ""),
        Pod(model.get("storageUri", ""), model.get("image", ""), model.get("digest", "")),
        [runs(pod) for pod in pods if _ready(pod)],
    )


def _ready(pod: dict[str, Any]) -> bool:
    conditions = {item["type"]: item["status"] for item in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def runs(pod: Mapping[str, Any]) -> Pod:
    """Return what a pod runs, or what the pods of a template do."""
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    server = containers.get(CONTAINER, {})
    digest = next((part for part in server.get("command", []) if tree.DIGEST.fullmatch(part)), "")
    return Pod(pod["metadata"].get("annotations", {}).get(SOURCE_URI, ""), server.get("image", ""), digest)


def wanted(release: Release) -> Pod:
    """Return what the pods of a set run."""
    return Pod(release["model", "storageUri"], tree.image(release), release[tree.MODEL_DIGEST])
