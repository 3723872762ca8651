"""What pydantic finds wrong with a file that people write, in their words; and the key that an unknown one may mean."""

import difflib
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pydantic

Way = tuple[str | int, ...]
"""Keys, and numbers in lists."""
SAID = {"missing": "not given"}
"""By pydantic's name for it."""


def wrong(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> Iterator[tuple[Way, str]]:
    """Yield what is wrong, with the way to it.

    An unknown key comes first: it may be how one that is missing was written.

    Args:
        error: What pydantic found.
        model: What the file was read as.
    """
    for item in sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden"):
        way = item["loc"]
        if item["type"] == "extra_forbidden":
            yield way, unknown(str(way[-1]), _fields(model, way[:-1]))
        else:
            yield way, SAID.get(item["type"]) or item["msg"].removeprefix("Value error, ")


def unknown(key: str, known: Collection[str]) -> str:
    """Return what is said of a key that is none of those that are known."""
    if near := nearest(key, known):
        return f"unknown key; nearest is {near}"
    return f"unknown key; there are {', '.join(known)}" if known else "unknown key"


def nearest(key: str, known: Collection[str]) -> str | None:
    """Return the key that another one may mean; None where none is like it."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(key.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def _fields(kind: Any, way: Way) -> list[str]:
    """Return the keys that a model takes at the end of a way; none where there is no model."""
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
        return _fields(fields.get(str(way[0])), way[1:]) if way else list(fields)
    origin, within = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return next(filter(None, (_fields(each, way) for each in within)), [])
    if way and within and origin is not typing.Literal:
        return _fields(within[-1] if isinstance(origin, type) and issubclass(origin, Mapping) else within[0], way[1:])
    return []
