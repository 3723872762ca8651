"""What was applied, as a record on the cluster: a component that is there from the same input is not applied again."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from ci.base import paths
from ci.manifests.documents import Document, is_owned
from ci.project import Prometheus
from ci.stack.component import StackContext
from ci.supply import pins

ANNOTATION = "ml-serving-ci.applied"
"""On the object by which a component is known, once the component answered: the key of what it was applied from."""


def key(way: str, prometheus: Prometheus, argocd: str) -> str:
    """Return a key of all that decides what a component applies.

    The tool counts as a whole, pins and all: rendering every chart to see whether an edit of it matters would take
    longer than the edit's one run. The week counts because time does: a certificate of ours has to be renewed
    (`certificates.RENEW_BEFORE`), and what somebody has changed on the cluster by hand does not stay for good.

    Args:
        way: Of the supply.
        prometheus: Which Prometheus scrapes.
        argocd: Argo CD's namespace.
    """
    week = datetime.now(UTC).strftime("%G-W%V")
    return pins.key(paths.ROOT / "ci", way, prometheus, argocd, week)


def holds(known_by: Document, key: str) -> bool:
    """Tell whether a component was put there by this tool, from the input of this key, and answered."""
    return is_owned(known_by) and _annotations(known_by).get(ANNOTATION) == key


async def write(context: StackContext, known_by: Iterable[Document], key: str) -> None:
    """Record on the objects by which components are known that they were applied, and answered."""
    await _annotate(context, known_by, f"{ANNOTATION}={key}")


async def remove(context: StackContext, known_by: Iterable[Document]) -> None:
    """Take away the records there are: before something else is applied, and where a component does not answer."""
    await _annotate(context, [each for each in known_by if ANNOTATION in _annotations(each)], f"{ANNOTATION}-")


async def _annotate(context: StackContext, objects: Iterable[Document], change: str) -> None:
    """Change an annotation of objects of any kind, by one call."""
    items = [
        {key: each[key] for key in ("apiVersion", "kind")}
        | {"metadata": {key: each["metadata"][key] for key in ("name", "namespace") if key in each["metadata"]}}
        for each in objects
    ]
    if items:
        documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        await context.kubectl.run("annotate", "--overwrite", "--filename=-", change, stdin=documents)


def _annotations(document: Document) -> dict[str, Any]:
    return document["metadata"].get("annotations") or {}
