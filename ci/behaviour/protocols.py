"""The protocols that models are asked in: where to, with what, and where the answer stands in what comes back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jsonpath_rfc9535 as jsonpath
from jsonpath_rfc9535.selectors import IndexSelector, JSONPathSelector, NameSelector

from ci.base.text import cut, one_line
from ci.canary.observe.files import traffic_client

Keys = tuple[str | int, ...]
"""The way to an answer: names and positions."""

SHOWN = 120
"""Characters of a response in the line that says why it holds no answer."""
TENSOR = ("name", "shape", "datatype", "data")
"""What each of a request's inputs has in the Open Inference Protocol."""


class NoAnswerError(Exception):
    """A response holds no answer; the message says why."""


@dataclass(frozen=True)
class Protocol:
    """How a model is asked.

    Attributes:
        path: The URL's path, {model} being the model's name; None where each golden file says its own.
        answer: JSONPath to the answer to one question; None where each golden file says its own.
        asks: Field of a golden input that holds the question: one of the request's instances, or the whole request.
    """

    path: str | None
    answer: str | None
    asks: Literal["instance", "request"]


V1 = Protocol("/v1/models/{model}:predict", "$.predictions[0]", "instance")
"""KServe's V1: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol."""
V2 = Protocol("/v2/models/{model}/infer", "$.outputs[0].data", "request")
"""The Open Inference Protocol: https://github.com/kserve/open-inference-protocol."""
JSON = Protocol(None, None, "request")
"""JSON over HTTP, whatever a server of one's own makes of it."""
PROTOCOLS: Mapping[str, Protocol] = {"v1": V1, "v2": V2, "json": JSON}


def body(protocol: Protocol, question: Any) -> Any:
    """Return the whole request that asks one question.

    Args:
        protocol: How it is asked.
        question: What the field that the protocol asks by holds.
    """
    return {"instances": [question]} if protocol.asks == "instance" else question


def objection(protocol: Protocol, question: Any) -> str:
    """Return what a protocol has against a question, in a few words; nothing where it may be asked.

    Args:
        protocol: How it is asked.
        question: What the field that the protocol asks by holds.
    """
    if protocol is not V2:
        return ""
    inputs = question.get("inputs") if isinstance(question, dict) else None
    if not isinstance(inputs, list) or not inputs:
        return "protocol v2 asks by a list `inputs`, and there is none"
    for number, each in enumerate(inputs):
        if missing := [name for name in TENSOR if not isinstance(each, dict) or name not in each]:
            return f"protocol v2 wants {', '.join(TENSOR)} of each input, and inputs[{number}] has no {missing[0]}"
    return ""


def keys(path: str) -> Keys:
    """Return the names and positions that a JSONPath leads by.

    Args:
        path: A singular query, as RFC 9535 has it in 2.3.5.1: what leads to one place at most.

    Raises:
        ValueError: It is none.
    """
    try:
        query = jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path} is no JSONPath: {one_line(str(error))}") from None
    if not query.singular_query():
        raise ValueError(f"{path} may lead to several places: only names and positions, as in $.predictions[0]")
    return tuple(_key(segment.selectors[0]) for segment in query.segments)


def _key(selector: JSONPathSelector) -> str | int:
    if isinstance(selector, NameSelector):
        return selector.name
    assert isinstance(selector, IndexSelector)  # a singular query has no others
    return selector.index


def shown(at: Sequence[str | int]) -> str:
    """Return a way as JSONPath has it: $.predictions[0].

    Args:
        at: Names and positions.
    """
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else f"[{key!r}]" for key in at)
    return f"${''.join(parts)}"


def read(protocol: Protocol, at: Keys, content: str) -> Any:
    """Return the answer to one question out of a response.

    Args:
        protocol: How it was asked.
        at: Where the answer is.
        content: The response.

    Raises:
        NoAnswerError: It is no JSON, or there is nothing at that place, or the answer is not to one question.
    """
    try:
        response = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NoAnswerError(f"no JSON ({error}): {_begin(content)}") from None
    if protocol is V1 and isinstance(response, dict):
        predictions = response.get("predictions")
        if isinstance(predictions, list) and len(predictions) != 1:
            raise NoAnswerError(f"{len(predictions)} predictions for one instance: {_begin(content)}")
    try:
        return traffic_client.find(response, at)
    except LookupError:
        raise NoAnswerError(f"nothing at {shown(at)}: {_begin(content)}") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _begin(content: str) -> str:
    return cut(one_line(content), SHOWN) or "an empty response"
