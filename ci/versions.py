"""Versions as programs say them."""

import re


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version or a release begins with, to compare."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()
