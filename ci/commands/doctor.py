"""`doctor`: what will run the cluster, and which way each need will be met."""

import dataclasses
import json
import shutil
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ci.base import paths
from ci.base.calling import as_called
from ci.base.errors import MachineError
from ci.commands.runner import run_async
from ci.host import machine
from ci.host.machine import Check
from ci.supply import pins

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
    "ok": ("✓", "ok", "green"),
    "planned": ("→", "will be done", "cyan"),
    "warning": ("!", "warning", "yellow"),
    "missing": ("✗", "missing", "red"),
}
"""Each outcome's sign, words and colour."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
    install: Annotated[
        bool, typer.Option("--install/--no-install", help="Whether packages may be installed and services started.")
    ] = True,
) -> None:
    """Show what this machine has and how each need will be met; exit 3 if `test` cannot run."""
    checks: list[Check] = run_async(_checks, install)
    cannot = any(check.outcome == "missing" for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": not cannot, "checks": [dataclasses.asdict(check) for check in checks]}, indent=2))
    else:
        _show(checks)
    if cannot:
        raise typer.Exit(MachineError.exit_code)


async def _checks(install: bool) -> list[Check]:
    from ci.host import preflight  # takes a moment to load
    from ci.supply import registry

    pinned = pins.load()
    docker, daemon = await preflight.docker(install=install)
    checks = [docker, *machine.checks(paths.cache(), daemon)]
    if machine.here(daemon):  # elsewhere it is another machine's port
        checks.append(
            await preflight.port(
                registry.host_port(), registry.CONTAINER, "ML_SERVING_CI_REGISTRY_PORT", daemon=daemon is not None
            )
        )
    return [
        *checks,
        await preflight.engine(pinned.ref(ENGINE), daemon=daemon is not None),
        await preflight.registries(REGISTRIES),
        await go(pinned.go.minimum),
        await preflight.mmdebstrap(install=install),
    ]


async def go(minimum: str) -> Check:
    """Check for the Go toolchain that source builds take.

    Args:
        minimum: The oldest that will do.
    """
    from ci.supply.source import go as toolchains

    found = await toolchains.found(minimum)
    if found is not None:
        return Check("Go", "ok", found.version)
    there = shutil.which("go")
    why = f"{there} is not {minimum} or a later patch of it" if there else "none here"
    return Check("Go", "planned", f"{why}: taken from its wheel for source builds")


def _show(checks: list[Check]) -> None:
    console = Console(highlight=False, soft_wrap=True)  # whole names and commands, however narrow the terminal
    for check in checks:
        sign, words, colour = MARKS[check.outcome]
        console.print(f"[{colour}]{sign} {words:12}[/{colour}] {escape(check.need)}: {escape(check.how)}")
    for check in checks:
        if check.fix:
            console.print(f"\n{escape(check.need)}, to fix:\n  {escape(as_called(check.fix))}")
