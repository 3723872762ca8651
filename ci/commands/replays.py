"""The two ways of `gates`: every shape of the catalogue, or one recorded canary."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType

from ci.base import jsonfile
from ci.base.errors import CheckFailedError
from ci.base.progress import note, step
from ci.canary import plan
from ci.canary import recorded as recordings
from ci.canary.recording import Given, Recording
from ci.checks import checks, session
from ci.checks import gates as check
from ci.checks.checks import Rendered
from ci.checks.targets import Chosen
from ci.checks.tools import Tools
from ci.manifests.chart import Rendering
from ci.project import Project
from ci.report import matrix, terminal
from ci.report import recorded as recorded_report
from ci.supply.supply import Supply

NAMED = 5
"""Of more targets than these, so many are named."""


@dataclass(frozen=True)
class Judged:
    """What is judged.

    Attributes:
        folder: The project's.
        project: The project.
        chosen: What of it.
    """

    folder: Path
    project: Project
    chosen: Chosen


async def simulated(supply: Supply, judged: Judged, repeat: int, json_file: Path | None) -> None:
    """Replay every shape of the catalogue, and print what came out.

    Args:
        supply: Where the tools come from.
        judged: Whose canaries.
        repeat: Replays of each shape, each with other requests.
        json_file: Gets the outcomes, too.

    Raises:
        CheckFailedError: A fault escapes or a healthy version is stopped that is not listed, or a target is wrong.
        UsageError: There is no such environment or application, or gates.yaml is wrong.
    """
    async with _rendered(supply, judged) as (tools, rendered):
        with step(_said(rendered)):
            assessment = await check.assess(
                tools.prometheus,
                tools.promtool,
                judged.folder,
                judged.project.paths.tree,
                rendered.renderings,
                repeat=repeat,
                known=rendered.known,
            )
    if json_file is not None:
        jsonfile.write(json_file, assessment)
    _print(matrix.render(assessment))
    checks.refuse(assessment.findings)


async def recorded(
    supply: Supply, judged: Judged, name: str, recording: Recording, given: Given, json_file: Path | None
) -> None:
    """Replay a recorded canary, and print what the gates would have made of it.

    Args:
        supply: Where the tools come from.
        judged: Whose canaries.
        name: The recording's, for people.
        recording: What Prometheus recorded.
        given: What the user says about it.
        json_file: Gets the outcomes, too.

    Raises:
        CheckFailedError: The canary would not have gone through, or a target is wrong.
        UsageError: There is no such environment or application, or the recording is not of such a canary.
    """
    async with _rendered(supply, judged) as (tools, rendered):
        plans = [found for each in rendered.renderings if (found := plan.read(each.target.name, each.objects))]
        for each in rendered.renderings:
            tell_unjudged(each)
        if not plans:
            raise CheckFailedError(f"{_said(rendered)}: no canary that anything judges")
        with step(f"{_said(rendered)} on {name}"):
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


def tell_unjudged(rendering: Rendering) -> None:
    """Name the canaries of an application that are not the one that is replayed."""
    for each in plan.unread(rendering.objects):
        note(f"{rendering.target.name}: {each}: {check.UNJUDGED}")


@asynccontextmanager
async def _rendered(supply: Supply, judged: Judged) -> AsyncIterator[tuple[Tools, Rendered]]:
    """Have the tools, and what is judged, rendered."""
    async with session.opened(supply) as (client, tools):
        rendered = await checks.render(client, tools, judged.folder, judged.project, judged.chosen)
        if rendered.findings:
            _print(terminal.findings(rendered.findings))
            checks.refuse(rendered.findings)
        yield tools, rendered


def _said(rendered: Rendered) -> str:
    """Return whose gates they are, in words."""
    names = [each.target.name for each in rendered.renderings]
    return f"gates of {', '.join(names[:NAMED])}" + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _print(result: RenderableType) -> None:
    Console(soft_wrap=True, highlight=False).print(result)
