"""What the person at the terminal sees while it runs: standard error, one line at a step's start and one at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

console = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Show that a step starts, and ✓ or ✗ with its seconds when it ends.

    Args:
        name: The step, as a short phrase ("install istio").
    """
    started = time.monotonic()
    console.print(f"  [dim]…[/dim] {escape(name)}")
    try:
        yield
    except BaseException:
        console.print(f"  [red]✗[/red] {escape(name)} [dim]{time.monotonic() - started:.1f} s[/dim]")
        raise
    console.print(f"  [green]✓[/green] {escape(name)} [dim]{time.monotonic() - started:.1f} s[/dim]")


def note(text: str) -> None:
    """Show one line that is not a step."""
    console.print(f"    {escape(text)}")
