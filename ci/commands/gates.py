"""`gates`: the canary's gates against simulated faults or against a recorded canary, without a cluster."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from ci.base.errors import UsageError
from ci.canary import recording
from ci.canary.recording import TARGET, Given
from ci.commands import here
from ci.commands.options import OneApplicationOption, SupplyOption
from ci.commands.runner import run_async

if TYPE_CHECKING:
    from ci.commands.replays import Judged
    from ci.supply.supply import Supply

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
        str | None,
        typer.Option(
            "--env", metavar="NAME", help="One environment, or defaults, the chart's own values; all by default."
        ),
    ] = None,
    application: OneApplicationOption = None,
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
    given, asked = Given(start, _labels(label or ()), stable, canary), (environment, application, supply)
    if series is None:
        run_async(_simulated, asked, repeat, given, json_file)
    else:
        run_async(_recorded, asked, repeat, series, given, json_file)


Asked = tuple[str | None, str | None, str]
"""Environment, application, and which way tools are got."""


async def _simulated(asked: Asked, repeat: int, given: Given, json_file: Path | None) -> None:
    if given != Given():
        raise UsageError(f"there is no --series: {RECORDING}")
    supply, judged = _judged(*asked)
    from ci.commands import replays

    await replays.simulated(supply, judged, repeat, json_file)


async def _recorded(asked: Asked, repeat: int, series: Path, given: Given, json_file: Path | None) -> None:
    if repeat != 1:
        raise UsageError(f"--series has requests of its own: {RECORDING}")
    record = recording.read(series)
    supply, judged = _judged(*asked)
    from ci.commands import replays

    await replays.recorded(supply, judged, series.name, record, given, json_file)


def _judged(environment: str | None, application: str | None, way: str) -> "tuple[Supply, Judged]":
    from ci.checks.targets import Chosen
    from ci.supply.supply import Supply
    from ci.supply.ways import choose

    folder, project, supply = here.folder(), here.found(), Supply(choose(way))
    chosen = Chosen(environment, application)
    chosen.require(project)
    from ci.commands.replays import Judged  # takes seconds to load, and wrong use is told at once

    return supply, Judged(folder, project, chosen)
