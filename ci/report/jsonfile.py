"""The report as a JSON file, and back as the very same objects."""

import textwrap
from pathlib import Path
from typing import TypeVar

import pydantic

from ci.errors import UsageError
from ci.report import files

T = TypeVar("T")


def write(path: Path, value: object) -> None:
    """Write a `Report`, or one part of it, as indented JSON.

    Args:
        path: The file; an older one is replaced at once.
        value: An object of `ci.report.model`.
    """
    files.write(path, pydantic.TypeAdapter(type(value)).dump_json(value, indent=2) + b"\n")


def read(path: Path, kind: type[T]) -> T:
    """Read what `write` wrote.

    Args:
        path: The file.
        kind: What it holds, a class of `ci.report.model`.

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


def first_error(error: pydantic.ValidationError) -> str:
    """Return the first field that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    found = f", not {textwrap.shorten(repr(first['input']), 200)}" if first["type"] == "literal_error" else ""
    return f"{where}: {first['msg']}{found}"
