"""Which image the pods of an application have, as their nodes say."""

from ci.cluster.kubectl import Kubectl

CONTAINER = "kserve-container"
"""The model server's, in every pod that KServe makes."""


async def others(kubectl: Kubectl, namespace: str, name: str, digest: str) -> list[str]:
    """Return what the pods of an application run where it is not the image of a digest, each once.

    Args:
        kubectl: On the cluster.
        namespace: Where the application is.
        name: Its InferenceService.
        digest: As a registry has it ("sha256:…").
    """
    pods = await kubectl.get_list("pods", namespace, f"serving.kserve.io/inferenceservice={name}")
    statuses = [status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ())]
    images = {status["imageID"] for status in statuses if status["name"] == CONTAINER}
    return sorted(image for image in images if not image.endswith(f"@{digest}"))
