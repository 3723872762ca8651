"""Host names that two VirtualServices of a cluster take whole: Istio gives the traffic to one of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.manifests import documents
from ci.manifests.chart import Rendering
from ci.manifests.manifests import dig, entries
from ci.results import Finding

CHECK = "hosts"
REMEDY = "give one of them another name, or leave it out"
MESH = "mesh"
"""Istio's name for the proxies, which a VirtualService without gateways is for."""


def rendered(clusters: Mapping[str, str | None], renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each host that another application of the cluster has by the same gateway, with the application's name.

    Args:
        clusters: Each environment's.
        renderings: Without findings.
    """
    first: dict[tuple[str | None, str, str], str] = {}
    for rendering in renderings:
        name, environment = rendering.target.name, rendering.target.environment
        for manifest in rendering.objects if environment in clusters else ():
            group, kind, namespace, _ = documents.identity(manifest.data)
            if (group, kind) != ("networking.istio.io", "VirtualService") or not _takes_all(manifest.data):
                continue
            own = namespace or rendering.target.namespace
            gateways = [
                each if each == MESH or "/" in each else f"{own}/{each}"
                for each in map(str, manifest.dig("spec", "gateways") or [MESH])
            ]
            for index, host in enumerate(manifest.dig("spec", "hosts") or ()):
                if "." not in str(host):  # a Service of the namespace
                    continue
                keys = [(clusters[environment], gateway, str(host)) for gateway in gateways]
                before = next((first[key] for key in keys if key in first), None)
                first |= {key: name for key in keys if key not in first}
                if before is not None:
                    said = f"{host} is {before}'s already, by the same gateway: Istio gives its requests to one of them"
                    yield name, manifest.finding(CHECK, ("spec", "hosts", index), said, REMEDY)


def _takes_all(virtual_service: Mapping[str, Any]) -> bool:
    """Of those that take some paths each, Istio makes one."""
    return any(not route.get("match") for _, route in entries(dig(virtual_service, "spec", "http")))
