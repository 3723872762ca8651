"""`gates`: the canary's gates against simulated faults or against a recorded canary, without a cluster."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from rich.console import Console, RenderableType

from ci import paths, session
from ci.commands.lint import refuse
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.errors import CheckFailedError, UsageError
from ci.gates import check, plan, recorded, recording
from ci.gates.overlay import TARGET, Given
from ci.pipeline import chart, checks
from ci.pipeline.manifests import Manifest
from ci.pipeline.tools import Tools
from ci.progress import step
from ci.report import jsonfile, matrix
from ci.report import recorded as recorded_report
from ci.supply.supply import Supply, choose

ENVIRONMENTS = (chart.DEFAULTS, *paths.ENVIRONMENTS)
RECORDING = "--start, --label, --stable and --canary say how to read a recording, and --repeat draws other requests"


def _moment(text: str) -> float:
    try:
        return TypeAdapter(AwareDatetime).validate_python(text).timestamp()
    except ValidationError as error:
        raise typer.BadParameter(f"{text}: neither a time such as 2026-11-26T05:40:12Z nor Unix seconds") from error


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in pairs:
        name, _, value = text.partition("=")
        if name not in TARGET or not value:
            raise typer.BadParameter(
                f"{text}: not {', '.join(f'{label}=VALUE' for label in TARGET)}", param_hint="--label"
            )
        found[name] = value
    return found


def gates(
    environment: Annotated[
        str | None, typer.Option("--env", help="dev, staging, prod, or defaults; all of them by default.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=200, help="Replays of each shape, each with other requests.")] = 1,
    series: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Replay what Prometheus recorded around a real canary instead."),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(
            parser=_moment, metavar="TIME", help="When the recorded canary got its first weight; else its first sample."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="The recording's namespace, service or model, if not the chart's."),
    ] = None,
    stable: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Pod-template hash of the recorded stable version.")
    ] = None,
    canary: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Pod-template hash of the recorded canary.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the outcomes there too.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Replay the canary's steps against a catalogue of faults and of healthy versions, with Prometheus' own engine."""
    given = Given(start, _labels(label or ()), stable, canary)
    if series is None:
        run_async(_simulated, environment, repeat, given, json_file, supply)
    else:
        run_async(_recorded, environment, repeat, series, given, json_file, supply)


async def _simulated(environment: str | None, repeat: int, given: Given, json_file: Path | None, way: str) -> None:
    if given != Given():
        raise UsageError(f"there is no --series: {RECORDING}")
    async with _rendered(environment, way) as (tools, source, rendered):
        with step(f"gates of {', '.join(rendered)}"):
            assessment = await check.assess(tools.prometheus, tools.promtool, source, rendered, repeat)
    if json_file is not None:
        jsonfile.write(json_file, assessment)
    _print(matrix.render(assessment))
    refuse(list(assessment.findings))


async def _recorded(
    environment: str | None, repeat: int, series: Path, given: Given, json_file: Path | None, way: str
) -> None:
    if repeat != 1:
        raise UsageError(f"--series has requests of its own: {RECORDING}")
    record = recording.read(series)
    async with _rendered(environment, way) as (tools, _, rendered):
        plans = [found for name, objects in rendered.items() if (found := plan.read(name, objects))]
        if not plans:
            raise CheckFailedError(f"{', '.join(rendered)}: no canary that anything judges")
        with step(f"gates of {', '.join(each.environment for each in plans)} on {series.name}"):
            ended = [await recorded.replayed(tools.prometheus, tools.promtool, each, record, given) for each in plans]
    if json_file is not None:
        jsonfile.write(json_file, ended)
    _print(recorded_report.render(ended))
    stopped = [each for each in ended if each.outcome.phase != "Healthy"]
    if stopped:
        said = (f"{each.environment}: {recorded_report.ending(each.outcome)}" for each in stopped)
        raise CheckFailedError("; ".join(said))


@asynccontextmanager
async def _rendered(
    environment: str | None, way: str
) -> AsyncIterator[tuple[Tools, chart.Chart, dict[str, Sequence[Manifest]]]]:
    """Have the tools, the chart, and its objects in one environment or in each."""
    if environment is not None and environment not in ENVIRONMENTS:
        raise UsageError(f"--env {environment}: not one of {', '.join(ENVIRONMENTS)}")
    environments = ENVIRONMENTS if environment is None else (environment,)
    async with session.opened(Supply(choose(way))) as (client, tools):
        source = checks.the_chart(tools)
        renderings = await checks.render(client, tools, environments)
        refuse([finding for rendering in renderings for finding in rendering.findings])
        yield tools, source, {each.environment: chart.objects(source, each) for each in renderings}


def _print(result: RenderableType) -> None:
    Console(soft_wrap=True, highlight=False).print(result)
