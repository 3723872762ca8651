"""`doctor`: what this machine has, and which way each need will be met."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ci import paths
from ci.commands.runner import run_async
from ci.host import preflight
from ci.host.preflight import Check
from ci.supply import pins, registry

ENGINE = "registry.dagger.io/engine"
REGISTRIES = (
    "https://registry-1.docker.io/v2/",
    "https://quay.io/v2/",
    "https://ghcr.io/v2/",
    "https://public.ecr.aws/v2/",
    "https://registry.k8s.io/v2/",
    "https://registry.dagger.io/v2/",
)
MARKS = {
    "ok": "[green]✓ ok[/green]",
    "planned": "[cyan]→ will be done[/cyan]",
    "warning": "[yellow]! warning[/yellow]",
    "missing": "[red]✗ missing[/red]",
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    install: Annotated[
        bool, typer.Option("--install/--no-install", help="Whether packages may be installed and services started.")
    ] = True,
) -> None:
    """Show what this machine has and how each need will be met; exit 1 if `test` cannot run."""
    checks: list[Check] = run_async(_checks, install)
    cannot = any(check.outcome == "missing" for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": not cannot, "checks": [dataclasses.asdict(check) for check in checks]}, indent=2))
    else:
        _show(checks)
    if cannot:
        raise typer.Exit(1)


async def _checks(install: bool) -> list[Check]:
    pinned = pins.load()
    return [
        await preflight.docker(install=install),
        await preflight.capabilities(),
        *await preflight.room(paths.cache()),
        await preflight.port(registry.host_port(), registry.CONTAINER, "ML_SERVING_CI_REGISTRY_PORT"),
        await preflight.engine(pinned.ref(ENGINE)),
        await preflight.registries(REGISTRIES),
        await preflight.go(pinned.go.minimum),
        await preflight.mmdebstrap(install=install),
    ]


def _show(checks: list[Check]) -> None:
    console = Console(highlight=False)
    table = Table("need", "outcome", "how", box=None)
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True
    table.columns[2].overflow = "fold"
    for check in checks:
        table.add_row(escape(check.need), MARKS[check.outcome], escape(check.how))
    console.print(table)
    # below the table, where no column breaks a command one would paste
    for check in checks:
        if check.fix:
            console.print(f"\n{escape(check.need)}, to fix:\n  {escape(check.fix)}", soft_wrap=True)
