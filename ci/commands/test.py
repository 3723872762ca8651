"""`test`: prove a change on a real cluster."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from ci.base import paths, settings
from ci.base.errors import UsageError
from ci.commands.options import EnvironmentOption, SupplyOption
from ci.commands.runner import run_async
from ci.evidence import envelope
from ci.report import folder
from ci.stages.order import ORDER, chosen
from ci.stages.run import Options
from ci.supply.supply import Supply, choose


def test(
    environment: EnvironmentOption = "dev",
    supply: SupplyOption = "auto",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Run this stage and what it needs; may be repeated. By default what ${settings.ONLY} names."
        ),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this stage out; may be repeated.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running for a look.")] = False,
    report: Annotated[
        Path, typer.Option(help="Folder for report.html, report.json, junit.xml, evidence and logs.")
    ] = Path("report"),
    kubeconfig: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Use this existing cluster instead of kind.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Its context; the file's current one by default.")] = None,
    install_stack: Annotated[
        bool, typer.Option("--install-stack", help="Install what an existing cluster lacks of the stack.")
    ] = False,
    no_install: Annotated[bool, typer.Option("--no-install", help="Never install or start Docker here.")] = False,
) -> None:
    """Lint and template the chart, start a real cluster, and prove a good canary on it."""
    options = Options(environment, keep, kubeconfig, context, install_stack, report)
    run_async(_test, options, supply, only or [], skip or [], not no_install)


async def _test(options: Options, way: str, only: list[str], skip: list[str], install: bool) -> None:
    options = dataclasses.replace(options, report=folder.resolved(options.report))
    if options.environment not in paths.ENVIRONMENTS:
        raise UsageError(f"--env {options.environment}: not one of {', '.join(paths.ENVIRONMENTS)}")
    if sys.flags.optimize:
        raise UsageError(
            "python -O (PYTHONOPTIMIZE) leaves out what the tests assert",
            fix="env -u PYTHONOPTIMIZE python ci/main.py test",
        )
    only = only or settings.only([stage.name for stage in ORDER])
    stages = chosen(only, skip, existing=options.kubeconfig is not None)
    supply = Supply(choose(way))
    signer = envelope.signer()
    from ci import prove  # takes seconds to load, and wrong use is told at once

    with folder.taken(options.report):
        await prove.prove(options, stages, supply, signer, install=install)
