"""The two ways of `gates`: every shape of the catalogue, or one recorded canary."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console, RenderableType

from ci.base import jsonfile
from ci.base.errors import CheckFailedError
from ci.base.progress import step
from ci.canary import plan
from ci.canary import recorded as recordings
from ci.canary.recording import Given, Recording
from ci.checks import chart, checks, session
from ci.checks import gates as check
from ci.checks.tools import Tools
from ci.manifests.chart import Chart
from ci.manifests.manifests import Manifest
from ci.report import matrix
from ci.report import recorded as recorded_report
from ci.supply.supply import Supply


async def simulated(supply: Supply, environments: Sequence[str], repeat: int, json_file: Path | None) -> None:
    """Replay every shape of the catalogue, and print what came out.

    Args:
        supply: Where the tools come from.
        environments: Whose values, as in `paths.RENDERINGS`.
        repeat: Replays of each shape, each with other requests.
        json_file: Gets the outcomes, too.

    Raises:
        CheckFailedError: A fault escapes or a healthy version is stopped that is not listed, or the chart is wrong.
    """
    async with _rendered(supply, environments) as (tools, source, rendered):
        with step(f"gates of {', '.join(rendered)}"):
            assessment = await check.assess(tools.prometheus, tools.promtool, source, rendered, repeat)
    if json_file is not None:
        jsonfile.write(json_file, assessment)
    _print(matrix.render(assessment))
    checks.refuse(assessment.findings)


async def recorded(
    supply: Supply, environments: Sequence[str], name: str, recording: Recording, given: Given, json_file: Path | None
) -> None:
    """Replay a recorded canary, and print what the gates would have made of it.

    Args:
        supply: Where the tools come from.
        environments: Whose values, as in `paths.RENDERINGS`.
        name: The recording's, for people.
        recording: What Prometheus recorded.
        given: What the user says about it.
        json_file: Gets the outcomes, too.

    Raises:
        CheckFailedError: The canary would not have gone through, or the chart is wrong.
        UsageError: The recording is not of such a canary.
    """
    async with _rendered(supply, environments) as (tools, _, rendered):
        plans = [found for each, objects in rendered.items() if (found := plan.read(each, objects))]
        if not plans:
            raise CheckFailedError(f"{', '.join(rendered)}: no canary that anything judges")
        with step(f"gates of {', '.join(each.environment for each in plans)} on {name}"):
            ended = [
                await recordings.replayed(tools.prometheus, tools.promtool, each, recording, given) for each in plans
            ]
    if json_file is not None:
        jsonfile.write(json_file, ended)
    _print(recorded_report.render(ended))
    stopped = [each for each in ended if each.outcome.phase != "Healthy"]
    if stopped:
        said = (f"{each.environment}: {recorded_report.ending(each.outcome)}" for each in stopped)
        raise CheckFailedError("; ".join(said))


@asynccontextmanager
async def _rendered(
    supply: Supply, environments: Sequence[str]
) -> AsyncIterator[tuple[Tools, Chart, dict[str, Sequence[Manifest]]]]:
    """Have the tools, the chart, and its objects with each environment's values."""
    async with session.opened(supply) as (client, tools):
        source = checks.the_chart(tools)
        renderings = await checks.render(client, tools, environments)
        checks.refuse([finding for rendering in renderings for finding in rendering.findings])
        yield tools, source, {each.environment: chart.objects(source, each) for each in renderings}


def _print(result: RenderableType) -> None:
    Console(soft_wrap=True, highlight=False).print(result)
