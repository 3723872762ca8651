"""Helm's values."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from ci.manifests import kubernetes_yaml

BARE: Mapping[str, Any] = {
    "features": {"canaryDeployment": False, "sloMonitoring": False, "autoscaling": False},
    "networkPolicy": {"enabled": False},
    "exampleModel": {"replicas": 1, "resources": {"requests": {"cpu": "20m"}}},
}
"""Helm values over any others: a model server alone, one pod of it.

Limits stay, for latency depends on them; it requests little, for versions stand beside everything else.
"""

ESCAPED = re.compile("[^\x00-\x7e]")
MOST_ESCAPED = 0xFFFF
"""What lies beyond is a pair of codes in JSON."""


def read(text: str, name: str) -> Mapping[str, Any]:
    """Return what Helm reads of a file of values: of several documents, each over the one before.

    Args:
        text: The file. One that Helm refuses, since it has no keys, has no values.
        name: What errors call it.

    Raises:
        UsageError: It is not YAML to Helm.
    """
    found = kubernetes_yaml.documents(text, name)
    return functools.reduce(merged, (each for each in found if isinstance(each, Mapping)), {})


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others over them, as Helm merges: mappings key by key, all else replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def written(values: Mapping[str, Any]) -> str:
    """Return values as Helm is given them: as JSON, for in YAML what is text to one writer ("1e3") is a number to Helm.

    Helm reads it as YAML. To that some characters beyond ASCII are line breaks, so they are escaped; but not those that
    JSON escapes as a pair of codes, for to YAML each code is a character.
    """
    return ESCAPED.sub(_escaped, json.dumps(values, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return found[0] if code > MOST_ESCAPED else f"\\u{code:04x}"
