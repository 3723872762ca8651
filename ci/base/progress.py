"""What the person at the terminal sees while it runs: standard error, one line at a step's start and one at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ci.base.text import legal, one_line

console = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Show that a step starts, and ✓ or ✗ with its seconds when it ends.

    Args:
        name: The step, as a short phrase ("install istio").
    """
    started = time.monotonic()
    shown = one_line(name)
    console.print(Text.assemble(("  … ", "dim"), shown))
    mark = ("  ✗ ", "red")
    try:
        yield
        mark = ("  ✓ ", "green")
    finally:
        console.print(Text.assemble(mark, shown, (f" {time.monotonic() - started:.1f} s", "dim")))


def note(text: str) -> None:
    """Show one line that is not a step."""
    console.print(Text(f"    {legal(text)}"))


def heading(text: str) -> None:
    """Show what the steps after it belong to."""
    console.print(Text(one_line(text), style="bold"))


def warning(what: str, why: str = "") -> None:
    """Show what went otherwise than a person may expect.

    Args:
        what: In one line.
        why: Its cause.
    """
    console.print(Text.assemble((one_line(what), "yellow bold"), (f": {one_line(why)}" if why else "", "yellow")))


def failure(message: str, fix: str | None = None) -> None:
    """Show what failed, and what to do next.

    Args:
        message: In one line.
        fix: What to do.
    """
    console.print(Text.assemble(("error: ", "red bold"), one_line(message)))
    if fix:
        console.print(Text.assemble(("  fix: ", "bold"), legal(fix)))
