"""When what the chart installs is ready, in KServe's and Argo Rollouts' own words: neither speaks for the other.

An InferenceService at 0 replicas is Ready whatever the Rollout's pods do, so one is never enough.
"""

import time
from typing import Any

from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.cluster import diagnostics
from ci.cluster.kubectl import Kubectl

INFERENCE_SERVICES, ROLLOUTS = "inferenceservices.serving.kserve.io", "rollouts.argoproj.io"
READY_SECONDS = 180.0
LEFT_SECONDS = 120.0
"""For the pods of the revision before to go: `scaleDownDelaySeconds`, and their own grace."""
LOOK_SECONDS = 5.0
"""Between two looks at the pods while they are not ready."""
REVISIONS = ("rollouts-pod-template-hash", "pod-template-hash")
"""Labels that all pods of a revision share: Argo Rollouts' and the Deployment's."""


async def inference_service(kubectl: Kubectl, namespace: str, name: str, timeout: float = READY_SECONDS) -> None:
    """Wait until an InferenceService says Ready for the generation that was applied.

    Raises:
        CheckFailedError: A container of its newest pods ends again and again, or never begins; it is named.
        WaitTimeoutError: It did not get there in time.
    """
    what, looked = f"InferenceService {name} is Ready", time.monotonic()

    async def ready() -> None:
        found = await kubectl.get(INFERENCE_SERVICES, name, namespace)
        if found is None:
            raise NotYet("there is none")
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        state = conditions.get("Ready", {"status": "Unknown"})
        if found.get("status", {}).get("observedGeneration") not in (None, found["metadata"]["generation"]):
            raise NotYet("the controller has not seen the latest change")
        if state["status"] != "True":
            await look()
            await _change(kubectl, namespace, "condition=Ready", f"{INFERENCE_SERVICES}/{name}")
            raise NotYet(f"Ready={state['status']} {state.get('reason', '')} {state.get('message', '')}".strip())

    async def look() -> None:
        nonlocal looked
        if time.monotonic() - looked < LOOK_SECONDS:
            return
        looked = time.monotonic()
        if why := await diagnostics.hopeless(kubectl, _newest(await pods(kubectl, namespace, name))):
            raise CheckFailedError(f"{what}: waiting does not help: {why}")

    await until(what, ready, timeout=timeout)


async def _change(kubectl: Kubectl, namespace: str, wanted: str, thing: str) -> None:
    """Return once an object is as it is wanted, or it is time for another look.

    One watch: a look each half second costs kubectl and the API server half a core, while model servers want both.
    """
    deadline = f"--timeout={LOOK_SECONDS:.0f}s"
    await kubectl.run("wait", f"--for={wanted}", deadline, thing, f"--namespace={namespace}", check=False)


async def pods(kubectl: Kubectl, namespace: str, name: str) -> list[dict[str, Any]]:
    """Return the pods of an InferenceService, of every revision."""
    return await kubectl.get_list("pods", namespace, f"serving.kserve.io/inferenceservice={name}")


async def one_revision(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Wait until an InferenceService has pods of one revision alone.

    Argo Rollouts keeps those of the revision before for a while (scaleDownDelaySeconds). A set that comes back
    while its pods are there takes no time to be ready, so that its weight is set between Helm's look and Helm's apply.

    Raises:
        WaitTimeoutError: It did not get there in time.
    """

    async def alone() -> None:
        hashes = {revision(pod) for pod in await pods(kubectl, namespace, name)}
        if len(hashes) > 1:
            raise NotYet(f"pods of {len(hashes)} revisions")

    await until(f"{name} has pods of one revision", alone, timeout=LEFT_SECONDS, interval=1)


def _newest(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the pods of the newest revision: what one before failed of is over."""
    by_age = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return [pod for pod in by_age if revision(pod) == revision(by_age[-1])]


def revision(pod: dict[str, Any]) -> str | None:
    """Return the hash that tells a pod's revision from others; None where it has none."""
    labels = pod["metadata"].get("labels", {})
    return next((labels[key] for key in REVISIONS if key in labels), None)


async def rollout(kubectl: Kubectl, namespace: str, name: str, timeout: float = READY_SECONDS) -> dict[str, Any]:
    """Wait until a Rollout is Healthy, and return it.

    Raises:
        CheckFailedError: It is Degraded, which it does not leave by itself.
        WaitTimeoutError: It did not get there in time.
    """

    async def healthy() -> dict[str, Any]:
        found = await kubectl.get(ROLLOUTS, name, namespace)
        if found is None:
            raise NotYet("there is none")
        status = found.get("status", {})
        if str(status.get("observedGeneration")) != str(found["metadata"]["generation"]):
            raise NotYet("the controller has not seen the latest change")
        phase, message = status.get("phase", "unknown"), status.get("message", "")
        if phase == "Degraded" and "InvalidSpec" not in message:
            raise CheckFailedError(
                f"Rollout {name} is Degraded: {message}", fix=f"kubectl argo rollouts get rollout {name} -n {namespace}"
            )
        if phase != "Healthy":
            await _change(kubectl, namespace, "jsonpath={.status.phase}=Healthy", f"{ROLLOUTS}/{name}")
            raise NotYet(f"{phase}: {message}")
        return found

    return await until(f"Rollout {name} is Healthy", healthy, timeout=timeout)
