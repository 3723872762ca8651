"""What a commit says: what moved, from, to, why, and where the evidence is."""

import textwrap
from collections.abc import Mapping, Sequence

from ci.base.text import harmless
from ci.tree.tree import Application

TOOL = "ml-serving-ci"
BREAK_GLASS = "Break-glass"
"""Trailer with the reason why a protected environment gets what no evidence proves."""
EVIDENCE_COMMIT = "Evidence-Commit"
"""Trailer with the commit whose run proved what is promoted."""
WIDTH = 100
WHY, EVIDENCE = "Why: ", "Evidence: "


def message(
    subject: str,
    application: Application,
    action: str,
    lines: Sequence[str],
    why: str = "",
    evidence: str = "",
    trailers: Mapping[str, str] | None = None,
) -> str:
    """Return a commit message; every text is harmless, and on one line, so that none can pose as a trailer.

    Args:
        subject: The first line.
        application: What changes.
        action: "bump", "promote" or "rollback".
        lines: The body, a line each.
        why: Reason that a person or a program gave.
        evidence: Where it can be checked: a URL or a file.
        trailers: Further ones.
    """
    given = {WHY: why, EVIDENCE: evidence}
    body = [*map(harmless, lines), *(f"{name}{harmless(value)}" for name, value in given.items() if value)]
    ends = {"Application": application.name, "Environment": application.environment, "Tool": f"{TOOL} {action}"}
    return (
        "\n\n".join(
            [
                textwrap.shorten(harmless(subject), WIDTH, placeholder=" …"),
                "\n".join(body),
                "\n".join(f"{name}: {harmless(value)}" for name, value in (ends | dict(trailers or {})).items()),
            ]
        )
        + "\n"
    )


def given(text: str) -> list[str]:
    """Return the lines of a message that say what was asked for: reason, evidence, trailers.

    The others follow from the tree, and from what was measured at that moment.
    """
    body, _, trailers = text.strip().rpartition("\n\n")
    return [*(line for line in body.splitlines() if line.startswith((WHY, EVIDENCE))), *trailers.splitlines()]
