"""The chart's known answer: one golden input, which every canary is asked."""

import json
from collections.abc import Mapping
from typing import Any

from ci.behaviour import golden as goldens
from ci.behaviour import protocols
from ci.behaviour.golden import Golden
from ci.canary.observe.files import traffic_client
from ci.canary.observe.traffic import Question
from ci.tree import tree

VALUE = ".".join(tree.KNOWN_ANSWER[1:])
"""Where the chart's values have it."""
UNSAID = {"absolute": 0.0, "relative": 0.0}
"""What the chart takes where its value says nothing: numbers are compared exactly, as text always is."""


def known_answer(golden: Golden, model: str) -> dict[str, Any] | None:
    """Return what the chart's value is by a golden file.

    Args:
        golden: The file.
        model: Name of the model, as its URL has it.

    Returns:
        The value; None where the file names no known input.
    """
    if golden.known is None:
        return None
    item = next(item for item in golden.inputs if item.id == golden.known)
    return {
        "protocol": golden.protocol,
        "path": golden.url_path(model),
        "request": golden.body(item),
        "at": golden.at,
        "expected": item.expected,
        "absolute": golden.tolerance.absolute,
        "relative": golden.tolerance.relative,
    }


def question(value: Mapping[str, Any], model: str) -> Question:
    """Return the chart's value as the client in the mesh asks it.

    Args:
        value: The value; it is not empty.
        model: Name of the model, which the protocol's own path has.
    """
    path = value.get("path") or protocols.PROTOCOLS[value["protocol"]].path or ""
    return Question(
        path=path.replace(goldens.MODEL, model),
        body=json.dumps(value["request"]),
        at=protocols.keys(value["at"]),
        expected=value["expected"],
        absolute=value.get("absolute", 0.0),
        relative=value.get("relative", 0.0),
    )


def differs(golden: Golden, values_known_answer: Mapping[str, Any] | None, model: str) -> str | None:
    """Return how the chart's value is not what a golden file says, in one line.

    Args:
        golden: The file.
        values_known_answer: What an application's values have; None where they have nothing.
        model: Name of the model, as its URL has it.

    Returns:
        The first difference; None where there is none, or the file names no known input and so says nothing.
    """
    wanted = known_answer(golden, model)
    if wanted is None:
        return None
    asks = f"golden inputs {golden.name} {golden.version} ask {golden.known}"
    if values_known_answer is None:
        return f"{VALUE}: not there, but {asks}"
    values_known_answer = {**UNSAID, **values_known_answer}
    for key in (*wanted, *sorted(values_known_answer.keys() - wanted.keys())):
        if key not in values_known_answer or key not in wanted:
            return f"{VALUE}.{key}: {'not there' if key in wanted else 'unknown'}, but {asks} by {', '.join(wanted)}"
        if any(True for _ in traffic_client.differences(wanted[key], values_known_answer[key], 0, 0)):
            return f"{VALUE}.{key}: {values_known_answer[key]!r}, but {asks} with {wanted[key]!r}"
    return None
