"""Series: which ones an expression reads, as Prometheus says, and which ones a monitor's relabelling makes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci.manifests.manifests import Manifest, entries

ARGUMENT = re.compile(r"\{\{\s*args\.([\w-]+)\s*\}\}")
EXPORTED = re.compile(
    # Prometheus itself, then KServe's Python server, then Istio's proxies, which the mesh's own monitor scrapes
    r"up|scrape_\w+|ALERTS(_FOR_STATE)?|request_(preprocess|predict|postprocess|explain)_seconds_(bucket|sum|count)"
    r"|istio_requests_total"
)
PARAMETER = 'invalid parameter "query": '
"""Before what Prometheus' parser says."""
NO_VALUE = {"matrixSelector": "a range vector", "subquery": "a range vector", "stringLiteral": "a string"}
"""Nodes of a syntax tree that have no value of one moment, in words; every function and operator has one."""


@dataclass(frozen=True)
class Selector:
    """What an expression selects series by.

    Attributes:
        name: Their name; empty where it is not given as such.
        labels: Labels that must have one value, with that value.
    """

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Expression:
    """An expression as Prometheus reads it.

    Attributes:
        selectors: What it selects; nothing where it is no PromQL.
        error: Why it is none, in Prometheus' words; empty where it is.
        no_value: What it is instead of a vector or a scalar, which rules and measurements want; empty where it is one.
    """

    selectors: tuple[Selector, ...] = ()
    error: str = ""
    no_value: str = ""

    @property
    def names(self) -> set[str]:
        """The names of the series that it reads."""
        return {selector.name for selector in self.selectors if selector.name}


Read = Mapping[str, Expression]
"""What Prometheus made of expressions, by their text."""


def filled(text: str) -> str:
    """Return an analysis query as PromQL.

    Args:
        text: With `{{args.…}}` in place of a number, a duration or a part of a string: 1 is any of them.
    """
    return ARGUMENT.sub("1", text)


def parsed(answer: Mapping[str, Any]) -> Expression:
    """Return what Prometheus says of an expression.

    Args:
        answer: Its answer to `/api/v1/parse_query` (web/api/v1/translate_ast.go in its source makes the tree).
    """
    if answer["status"] != "success":
        return Expression(error=str(answer["error"]).removeprefix(PARAMETER))
    tree = answer["data"]
    return Expression(tuple(_selectors(tree)), no_value=_no_value(tree))


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


def _no_value(tree: Mapping[str, Any]) -> str:
    """Return what an expression is that is neither a vector nor a scalar; empty of any other."""
    while tree["type"] == "parenExpr":
        tree = tree["expr"]
    return NO_VALUE.get(tree["type"], "")


def _selectors(node: Any) -> Iterator[Selector]:
    """Yield every selector in a part of a syntax tree."""
    if isinstance(node, Mapping):
        if "matchers" in node:
            equal = {item["name"]: item["value"] for item in node["matchers"] if item["type"] == "="}
            yield Selector(equal.pop("__name__", ""), equal)  # a name before the braces is a matcher, too
        for part in node.values():
            yield from _selectors(part)
    elif isinstance(node, list):
        for part in node:
            yield from _selectors(part)
