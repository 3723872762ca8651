"""`lint`: every check that needs no cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci.base import jsonfile
from ci.base.progress import step
from ci.commands import here
from ci.commands.options import OneApplicationOption, OneEnvironmentOption, SupplyOption
from ci.commands.runner import run_async


def lint(
    environment: OneEnvironmentOption = None,
    application: OneApplicationOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings there too.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Check every application as Argo CD renders it, and YAML and workflow files; a finding has its file and line."""
    run_async(_lint, environment, application, json_file, supply)


async def _lint(environment: str | None, application: str | None, json_file: Path | None, way: str) -> None:
    from ci.checks.targets import Chosen
    from ci.supply.supply import Supply, choose

    folder, project = here.folder(), here.found()
    chosen = Chosen(environment, application)
    chosen.require(project)
    supply = Supply(choose(way))
    from ci.checks import checks, session  # takes seconds to load, and wrong use is told at once
    from ci.report import terminal

    async with session.opened(supply) as (client, tools):
        with step("lint"):
            findings = (await checks.lint(client, tools, folder, project, chosen)).findings
    if json_file is not None:
        jsonfile.write(json_file, findings)
    Console(soft_wrap=True, highlight=False).print(terminal.findings(findings))
    checks.refuse(findings)
