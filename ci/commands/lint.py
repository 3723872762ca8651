"""`lint`: every check that needs no cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci.base import jsonfile
from ci.base.errors import UsageError
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
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="REF", help="Apply what differs from where HEAD left it over that, as Argo CD would."
        ),
    ] = None,
    no_control_plane: NoControlPlaneOption = False,
    canary_course: Annotated[
        bool,
        typer.Option(
            "--canary-course",
            help="Play each canary's steps on the control plane, too: a good version and a bad one, in shortened time.",
        ),
    ] = False,
    supply: SupplyOption = "auto",
) -> None:
    """Check every application as Argo CD renders it, and YAML and workflow files; a finding has its file and line.

    Each is applied on a control plane without nodes as well: what API server and controllers refuse is a finding. With
    --base it is told whether a change can be applied over what was there before, and what it does to pods.
    """
    if no_control_plane and (base is not None or canary_course):
        option = "--canary-course" if base is None else "--base"
        raise UsageError(f"{option}: it is the control plane that is asked", fix="Leave out --no-control-plane.")
    run_async(_lint, environment, application, json_file, base, not no_control_plane, canary_course, supply)


async def _lint(
    environment: str | None,
    application: str | None,
    json_file: Path | None,
    base: str | None,
    control_plane: bool,
    plays: bool,
    way: str,
) -> None:
    from ci.checks.targets import Chosen
    from ci.supply.supply import Supply
    from ci.supply.ways import choose
    from ci.tree import git, merge_base

    folder, project = here.folder(), here.found()
    chosen = Chosen(environment, application)
    chosen.require(project)
    before = (await merge_base.sides(await git.opened(folder), base, git.REMOTE))[0] if base is not None else None
    supply = Supply(choose(way))
    from ci.checks import checks, session  # takes seconds to load, and wrong use is told at once
    from ci.checks.control_plane import container
    from ci.report import terminal

    async with session.opened(supply) as (client, tools):
        with step("lint"):
            plane = await container.plane(supply) if control_plane else None
            found = await checks.lint(client, tools, folder, project, chosen, plane, before, plays=plays)
    if json_file is not None:
        jsonfile.write(json_file, found.findings)
    console = Console(soft_wrap=True, highlight=False)
    if base is not None:
        console.print(terminal.effects(found.effects))
    if plays:
        console.print(terminal.courses(found.courses))
    console.print(terminal.findings(found.findings))
    if not control_plane:
        warning("the control plane was left out", "neither API server nor controllers were asked")
    checks.refuse(found.findings)
