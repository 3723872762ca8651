"""Series: which ones an expression reads, and which ones a monitor's relabelling makes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser

from ci.manifests.manifests import Manifest, entries

ARGUMENT = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")
EXPORTED = re.compile(
    # Prometheus itself, then KServe's Python server
    r"up|scrape_\w+|ALERTS(_FOR_STATE)?|request_(preprocess|predict|postprocess|explain)_seconds_(bucket|sum|count)"
)


@dataclass(frozen=True)
class Selector:
    """What an expression selects series by.

    Attributes:
        name: Their name; empty where it is not given as such.
        labels: Labels that must have one value, with that value.
    """

    name: str
    labels: Mapping[str, str]


def read(text: str) -> set[str]:
    """Return the names of the series that an expression reads.

    Args:
        text: PromQL; in an analysis query, `{{args.…}}` may stand for a number, a duration or a part of a string.

    Returns:
        The names.

    Raises:
        ValueError: It is no PromQL.
    """
    return {selector.name for selector in selectors(text) if selector.name}


def selectors(text: str) -> list[Selector]:
    """Return what an expression selects; text and errors are those of `read`."""
    return [_selector(found) for found in _selections(_expression(text))]


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


def _selections(expression: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield every selector of an expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    elif isinstance(expression, promql_parser.Call):
        for argument in expression.args:
            yield from _selections(argument)
    else:
        inner = (getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param"))
        for part in inner:
            if isinstance(part, promql_parser.Expr):
                yield from _selections(part)


def _selector(found: promql_parser.VectorSelector) -> Selector:
    equal = {item.name: item.value for item in found.matchers.matchers if item.op == promql_parser.MatchOp.Equal}
    name = equal.pop("__name__", "")
    return Selector(found.name or name, equal)
