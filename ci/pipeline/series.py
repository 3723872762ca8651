"""Series: which ones an expression reads, and which ones a monitor's relabelling makes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser

from ci.pipeline.manifests import Manifest, entries

ARGUMENT = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")
EXPORTED = re.compile(
    # Prometheus itself, then KServe's Python server
    r"up|scrape_\w+|ALERTS(_FOR_STATE)?|request_(preprocess|predict|postprocess|explain)_seconds_(bucket|sum|count)"
)


def read(text: str) -> set[str]:
    """Return the names of the series that an expression reads.

    Args:
        text: PromQL; in an analysis query, `{{args.…}}` may stand for a number, a duration or a part of a string.

    Returns:
        The names.

    Raises:
        ValueError: It is no PromQL.
    """
    return _names(_expression(text))


def relabelled(monitor: Manifest) -> Iterator[str]:
    """Yield a pattern for each name that a monitor's metric relabelling gives to series.

    Args:
        monitor: A ServiceMonitor or PodMonitor.
    """
    for key in ("endpoints", "podMetricsEndpoints"):
        for _, endpoint in entries(monitor.dig("spec", key)):
            for _, rule in entries(endpoint.get("metricRelabelings")):
                if rule.get("targetLabel") == "__name__" and rule.get("action", "replace").lower() == "replace":
                    yield _substituted(str(rule.get("replacement", "$1")), _groups(str(rule.get("regex", "(.*)"))))


def _substituted(replacement: str, groups: Mapping[int, str]) -> str:
    return re.sub(r"\$\{?(\d+)\}?", lambda match: groups.get(int(match[1]), ""), replacement)


def _groups(regex: str) -> dict[int, str]:
    """Return the text of each capturing group of a regular expression, itself a group that captures nothing."""
    found: dict[int, str] = {}
    open_groups: list[tuple[int, int]] = []
    number = 0
    at = 0
    in_class = False
    while at < len(regex):
        character = regex[at]
        if character == "\\":
            at += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character == "(":
            capturing = regex[at + 1 : at + 2] != "?" or regex[at + 1 : at + 4] == "?P<"
            number += capturing
            open_groups.append((number if capturing else 0, at + 1))
        elif character == ")" and open_groups:
            which, start = open_groups.pop()
            if which:
                found[which] = f"(?:{regex[start:at]})"
        at += 1
    return found


def _expression(text: str) -> promql_parser.Expr:
    """Parse PromQL with `{{args.…}}` in it: an argument stands for a number, or for a duration."""
    try:
        return promql_parser.parse(ARGUMENT.sub("1", text))
    except ValueError:
        return promql_parser.parse(ARGUMENT.sub("1m", text))


def _names(expression: Any) -> set[str]:
    """Return the names of all series that an expression reads."""
    if isinstance(expression, promql_parser.VectorSelector):
        matchers = expression.matchers.matchers
        equal = {item.value for item in matchers if item.name == "__name__" and item.op == promql_parser.MatchOp.Equal}
        return {expression.name} if expression.name else equal
    if isinstance(expression, promql_parser.Call):
        return set().union(*(_names(argument) for argument in expression.args))
    inner = (getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param"))
    return set().union(*(_names(part) for part in inner if isinstance(part, promql_parser.Expr)))
