"""Which applications may be on one control plane together, and what it is given of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ci.checks.control_plane.container import Plane
from ci.manifests import documents, hooks
from ci.manifests.brought import Brought
from ci.manifests.chart import Rendering
from ci.manifests.documents import Document, Identity

RUNS = ("Pod", "Job")
"""Kinds of what runs at a moment of its own, and takes of a quota; the rest of a test is there to be referred to."""


def groups(
    renderings: Sequence[Rendering], before: Mapping[str, Sequence[Document]] | None = None
) -> list[list[Rendering]]:
    """Return renderings such that those of a group may be in one cluster: environments may be clusters of their own.

    No two have one object, and Istio injects alike for all.

    Args:
        renderings: All of them.
        before: By the target's name, objects that they have as well.
    """
    found: list[tuple[list[Rendering], set[Identity]]] = []
    for rendering in renderings:
        objects = [*(each.data for each in rendering.objects), *(before or {}).get(rendering.target.name, ())]
        own = {identity(each, rendering.target.namespace) for each in objects if each.get("kind") != "Namespace"}
        cni = rendering.target.istio_cni
        there = next((group for group in found if group[0][0].target.istio_cni == cni and not group[1] & own), None)
        if there is None:
            there = ([], set())
            found.append(there)
        there[0].append(rendering)
        there[1].update(own)
    return [group for group, _ in found]


def surroundings(plane: Plane, group: Sequence[Rendering], brought: Sequence[Brought]) -> dict[str, Any]:
    """Return what a group of renderings finds there, as `inside.apply` reads it.

    Args:
        plane: What the control plane is made of.
        group: One of `groups`.
        brought: What the project's clusters have of their own.
    """
    stack = plane.with_cni if group[0].target.istio_cni else ()
    return {"stack": list(stack), "clusters": [each.document for each in brought]}


def given(rendering: Rendering) -> dict[str, Any]:
    """Return what is applied of an application, as `inside.apply` reads it."""
    target = rendering.target
    objects = [each.data for each in rendering.objects]
    tried = [number for number, each in enumerate(objects) if each.get("kind") in RUNS and hooks.is_left_out(each)]
    return {"name": target.name, "namespace": target.namespace, "objects": objects, "tried": tried}


def identity(document: Mapping[str, Any], namespace: str) -> Identity:
    """Return what tells an object from others, where its application goes into a namespace."""
    group, kind, own, name = documents.identity(document)
    return group, kind, own or namespace, name
