"""Objects without what differs but means nothing: bookkeeping, hashes, generated names, order that nobody reads."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ci.diff.mask import LAST_APPLIED
from ci.manifests.documents import Document
from ci.manifests.manifests import mapping

BOOKKEEPING = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
"""Of an object's metadata, written by the API server."""
NOISE = frozenset({LAST_APPLIED, "helm.sh/chart"})
"""Labels and annotations that tell where an object comes from."""
HASH_KEY = re.compile(r"(^|[./_-])(checksum|hash)([./_-]|$)")
"""In the key of a label or annotation: the value is a hash of something else."""
GENERATED = re.compile(
    r"-(?=[a-z]*\d)(?=\d*[a-z])(?:[0-9a-f]{8,64}|[bcdfghjklmnpqrstvwxz2456789]{8,10})$"  # Kubernetes' own alphabet
)
"""How a generated name ends."""
HASH = "(hash)"
COPIED = frozenset({"InferenceService"})
"""Kinds whose labels and annotations all reach the pods: none of them is noise."""

UNORDERED: Mapping[str, tuple[str, ...]] = {
    "AnalysisTemplate": ("spec.args", "spec.metrics"),
    "AppProject": (
        "spec.sourceRepos",
        "spec.destinations",
        "spec.clusterResourceWhitelist",
        "spec.namespaceResourceWhitelist",
    ),
    "ClusterRole": ("rules.*.apiGroups", "rules.*.resources", "rules.*.resourceNames", "rules.*.verbs"),
    "ClusterRoleBinding": ("subjects",),
    "NetworkPolicy": ("spec.policyTypes",),
    "PrometheusRule": ("spec.groups",),
    "Role": ("rules.*.apiGroups", "rules.*.resources", "rules.*.resourceNames", "rules.*.verbs"),
    "RoleBinding": ("subjects",),
    "Rollout": ("spec.strategy.canary.analysis.args", "spec.strategy.canary.steps.*.analysis.args"),
    "Service": ("spec.ports",),
    "ServiceAccount": ("imagePullSecrets", "secrets"),
}
"""Kind to lists whose order has no meaning; that of containers, variables, routes, steps and rules has one."""


def stem(name: str) -> str:
    """Return a name without the hash that it was generated with; any other name as it is."""
    return GENERATED.sub(f"-{HASH}", name)


def normalise(document: Document, names: Mapping[str, str]) -> Document:
    """Return an object without noise.

    Args:
        document: The object; it stays as it is.
        names: Generated name to what stands for it, of every object of the same place.
    """
    clean: Document = _renamed(document, names)
    clean.pop("status", None)
    metadata = {key: value for key, value in mapping(clean.get("metadata")).items() if key not in BOOKKEEPING}
    if isinstance(clean.get("metadata"), dict):
        clean["metadata"] = metadata
    kind = str(clean.get("kind"))
    if kind not in COPIED:
        for field in ("labels", "annotations"):
            if isinstance(metadata.get(field), dict):
                metadata[field] = {
                    key: HASH if HASH_KEY.search(key) else value
                    for key, value in metadata[field].items()
                    if key not in NOISE
                }
    for path in UNORDERED.get(kind, ()):
        for parent, key in _places(clean, path.split(".")):
            parent[key] = sorted(parent[key], key=_key)
    return clean


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _places(value: Any, path: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the mapping and the key of each list that a path leads to."""
    first, *rest = path
    if first == "*":
        for item in value if isinstance(value, list) else ():
            yield from _places(item, rest)
    elif isinstance(value, dict) and rest:
        yield from _places(value.get(first), rest)
    elif isinstance(value, dict) and isinstance(value.get(first), list):
        yield value, first


def _key(item: Any) -> tuple[str, str]:
    name = item.get("name") if isinstance(item, dict) else None
    return (name if isinstance(name, str) else ""), json.dumps(item, sort_keys=True)
