"""What a commit says: what moved, from, to, why, and where the evidence is."""

import textwrap
from collections.abc import Mapping, Sequence

from ci.tree.tree import Application

TOOL = "ml-serving-ci"
WIDTH = 100


def message(
    subject: str,
    application: Application,
    action: str,
    lines: Sequence[str],
    why: str = "",
    evidence: str = "",
    trailers: Mapping[str, str] | None = None,
) -> str:
    """Return a commit message; texts from outside stay on one line each, so they cannot pose as trailers.

    Args:
        subject: The first line.
        application: What changes.
        action: "bump", "promote" or "rollback".
        lines: The body, a line each.
        why: Reason that a person or a program gave.
        evidence: Where it can be checked: a URL or a file.
        trailers: Further ones.
    """
    body = [*lines, *([f"Why: {_line(why)}"] if why else []), *([f"Evidence: {_line(evidence)}"] if evidence else [])]
    ends = {"Application": application.name, "Environment": application.environment, "Tool": f"{TOOL} {action}"}
    return (
        "\n\n".join(
            [
                textwrap.shorten(_line(subject), WIDTH, placeholder=" …"),
                "\n".join(body),
                "\n".join(f"{name}: {value}" for name, value in (ends | dict(trailers or {})).items()),
            ]
        )
        + "\n"
    )


def _line(text: str) -> str:
    return " ".join(text.split())
