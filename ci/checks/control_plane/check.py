"""Every application, as it would be deployed, on a control plane without nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagger

from ci.checks.control_plane import container as containers
from ci.checks.control_plane import findings
from ci.checks.control_plane.container import Plane
from ci.checks.control_plane.findings import Refusal
from ci.manifests import documents
from ci.manifests.brought import Brought
from ci.manifests.chart import Rendering
from ci.manifests.documents import Identity
from ci.results import Finding


async def check(
    client: dagger.Client, plane: Plane, renderings: Sequence[Rendering], brought: Sequence[Brought], folder: Path
) -> list[Refusal | Finding]:
    """Apply renderings, and return what API server and controllers have against them.

    Args:
        client: The Dagger session.
        plane: What the control plane is made of.
        renderings: Without findings.
        brought: What the project's clusters have of their own.
        folder: One of the host that is made for it.
    """
    found: list[Refusal | Finding] = []
    ready = containers.ready(client, plane, folder)
    for number, group in enumerate(groups(renderings)):
        applications = [
            {
                "name": each.target.name,
                "namespace": each.target.namespace,
                "objects": [manifest.data for manifest in each.objects],
            }
            for each in group
        ]
        given = {"clusters": [each.document for each in brought], "applications": applications}
        told = await containers.complaints(client, ready, given, folder / str(number))
        found += findings.refusals(group, brought, told)
    return found


def groups(renderings: Sequence[Rendering]) -> list[list[Rendering]]:
    """Return renderings such that no two of a group have one object: environments may be clusters of their own.

    Args:
        renderings: All of them.
    """
    found: list[tuple[list[Rendering], set[Identity]]] = []
    for rendering in renderings:
        own = {
            _identity(each.data, rendering.target.namespace) for each in rendering.objects if each.kind != "Namespace"
        }
        there = next((group for group in found if not group[1] & own), None)
        if there is None:
            there = ([], set())
            found.append(there)
        there[0].append(rendering)
        there[1].update(own)
    return [group for group, _ in found]


def _identity(document: Mapping[str, Any], namespace: str) -> Identity:
    group, kind, own, name = documents.identity(document)
    return group, kind, own or namespace, name
