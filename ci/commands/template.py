"""`template`: the chart as each environment would get it."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base import files, paths
from ci.base.errors import UsageError
from ci.base.progress import console, step
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.report import terminal
from ci.supply.supply import Supply, choose


def template(
    environment: Annotated[
        str | None, typer.Option("--env", help="dev, staging or prod; all of them by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write ENV.yaml there instead of to standard output.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Render the chart with an environment's values."""
    run_async(_template, environment, out, supply)


async def _template(environment: str | None, out: Path | None, way: str) -> None:
    if environment is not None and environment not in paths.ENVIRONMENTS:
        raise UsageError(f"--env {environment}: not one of {', '.join(paths.ENVIRONMENTS)}")
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: not a folder")
    environments = paths.ENVIRONMENTS if environment is None else (environment,)
    supply = Supply(choose(way))
    from ci.checks import (
        checks,
        session,  # takes seconds to load, and wrong use is told at once
    )

    async with session.opened(supply) as (client, tools):
        with step(f"render {', '.join(environments)}"):
            renderings = await checks.render(client, tools, environments)
    found = [(rendering.environment, finding) for rendering in renderings for finding in rendering.findings]
    if found:
        findings = checks.merged(found, environments)
        console.print(terminal.findings(findings))
        checks.refuse(findings)
    for rendering in renderings:
        if out is None:
            typer.echo(f"# environment: {rendering.environment}\n{rendering.text}", nl=False)
        else:
            files.write(out / f"{rendering.environment}.yaml", rendering.text.encode())
