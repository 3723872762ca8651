"""Whether a chart takes an application: Helm renders it, and what it renders serves the set.

A chart of one's own may read model and image elsewhere than where the ApplicationSet writes them, as one does that
depends on this chart under aliases. Then a set would be committed, shown and promoted, and nothing served by it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.base.errors import CheckFailedError
from ci.manifests import documents, kubernetes_yaml, places
from ci.tree import tree
from ci.tree.git import Snapshot
from ci.tree.render import render
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application

GROUP = "serving.kserve.io/"
URI: KeyPath = ("model", "storageUri")
IMAGE: KeyPath = ("image",)
URIS = ("storageUri", "uri")
"""KServe's fields with a model's URI; its `storage` has the parts of one."""
REMEDY = (
    "one application for each model, with a chart that serves its exampleModel.storageUri and .image; "
    "no set moves a model that an alias of a dependency has"
)


async def require(snapshot: Snapshot, helm: Path, application: Application, revision: str) -> None:
    """Refuse an application that its chart does not take, or whose set is not what the chart would have served.

    Arguments and errors as for `render`.
    """
    rendered = await render(snapshot, helm, application, revision)
    texts = (text for text in kubernetes_yaml.SEPARATOR.split(rendered) if GROUP in text)
    objects = [each for text in texts for each in documents.parse(text, application.file)]
    for key, said in unserved(application.release[URI], tree.image(application.release), objects):
        raise CheckFailedError(f"{application.file}: {tree.dotted(key)}: {said}", fix=REMEDY)


def unserved(uri: str, image: str, objects: Iterable[Mapping[str, Any]]) -> Iterator[tuple[KeyPath, str]]:
    """Yield what of a set is nowhere among the objects of KServe's that are to serve it, by its key, and a line of it.

    Args:
        uri: Where the set's model is; empty where its image brings it along.
        image: The set's.
        objects: What the chart renders; nothing is missed where no InferenceService of it says what it serves.
    """
    served = [each for each in objects if str(each.get("apiVersion")).startswith(GROUP)]
    names = ", ".join(str(each["metadata"]["name"]) for each in served if each.get("kind") == "InferenceService")
    values = [(path[-1], value) for each in served for path, value in places.walk(each)]
    images = _texts(value for key, value in values if key == "image")
    variables = (value for _, value in values if isinstance(value, Mapping) and value.get("name") == "STORAGE_URI")
    uris = _texts([*(value for key, value in values if key in URIS), *(each.get("value") for each in variables)])
    if not names or not (images or uris):
        return
    texts = _texts(value for _, value in values)
    in_parts = any(key == "storage" for key, _ in values)
    if uri and not in_parts and not _among(uri, texts):
        yield URI, f"InferenceService {names} gets {', '.join(uris) or 'no model'}, not {uri}"
    if not _among(image, texts):
        yield IMAGE, f"InferenceService {names} runs {', '.join(images) or 'what its runtime names'}, not {image}"


def _texts(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value and isinstance(value, str)))


def _among(wanted: str, texts: Iterable[str]) -> bool:
    """Tell whether one of some texts is what is wanted, or has it in it; `…/10` has no `…/1`."""
    whole = re.compile(rf"{re.escape(wanted)}(?!\w)")
    return any(map(whole.search, texts))
