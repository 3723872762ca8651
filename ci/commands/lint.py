"""`lint`: every check that needs no cluster."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ci import session
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.errors import CheckFailedError
from ci.pipeline import checks
from ci.progress import step
from ci.report import jsonfile, terminal
from ci.report.model import Finding
from ci.supply.supply import Supply, choose


def lint(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings there too.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Check the chart, its rules, and the YAML, Python and workflow files; every finding has its file and line."""
    run_async(_lint, json_file, supply)


async def _lint(json_file: Path | None, way: str) -> None:
    async with session.opened(Supply(choose(way))) as (client, tools):
        with step("lint"):
            findings = (await checks.lint(client, tools)).findings
    if json_file is not None:
        jsonfile.write(json_file, findings)
    Console(soft_wrap=True, highlight=False).print(terminal.findings(findings))
    refuse(findings)


def refuse(findings: list[Finding]) -> None:
    """Raise when there is an error among the findings."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        files = len({finding.file for finding in errors})
        raise CheckFailedError(f"{len(errors)} {'error' if len(errors) == 1 else 'errors'}, files: {files}")
