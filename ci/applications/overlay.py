"""What a throw-away cluster changes of an environment, as the project file has it; report and evidence list it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.base import duration
from ci.project import Throwaway

COUNTS = (("exampleModel", "replicas"), ("autoscaling", "minReplicas"), ("autoscaling", "maxReplicas"))
"""Values of the chart that say how many pods a version has."""
ALL = "*"
"""In `throwaway.values`: every application."""


def values(throwaway: Throwaway, name: str, layers: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return Helm values over an application's own, and what they change, a line each.

    Args:
        throwaway: What the project file allows.
        name: The application's.
        layers: The application's values, the strongest first: its file's, the environment's, the chart's own.
    """
    over: dict[str, Any] = {}
    lines: list[str] = []

    def put(path: tuple[str, ...], new: Any, key: str) -> None:
        old = effective(layers, path)
        if old == new:
            return
        inner = over
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = new
        lines.append(f"{'.'.join(path)}: {_shown(old)} → {_shown(new)} (throwaway.{key})")

    if (most := throwaway.replicas) is not None:
        for path in COUNTS:
            wanted = effective(layers, path)
            if isinstance(wanted, int) and wanted > most:
                put(path, most, "replicas")
    if throwaway.longest_pause is not None:
        steps = effective(layers, ("canary", "steps"))
        if isinstance(steps, list):
            put(("canary", "steps"), [_cut(step, throwaway.longest_pause) for step in steps], "longest_pause")
    for who in (ALL, name):
        for leaf, value in _leaves(throwaway.values.get(who, {})):
            put(leaf, value, f"values.{who}.{'.'.join(leaf)}")
    return over, lines


def effective(layers: Sequence[Mapping[str, Any]], path: Sequence[str]) -> Any:
    """Return what Helm makes of a value that several layers may have; None where none has it.

    Helm merges mappings and takes everything else from the strongest layer
    (https://helm.sh/docs/chart_template_guide/values_files/).
    """
    for layer in layers:
        inner: Any = layer
        for part in path:
            inner = inner.get(part) if isinstance(inner, Mapping) else None
        if inner is not None:
            return inner
    return None


def _cut(step: Any, longest: str) -> Any:
    pause = step.get("pause") if isinstance(step, Mapping) else None
    if pause is None or duration.seconds(pause) <= duration.seconds(longest):
        return step
    return {**step, "pause": longest}


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
