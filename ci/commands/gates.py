"""`gates`: the canary's gates against simulated faults, without a cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci import paths, session
from ci.commands.lint import refuse
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.errors import UsageError
from ci.gates import check
from ci.pipeline import chart, checks
from ci.progress import step
from ci.report import jsonfile, matrix
from ci.supply.supply import Supply, choose

ENVIRONMENTS = (chart.DEFAULTS, *paths.ENVIRONMENTS)


def gates(
    environment: Annotated[
        str | None, typer.Option("--env", help="dev, staging, prod, or defaults; all of them by default.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=200, help="Replays of each shape, each with other requests.")] = 1,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outcomes there too.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Replay the canary's steps against a catalogue of faults and of healthy versions, with Prometheus' own engine."""
    run_async(_gates, environment, repeat, json_file, supply)


async def _gates(environment: str | None, repeat: int, json_file: Path | None, way: str) -> None:
    if environment is not None and environment not in ENVIRONMENTS:
        raise UsageError(f"--env {environment}: not one of {', '.join(ENVIRONMENTS)}")
    environments = ENVIRONMENTS if environment is None else (environment,)
    async with session.opened(Supply(choose(way))) as (client, tools):
        source = checks.the_chart(tools)
        renderings = await checks.render(client, tools, environments)
        findings = [finding for rendering in renderings for finding in rendering.findings]
        refuse(findings)
        rendered = {each.environment: chart.objects(source, each) for each in renderings}
        with step(f"gates of {', '.join(environments)}"):
            assessment = await check.assess(tools.prometheus, tools.promtool, source, rendered, repeat)
    if json_file is not None:
        jsonfile.write(json_file, assessment)
    out = Console(soft_wrap=True, highlight=False)
    out.print(matrix.render(assessment))
    refuse(list(assessment.findings))
