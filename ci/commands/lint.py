"""`lint`: every check that needs no cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci.base import jsonfile
from ci.base.progress import step, warning
from ci.commands import here
from ci.commands.options import NoControlPlaneOption, OneApplicationOption, OneEnvironmentOption, SupplyOption
from ci.commands.runner import run_async


def lint(
    environment: OneEnvironmentOption = None,
    application: OneApplicationOption = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings there too.")
    ] = None,
    no_control_plane: NoControlPlaneOption = False,
    supply: SupplyOption = "auto",
) -> None:
    """Check every application as Argo CD renders it, and YAML and workflow files; a finding has its file and line.

    Each is applied on a control plane without nodes as well: what API server and controllers refuse is a finding.
    """
    run_async(_lint, environment, application, json_file, not no_control_plane, supply)


async def _lint(
    environment: str | None, application: str | None, json_file: Path | None, control_plane: bool, way: str
) -> None:
    from ci.checks.targets import Chosen
    from ci.supply.supply import Supply, choose

    folder, project = here.folder(), here.found()
    chosen = Chosen(environment, application)
    chosen.require(project)
    supply = Supply(choose(way))
    from ci.checks import checks, session  # takes seconds to load, and wrong use is told at once
    from ci.checks.control_plane import container
    from ci.report import terminal

    async with session.opened(supply) as (client, tools):
        with step("lint"):
            plane = await container.plane(supply) if control_plane else None
            findings = (await checks.lint(client, tools, folder, project, chosen, plane)).findings
    if json_file is not None:
        jsonfile.write(json_file, findings)
    Console(soft_wrap=True, highlight=False).print(terminal.findings(findings))
    if not control_plane:
        warning("the control plane was left out", "neither API server nor controllers were asked")
    checks.refuse(findings)
