"""Which image the pods of an application have, as their nodes say."""

from collections.abc import Iterable

from ci.manifests.documents import Document

CONTAINER = "kserve-container"
"""The model server's, in every pod that KServe makes."""


def others(pods: Iterable[Document], digest: str) -> list[str]:
    """Return what pods of an application run where it is not the image of a digest, each once.

    Args:
        pods: As the API server has them.
        digest: As a registry has it ("sha256:…").
    """
    statuses = (status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ()))
    images = {status["imageID"] for status in statuses if status["name"] == CONTAINER}
    return sorted(image for image in images if not image.endswith(f"@{digest}"))
