"""Helm's values."""

from collections.abc import Mapping
from typing import Any

BARE: Mapping[str, Any] = {
    "features": {"canaryDeployment": False, "sloMonitoring": False, "autoscaling": False},
    "networkPolicy": {"enabled": False},
    "exampleModel": {"replicas": 1, "resources": {"requests": {"cpu": "20m"}}},
}
"""Helm values over any others: a model server alone, one pod of it.

Limits stay, for latency depends on them; it requests little, for versions stand beside everything else.
"""


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others over them, as Helm merges: mappings key by key, all else replaced."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
