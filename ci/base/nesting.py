"""Files of a person's that are nested deeper than programs go: refused where they are read, in one line."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ci.base.errors import UsageError

T = TypeVar("T")
DEEPEST = 100
"""Mappings and lists inside one another: more than any file of ours needs. tomlkit goes no deeper, and Python itself,
which every reader and writer of YAML and TOML here stands on, some hundreds."""


def read(reader: Callable[[], T], name: str) -> T:
    """Return what a reader makes of a file.

    Args:
        reader: Reads it.
        name: What errors call the file.

    Raises:
        UsageError: The file is nested too deeply.
    """
    try:
        found = reader()
    except RecursionError as error:
        raise _refusal(name) from error
    if _is_deep(found):
        raise _refusal(name)
    return found


def _is_deep(value: Any) -> bool:
    """Tell whether a value is nested too deeply, as one is that holds itself by an alias of YAML."""
    reached: dict[int, int] = {}  # what is shared is looked into again only where it is deeper
    waiting = [(value, 1)]
    while waiting:
        value, depth = waiting.pop()
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else None
        if inner is None or reached.get(id(value), 0) >= depth:
            continue
        if depth > DEEPEST:
            return True
        reached[id(value)] = depth
        waiting += [(each, depth + 1) for each in inner]
    return False


def _refusal(name: str) -> UsageError:
    return UsageError(f"{name}: nested more than {DEEPEST} levels deep", fix="Write it with fewer levels.")
