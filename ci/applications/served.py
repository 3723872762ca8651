"""What the pods of an application run, as the API server and their nodes say."""

from collections.abc import Iterable, Iterator

from ci.manifests.documents import Document
from ci.manifests.runtimes import CONTAINER

INITIALIZER = "storage-initializer"
"""KServe's own, which gets the model before the server starts; its arguments are pairs of URI and folder."""


def others(pods: Iterable[Document], digest: str) -> list[str]:
    """Return what pods of an application run where it is not the image of a digest, each once.

    Args:
        pods: As the API server has them.
        digest: As a registry has it ("sha256:…").
    """
    statuses = (status for pod in pods for status in pod.get("status", {}).get("containerStatuses", ()))
    images = {status["imageID"] for status in statuses if status["name"] == CONTAINER}
    return sorted(image for image in images if not image.endswith(f"@{digest}"))


def objections(pods: Iterable[Document], image: str, uri: str | None) -> Iterator[str]:
    """Yield how pods are not what their set says, a line each: a chart of one's own may take it from elsewhere.

    Args:
        pods: As the API server has them.
        image: The set's, as its pods are to name it.
        uri: Where the set's model is; None where its image brings it along.
    """
    for pod in pods:
        name, spec = pod["metadata"]["name"], pod["spec"]
        found = [each["image"] for each in spec["containers"] if each["name"] == CONTAINER]
        if found != [image]:
            yield f"pod {name} runs {', '.join(found) or f'no container {CONTAINER}'}, not {image}"
        first = [each for each in spec.get("initContainers", ()) if each["name"] == INITIALIZER]
        fetched = [argument for each in first for argument in each.get("args", ()) if "://" in argument]
        if fetched != ([uri] if uri is not None else []):
            yield f"pod {name} gets {', '.join(fetched) or 'no model'}, not {uri or 'none, as the set says'}"
