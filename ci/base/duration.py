"""Durations as Kubernetes' users write them."""

import re

from ci.base.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FORM = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")


def seconds(duration: str | int) -> float:
    """Return the seconds of a duration: a number, or one with s, m, h or d.

    Raises:
        UsageError: It is none.
    """
    found = FORM.fullmatch(str(duration))
    if found is None:
        raise UsageError(f"{duration}: not a duration such as 30s, 5m or 2h")
    return float(found[1]) * UNITS[found[2] or "s"]
