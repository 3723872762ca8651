"""Host names that a VirtualService takes from others: a name of two, and the name of a Service of another namespace.

A sidecar knows a Service as NAME.NAMESPACE as well. The hosts of the mesh's VirtualServices come first, and what one of
them has is none of the Service's any more, whatever namespace either is in (`BuildSidecarVirtualHostWrapper` and
`dedupeDomains` in Istio's pilot/pkg/networking/core).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ci.manifests import documents
from ci.manifests.chart import Rendering
from ci.manifests.manifests import dig, entries
from ci.project import Environment
from ci.results import Finding
from ci.stack import istio, kserve, rollouts

CHECK = "hosts"
REMEDY = "give one of them another name, or leave it out"
MESH = "mesh"
"""Istio's name for the proxies, which a VirtualService without gateways is for."""
SERVICE = re.compile(r"[^.]+\.(?P<namespace>[^.]+)(?P<whole>\.svc(\.cluster\.local)?)?")
"""A Service's name with its namespace, and perhaps the rest of its full name."""
OF_CLUSTERS = ("default", "kube-system", istio.NAMESPACE, kserve.NAMESPACE, rollouts.NAMESPACE)
"""Namespaces that each cluster has."""
OUTSIDE = "write a name that callers outside ask, or leave it out"


def rendered(environments: Sequence[Environment], renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each host that is another's of the cluster, with the application's name.

    Args:
        environments: All of the project.
        renderings: Without findings.
    """
    clusters = {each.name: each.cluster for each in environments}
    namespaces: dict[str | None, set[str]] = {cluster: {*OF_CLUSTERS} for cluster in clusters.values()}
    for each in environments:
        namespaces[each.cluster].add(each.namespace)
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
                there = _namespace(str(host), own, namespaces[clusters[environment]]) if MESH in gateways else ""
                if there:
                    said = f"{host} is a Service's name in namespace {there}, whose requests the mesh would bring here"
                    yield name, manifest.finding(CHECK, ("spec", "hosts", index), said, OUTSIDE)
                keys = [(clusters[environment], gateway, str(host)) for gateway in gateways]
                before = next((first[key] for key in keys if key in first), None)
                first |= {key: name for key in keys if key not in first}
                if before is not None:
                    said = f"{host} is {before}'s already, by the same gateway: Istio gives its requests to one of them"
                    yield name, manifest.finding(CHECK, ("spec", "hosts", index), said, REMEDY)


def _namespace(host: str, own: str, namespaces: Collection[str]) -> str:
    """Return the namespace whose Service a host is called like; nothing where it is no other's."""
    found = SERVICE.fullmatch(host)
    if found is None or found["namespace"] == own:
        return ""
    return found["namespace"] if found["whole"] or found["namespace"] in namespaces else ""


def _takes_all(virtual_service: Mapping[str, Any]) -> bool:
    """Of those that take some paths each, Istio makes one."""
    return any(not route.get("match") for _, route in entries(dig(virtual_service, "spec", "http")))
