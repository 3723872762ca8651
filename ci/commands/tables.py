"""Tables on standard output: whole, however narrow the terminal."""

from rich.console import Console
from rich.table import Table

WIDEST = 1000
"""Columns of a terminal that any table fits into."""


def show(table: Table) -> None:
    """Print a table; what is cut, or goes on in the next line, cannot be copied."""
    console = Console()
    whole = console.measure(table, options=console.options.update_width(WIDEST)).maximum
    console.width = max(console.width, whole)
    console.print(table)
