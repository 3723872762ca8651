"""The report as a JSON file, and back as the very same objects."""

import re
import textwrap
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import pydantic_core

from ci.base import files
from ci.base.errors import UsageError
from ci.base.text import visible

T = TypeVar("T")

SURROGATES = re.compile("[\ud800-\udfff]")


def write(path: Path, value: object) -> None:
    """Write a `Report`, or one part of it, as indented JSON: every text as it is but for what UTF-8 does not have.

    Args:
        path: The file; an older one is replaced at once.
        value: An object of `ci.results`.
    """
    plain = pydantic.TypeAdapter(type(value)).dump_python(value, mode="json")
    files.write(path, pydantic_core.to_json(_encodable(plain), indent=2, inf_nan_mode="null") + b"\n")


def read(path: Path, kind: type[T]) -> T:
    """Read what `write` wrote.

    Args:
        path: The file.
        kind: What it holds, a class of `ci.results`.

    Returns:
        An object equal to the one written.

    Raises:
        UsageError: The file is missing, is no JSON, or does not hold a `kind`; each wrong field is named.
    """
    try:
        return pydantic.TypeAdapter(kind).validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except pydantic.ValidationError as error:
        raise UsageError(f"{path}: {first_error(error)}", detail=str(error)) from error


def _encodable(value: Any) -> Any:
    """Return what JSON is made of without lone surrogates, which no other parser need take."""
    if isinstance(value, str):
        return SURROGATES.sub(lambda found: visible(found[0]), value)
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return value


def first_error(error: pydantic.ValidationError) -> str:
    """Return the first field that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    found = f", not {textwrap.shorten(repr(first['input']), 200)}" if first["type"] == "literal_error" else ""
    return f"{where}: {first['msg']}{found}"
