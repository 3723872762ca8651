"""How an application is: Argo CD's word, and the pods themselves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ci.base.errors import CheckFailedError, CommandError
from ci.base.wait import NotYet, until
from ci.cluster.kubectl import Kubectl
from ci.manifests import values
from ci.manifests.runtimes import CONTAINER
from ci.tree import tree
from ci.tree.tree import Application, Release

SOURCE_URI = "internal.serving.kserve.io/storage-initializer-sourceuri"
"""Annotation of a pod: the model that it loaded. KServe puts it there."""
LOOK_SECONDS = 5.0


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


Look = Callable[[Application], Awaitable[Health]]
"""Reads how an application is, from its cluster or from what was recorded."""


class NotProvenError(CheckFailedError):
    """The earlier environment does not run the set, or not well, or not for long enough."""


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


def require_running(source: Application, health: Health) -> None:
    """Refuse an application that does not run what its file says, or not well."""
    name, namespace = source.argo_name, source.project.argocd.namespace
    if health.deployed != wanted(source.release):
        raise NotProvenError(
            f"{name} runs {health.deployed}, not what {source.file} says",
            fix=f"Wait until Argo CD has synced it: kubectl get application {name} -n {namespace}",
        )
    if not health.good:
        raise NotProvenError(f"{name} is {health.text}", fix=f"kubectl describe application {name} -n {namespace}")
    if not health.pods:
        raise NotProvenError(f"{name} has no ready pod", fix=f"kubectl get pods -n {source.namespace}")
    for pod in health.pods:
        if pod != health.deployed:
            raise NotProvenError(
                f"{name} has a pod that still answers with {pod}",
                fix=f"Wait until it is gone: kubectl get pods -n {source.namespace}; if it stays, KServe has not taken "
                f"the change: kubectl describe inferenceservice {source.name} -n {source.namespace}",
            )


async def settled(application: Application, look: Look, seconds: float) -> Health:
    """Wait until an application runs what its file says, and well.

    Args:
        application: As the tree has it.
        look: How its health is read.
        seconds: Deadline.

    Returns:
        The health that was seen.

    Raises:
        WaitTimeoutError: It did not get there; the error has what was seen last.
    """

    async def probe() -> Health:
        try:
            health = await look(application)
            require_running(application, health)
        except (NotProvenError, CommandError) as error:  # a lost connection is not the end of a wait of many minutes
            raise NotYet(error.message) from error
        return health

    return await until(
        f"{application.argo_name} as {application.file} says", probe, timeout=seconds, interval=LOOK_SECONDS
    )
