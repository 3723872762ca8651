"""When what the chart installs is ready, in KServe's and Argo Rollouts' own words: neither speaks for the other.

An InferenceService at 0 replicas is Ready whatever the Rollout's pods do, so one is never enough.
"""

from typing import Any

from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.cluster.kubectl import Kubectl

READY_SECONDS = 180.0


async def inference_service(kubectl: Kubectl, namespace: str, name: str, timeout: float = READY_SECONDS) -> None:
    """Wait until an InferenceService says Ready for the generation that was applied."""

    async def ready() -> None:
        found = await kubectl.get("inferenceservices.serving.kserve.io", name, namespace)
        if found is None:
            raise NotYet("there is none")
        conditions = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
        state = conditions.get("Ready", {"status": "Unknown"})
        if found.get("status", {}).get("observedGeneration") not in (None, found["metadata"]["generation"]):
            raise NotYet("the controller has not seen the latest change")
        if state["status"] != "True":
            raise NotYet(f"Ready={state['status']} {state.get('reason', '')} {state.get('message', '')}".strip())

    await until(f"InferenceService {name} is Ready", ready, timeout=timeout)


async def rollout(kubectl: Kubectl, namespace: str, name: str, timeout: float = READY_SECONDS) -> dict[str, Any]:
    """Wait until a Rollout is Healthy, and return it.

    Raises:
        CheckFailedError: It is Degraded, which it does not leave by itself.
        WaitTimeoutError: It did not get there in time.
    """

    async def healthy() -> dict[str, Any]:
        found = await kubectl.get("rollouts.argoproj.io", name, namespace)
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
            raise NotYet(f"{phase}: {message}")
        return found

    return await until(f"Rollout {name} is Healthy", healthy, timeout=timeout)
