"""Versions as programs say them."""

import re


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version or a release begins with, to compare."""
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()


def older(release: str, other: str) -> bool:
    """Return whether a release of a Go module is before another, by its numbers alone."""
    return numbers(release.removeprefix("v")) < numbers(other.removeprefix("v"))
