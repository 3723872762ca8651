"""`supply`: every tool and image, by its pin."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.table import Table

from ci.commands import tables
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async

if TYPE_CHECKING:
    from ci.supply.supply import Supply

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Every tool and image the system needs: pinned once, got in one of two ways.",
)


CACHED = {True: "yes", False: "no", None: "unknown"}
"""What the table says of an item."""


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tools or images as in pins.toml; everything by default.")
    ] = None,
    supply: SupplyOption = "auto",
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash all that is there already; what is not itself is fetched again.")
    ] = False,
) -> None:
    """Get what is missing: pulled and verified, or built. Can be stopped and run again at any point."""
    run_async(_fetch, names, supply, verify)


@app.command("list")
def list_items(
    supply: SupplyOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Show every item: pinned version, which way it is got, its size, and whether it is here."""
    items = run_async(_supply(supply).items)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(item) for item in items], indent=2))
        return
    table = Table("kind", "item", "version", "way", "size", "cached", box=None)
    for item in items:
        size = decimal(item.size) if item.size is not None else "-"
        table.add_row(item.kind, item.name, item.version, item.way, size, CACHED[item.cached])
    tables.show(table)
    if any(item.cached is None for item in items):
        typer.echo("unknown: the local registry, which holds the images, does not run; `supply fetch` starts it")


@app.command()
def newer() -> None:
    """Say which modules have a newer release than the pinned one; whether it is wanted is for a person to decide."""
    for name, pinned, newest in run_async(_supply("source").newer):
        typer.echo(f"- {name} {pinned} → {newest}")


@app.command("raise")
def raise_pin(
    name: Annotated[str, typer.Argument(help="A module in pins.toml.")],
    version: Annotated[str, typer.Argument(help="The release; the newest by default.")] = "",
) -> None:
    """Pin another release of a module, wherever its version stands; docs/supply.md says what to look at besides."""
    from ci.supply import raising

    typer.echo(run_async(raising.raise_pin, _supply("source"), name, version))


@app.command()
def pin(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tools or images as in pins.toml; everything by default.")
    ] = None,
) -> None:
    """Look up what publishers publish, by digest and SHA-256, and write it into pins.toml."""
    from ci.supply import pinning

    for line in run_async(pinning.pin, _supply("auto"), names or []):
        typer.echo(line)


@app.command()
def path(supply: SupplyOption = "auto") -> None:
    """Print the folder of the host's tools, for PATH."""
    typer.echo(_supply(supply).bin)


async def _fetch(names: list[str] | None, supply: str, verify: bool) -> None:
    await _supply(supply).fetch(names, verify=verify)


def _supply(way: str) -> "Supply":
    from ci.supply.supply import Supply  # takes a moment to load
    from ci.supply.ways import choose

    return Supply(choose(way))
