"""Durations as Kubernetes' users write them."""

import re

from ci.base.errors import UsageError

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")
FORM = re.compile(rf"(?:{PART.pattern})+")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def seconds(duration: str | int, what: str = "") -> float:
    """Return the seconds of a duration: a number, or numbers with ms, s, m, h or d ("1h30m").

    Go (time.ParseDuration) and Prometheus write them so; neither has all of these units.

    Args:
        duration: The duration.
        what: What it is of, for the error: an option, or a key.

    Raises:
        UsageError: It is none.
    """
    text = str(duration)
    if NUMBER.fullmatch(text):
        return float(text)
    if FORM.fullmatch(text) is None:
        raise UsageError(f"{what}{' ' if what else ''}{duration}: not a duration such as 30s, 5m or 1h30m")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
