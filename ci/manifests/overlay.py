"""What a cluster under test changes of an environment, as the project file has it; report and evidence list it."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ci.base import duration
from ci.base.errors import UsageError
from ci.manifests.manifests import dig
from ci.manifests.values import merged
from ci.project import Cluster, Prometheus, Throwaway

COUNTS = (("exampleModel", "replicas"), ("autoscaling", "minReplicas"), ("autoscaling", "maxReplicas"))
"""Values of the chart that say how many pods a version has."""
ALL = "*"
"""In `throwaway.values` and `cluster.values`: every application."""
LINE = re.compile(r"(?P<path>.+?): .+ → .+ \((?P<key>(?:throwaway|cluster)\..+)\)", re.DOTALL)
"""What a line has, whatever the values are: the key that allows it comes last."""
NOTHING = "nothing"
"""In a line, where no value was before."""
TAKEN_AWAY: Mapping[str, Any] = {}
"""In the project file, in place of a value that an application shall not have; TOML has no null."""
Layers = Sequence[Mapping[str, Any]]
"""An application's values, the strongest first: its file's, the environment's, the chart's own."""


def throwaway(changes: Throwaway, name: str, layers: Layers) -> tuple[dict[str, Any], list[str]]:
    """Return Helm values over an application's own on a throw-away cluster, and what they change, a line each.

    Args:
        changes: What the project file allows.
        name: The application's.
        layers: Its values.

    Raises:
        UsageError: A pause of the canary's steps is no duration; its key is named.
    """
    over = _Over(layers)
    if (most := changes.replicas) is not None:
        for path in COUNTS:
            wanted = effective(layers, path)
            if isinstance(wanted, int) and wanted > most:
                over.put(path, most, "throwaway.replicas")
    if changes.longest_pause is not None:
        steps = effective(layers, ("canary", "steps"))
        if isinstance(steps, list):
            cut = [_cut(step, changes.longest_pause, f"canary.steps[{n}]") for n, step in enumerate(steps)]
            over.put(("canary", "steps"), cut, "throwaway.longest_pause")
    over.by_application(changes.values, name, "throwaway.values")
    return over.values, over.lines


def existing(changes: Cluster, name: str, layers: Layers) -> tuple[dict[str, Any], list[str]]:
    """Return Helm values over an application's own on an existing cluster, and what they change, a line each.

    Args:
        changes: What the project file says of the cluster.
        name: The application's.
        layers: Its values.
    """
    over = _Over(layers)
    if "prometheus" in changes.model_fields_set:
        for section, inner in scraped_by(changes.prometheus).items():
            for key, value in inner.items():
                if effective(layers, (section, key)) is not None:  # a chart of one's own may have no such value
                    over.merge((section, key), value, "cluster.prometheus")
    over.by_application(changes.values, name, "cluster.values")
    return over.values, over.lines


def key_of(line: str) -> str | None:
    """Return the key of the project file by which a value was changed; None of what is no line of these."""
    found = LINE.fullmatch(line)
    return found["key"] if found else None


def keys_about(lines: Iterable[str], path: str) -> list[str]:
    """Return the keys of the project file by which a value, one below it or one around it was changed.

    Args:
        lines: What was changed.
        path: Of the value, with dots.
    """
    asked, found = path.split("."), []
    for line in lines:
        if changed := LINE.fullmatch(line):
            parts = changed["path"].split(".")
            if parts[: len(asked)] == asked or asked[: len(parts)] == parts:
                found.append(changed["key"])
    return found


def scraped_by(prometheus: Prometheus) -> dict[str, dict[str, Any]]:
    """Return the chart's values that say which Prometheus scrapes, and judges."""
    return {
        "monitoring": {"prometheusAddress": f"http://{prometheus.host}", "labels": prometheus.labels},
        "networkPolicy": {"monitoringNamespace": prometheus.namespace},
    }


class _Over:
    """Values over others, and what they change.

    Args:
        layers: The others.
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.values: dict[str, Any] = {}
        self.lines: list[str] = []

    def put(self, path: tuple[str, ...], new: Any, key: str) -> None:
        """Set a value, and tell what it was and which key of the project file changed it, unless it is so already.

        `TAKEN_AWAY` becomes Helm's null, so that no layer beneath has the value, nor any of what is below it.
        """
        old = effective(self._layers, path)
        if new == TAKEN_AWAY != old:
            new = None
        if _same(old, new):
            return
        inner = self.values
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = new
        before, after = _shown(old), _shown(new)
        if before == after:  # a text and the number that it is of
            before, after = repr(old), repr(new)
        self.lines.append(f"{'.'.join(path)}: {before} → {after} ({key})")

    def merge(self, path: tuple[str, ...], new: Any, key: str) -> None:
        """Set a value, or each below a mapping, as Helm merges."""
        for leaf, value in _leaves(new, path) if isinstance(new, Mapping) else [(path, new)]:
            self.put(leaf, value, key)

    def by_application(self, values: Mapping[str, Mapping[str, Any]], name: str, key: str) -> None:
        """Set what the project file has for all applications, and in place of it what it has for one."""
        found: dict[tuple[str, ...], tuple[Any, str]] = {}
        for who in (ALL, name):
            for leaf, value in _leaves(values.get(who, {})):
                found = {path: each for path, each in found.items() if not _is_around(path, leaf)}
                found[leaf] = value, f"{key}.{who}.{'.'.join(leaf)}"
        for leaf, (value, named) in found.items():
            self.put(leaf, value, named)


def effective(layers: Layers, path: Sequence[str]) -> Any:
    """Return what Helm makes of a value that several layers may have; None where none has it.

    Helm merges mappings and takes everything else from the strongest layer, a null for there being none
    (https://helm.sh/docs/chart_template_guide/values_files/).
    """
    return dig(functools.reduce(merged, reversed(layers)), *path)


def _is_around(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two paths lead to the same, or one of them to what is around the other."""
    return all(mine == its for mine, its in zip(one, other, strict=False))


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same to a template: true is not 1 there, nor 1.0, as they are to Python."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _cut(step: Any, longest: str, place: str) -> Any:
    """Return a canary's step with its pause cut; one of another form, as a chart of one's own may have, as it is."""
    pause = step.get("pause") if isinstance(step, Mapping) else None
    if not isinstance(pause, str | int | float):
        return step
    try:
        seconds = duration.seconds(str(pause))
    except UsageError as error:
        raise UsageError(f"{place}.pause: {pause!r} is no duration such as 30s, 5m or 2h") from error
    return step if seconds <= duration.seconds(longest) else {**step, "pause": longest}


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    unclear = isinstance(value, str) and (value in ("", NOTHING) or not value.isprintable())
    return repr(value) if unclear else str(value)
