"""What the person at the terminal sees while it runs: standard error, one line at a step's start and one at its end."""

import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ci.base.calling import as_called
from ci.base.text import legal, one_line

if TYPE_CHECKING:
    from rich.console import Console

Part = str | tuple[str, str]
"""A piece of a line, as it is or with a style of rich's."""


def shown(*parts: Part) -> None:
    """Show one line.

    Args:
        parts: Its pieces.
    """
    plain = [part for part in parts if isinstance(part, str)]
    if len(plain) == len(parts):  # no style: to load rich takes longer than all that a command of a moment does
        print(*plain, sep="", file=sys.stderr)
        return
    from rich.text import Text

    console().print(Text.assemble(*parts))


@functools.cache
def console() -> "Console":
    """Return where all of it is shown."""
    from rich.console import Console  # a twelfth of a start, and the commands of a moment have nothing to style

    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Show that a step starts, and ✓ or ✗ with its seconds when it ends.

    Args:
        name: The step, as a short phrase ("install istio").
    """
    started = time.monotonic()
    name = one_line(name)
    shown(("  … ", "dim"), name)
    mark = ("  ✗ ", "red")
    try:
        yield
        mark = ("  ✓ ", "green")
    finally:
        shown(mark, name, (f" {time.monotonic() - started:.1f} s", "dim"))


def note(text: str) -> None:
    """Show one line that is not a step."""
    shown(f"    {legal(as_called(text))}")


def heading(text: str) -> None:
    """Show what the steps after it belong to."""
    shown((one_line(text), "bold"))


def warning(what: str, why: str = "") -> None:
    """Show what went otherwise than a person may expect.

    Args:
        what: In one line.
        why: Its cause.
    """
    shown((one_line(what), "yellow bold"), (f": {one_line(as_called(why))}" if why else "", "yellow"))


def failure(message: str, fix: str | None = None) -> None:
    """Show what failed, and what to do next.

    Args:
        message: In one line.
        fix: What to do.
    """
    shown(("error: ", "red bold"), one_line(as_called(message)))
    if fix:
        shown(("  fix: ", "bold"), legal(as_called(fix)))
