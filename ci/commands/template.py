"""`template`: each application as Argo CD would render it."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base import files
from ci.base.errors import UsageError
from ci.base.progress import console, step
from ci.commands import here
from ci.commands.options import OneApplicationOption, OneEnvironmentOption, SupplyOption
from ci.commands.runner import run_async


def template(
    environment: OneEnvironmentOption = None,
    application: OneApplicationOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write ENV/APP.yaml there instead of to standard output.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Render every application as Argo CD would."""
    run_async(_template, environment, application, out, supply)


async def _template(environment: str | None, application: str | None, out: Path | None, way: str) -> None:
    from ci.checks.targets import Chosen
    from ci.supply.supply import Supply
    from ci.supply.ways import choose

    folder, project = here.folder(), here.found()
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: not a folder")
    chosen = Chosen(environment, application, defaults=False)
    chosen.require(project)
    supply = Supply(choose(way))
    from ci.checks import checks, session  # takes seconds to load, and wrong use is told at once
    from ci.report import terminal

    async with session.opened(supply) as (client, tools):
        with step("template"):
            rendered = await checks.render(client, tools, folder, project, chosen)
    for rendering in rendered.renderings:
        if out is None:
            typer.echo(f"# {rendering.target.name}\n{rendering.text}", nl=False)
        else:
            files.write(out / f"{rendering.target.name}.yaml", rendering.text.encode())
    if rendered.findings:
        console().print(terminal.findings(rendered.findings))
        checks.refuse(rendered.findings)
    elif not rendered.renderings:
        where = f"{project.paths.tree}/{environment or 'ENV'}"
        raise UsageError(f"{where}: there is no application", fix=f"Add {where}/NAME.yaml.")
