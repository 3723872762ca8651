"""`test`: prove a change on a real cluster."""

import shlex
import shutil
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from ci import paths, tasks
from ci.cluster import diagnostics
from ci.commands.options import EnvironmentOption, SupplyOption
from ci.commands.runner import run_async
from ci.errors import CIError, CommandError, UsageError
from ci.host import docker, preflight
from ci.progress import console, note, step
from ci.report import jsonfile, junit, terminal
from ci.report.model import Report
from ci.report.model import Stage as StageResult
from ci.stages.order import Stage, chosen
from ci.stages.run import Options, Run
from ci.supply.supply import Supply, choose


def test(
    environment: EnvironmentOption = "dev",
    supply: SupplyOption = "auto",
    only: Annotated[list[str] | None, typer.Option(help="Run this stage and what it needs; may be repeated.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this stage out; may be repeated.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running for a look.")] = False,
    report: Annotated[Path, typer.Option(help="Folder for report.json, junit.xml and logs.")] = Path("report"),
    kubeconfig: Annotated[Path | None, typer.Option(help="Use this existing cluster instead of kind.")] = None,
    context: Annotated[str | None, typer.Option(help="Its context; the file's current one by default.")] = None,
    install_stack: Annotated[
        bool, typer.Option("--install-stack", help="Install what an existing cluster lacks of the stack.")
    ] = False,
    no_install: Annotated[bool, typer.Option("--no-install", help="Never install or start Docker here.")] = False,
) -> None:
    """Lint and template the chart, start a real cluster, and prove a good canary on it."""
    options = Options(environment, keep, kubeconfig, context, install_stack, report.resolve())
    run_async(_test, options, supply, only or [], skip or [], not no_install)


WRITTEN = ("report.json", "junit.xml", "gitops.json")


async def _test(options: Options, way: str, only: list[str], skip: list[str], install: bool) -> None:
    if options.environment not in paths.ENVIRONMENTS:
        raise UsageError(f"--env {options.environment}: not one of {', '.join(paths.ENVIRONMENTS)}")
    stages = chosen(only, skip, existing=options.kubeconfig is not None)
    supply = Supply(choose(way))
    _empty(options.report)
    started = time.monotonic()
    report = Report(
        command=shlex.join(["python", "ci/main.py", *sys.argv[1:]]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        outcome="interrupted",
    )
    report.versions = {name: pin.version for name, pin in supply.pins.modules.items()}
    try:
        async with AsyncExitStack() as cleanup:
            run = Run(options, supply, report, cleanup)
            with step(f"host and supply ({supply.way})"):
                for check in await preflight.room(supply.cache):
                    preflight.require(check)
                await docker.ensure(supply.cache / "docker", install=install)
                await supply.fetch()
            async with tasks.group() as alongside:
                for stage in stages:
                    if stage.alongside:
                        alongside.start_soon(_execute, stage, run)
                    else:
                        await _execute(stage, run)
        report.outcome = "passed"
    except Exception:
        report.outcome = "failed"
        raise
    finally:
        report.seconds = time.monotonic() - started
        _show(report, options)


async def _execute(stage: Stage, run: Run) -> None:
    console.print(f"[bold]{stage.name}[/bold]")
    started = time.monotonic()
    result = StageResult(stage.name, "failed", 0.0, "interrupted")
    run.report.stages.append(result)
    try:
        await stage.execute(run)
        result.outcome, result.message = "passed", ""
    except CIError as error:
        result.message = error.message
        if run.made_cluster is not None:
            await _diagnose(run)
        raise
    finally:
        result.seconds = time.monotonic() - started


async def _diagnose(run: Run) -> None:
    """Collect what the cluster shows; a failure here must not hide the one that led here."""
    folder = run.options.report / "diagnostics"
    with anyio.move_on_after(120):
        try:
            for line in await diagnostics.collect(run.kubectl, folder):
                console.print(f"    [yellow]{escape(line)}[/yellow]")
        except CommandError as error:
            note(f"no diagnostics: {error}")
    note(f"logs, events and descriptions: {folder}")


def _empty(folder: Path) -> None:
    """Have the report's folder, without what an earlier run left in it; files of others stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("diagnostics", "kind", "rendered"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (*folder.glob("canary-*.json"), *folder.glob("pytest-*"), *(folder / name for name in WRITTEN)):
        file.unlink(missing_ok=True)


def _show(report: Report, options: Options) -> None:
    """Write report.json and junit.xml, and print the tables."""
    folder = options.report
    jsonfile.write(folder / "report.json", report)
    junit.write(folder / "junit.xml", report, sorted(folder.glob("pytest-*.xml")))
    Console().print(terminal.render(report))
    if options.keep and report.outcome != "interrupted":
        note("the cluster was kept: python ci/main.py cluster status; python ci/main.py cluster down")
