"""Grafana dashboards: the ConfigMaps that carry them, and what they ask Prometheus."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ci.manifests import places
from ci.manifests.manifests import Manifest, dig, entries, mapping

FOLDER = "dashboards"
"""Of the chart, with a file a dashboard."""

DURATION = re.compile(r"\$__(?:rate_interval|interval|range)\b")
LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")
VARIABLE = re.compile(r"\$(\w+)")
LABEL_VALUES = re.compile(r"label_values\((?P<series>.+),\s*\w+\s*\)")


def carried(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the chart's file of each dashboard in a ConfigMap, as a path from the top of the checkout, and its text.

    Args:
        manifest: A ConfigMap. The chart fills words into a dashboard but no lines, so that a line of the text is one of
            the file.
    """
    for key, text in mapping(manifest.dig("data")).items():
        stem, _, suffix = str(key).rpartition(".")
        if suffix == "json":
            chart = manifest.file.rpartition("/templates/")[0]
            yield f"{chart}/{FOLDER}/{stem.rpartition('.')[2]}.json", str(text)


def queries(dashboard: Any) -> Iterator[tuple[places.Path, str, str]]:
    """Yield the place, the owner's name and the PromQL of everything that a dashboard asks Prometheus.

    Args:
        dashboard: The dashboard.
    """
    for index, variable in entries(dig(dashboard, "templating", "list")):
        found = LABEL_VALUES.fullmatch(str(dig(variable, "query", "query")))
        if found:
            path = ("templating", "list", index, "query", "query")
            yield path, f"variable {variable.get('name')}", found["series"]
    for place, panel in panels(dashboard):
        for at, target in entries(panel.get("targets")):
            yield (*place, "targets", at, "expr"), f"panel {panel.get('title')}", str(target.get("expr"))


def panels(dashboard: Any, path: places.Path = ()) -> Iterator[tuple[places.Path, Mapping[str, Any]]]:
    """Yield the place and the object of each panel, those of folded rows among them.

    Args:
        dashboard: The dashboard, or a row that holds panels.
        path: Its own place.
    """
    for index, panel in entries(dig(dashboard, "panels")):
        here = (*path, "panels", index)
        yield here, panel
        yield from panels(panel, here)


def legend(form: str, labels: Mapping[str, str]) -> str:
    """Return a series' name as Grafana writes it.

    Args:
        form: The target's `legendFormat`, with `{{label}}` in it.
        labels: The series' own.
    """
    return LABEL.sub(lambda match: labels.get(match[1], ""), form)


def promql(expression: str, variables: Mapping[str, str] | None = None, duration: str = "1m") -> str:
    """Return an expression as Grafana sends it to Prometheus.

    Args:
        expression: PromQL with Grafana's variables.
        variables: The dashboard's own, by name; those left out stay as they are.
        duration: In place of Grafana's intervals.

    Returns:
        PromQL.
    """
    known = variables or {}
    return VARIABLE.sub(lambda match: known.get(match[1], match[0]), DURATION.sub(duration, expression))
