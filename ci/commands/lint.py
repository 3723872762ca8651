"""`lint`: every check that needs no cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci.base import jsonfile
from ci.base.progress import step
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.report import terminal
from ci.supply.supply import Supply, choose


def lint(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings there too.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Check the chart, its rules, and the YAML, Python and workflow files; every finding has its file and line."""
    run_async(_lint, json_file, supply)


async def _lint(json_file: Path | None, way: str) -> None:
    supply = Supply(choose(way))
    from ci.checks import (
        checks,
        session,  # takes seconds to load, and wrong use is told at once
    )

    async with session.opened(supply) as (client, tools):
        with step("lint"):
            findings = (await checks.lint(client, tools)).findings
    if json_file is not None:
        jsonfile.write(json_file, findings)
    Console(soft_wrap=True, highlight=False).print(terminal.findings(findings))
    checks.refuse(findings)
