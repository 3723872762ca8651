"""One run of `test`: its stages on a real cluster, its report, and its evidence."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import anyio
from rich.console import Console
from rich.markup import escape
from securesystemslib.signer import CryptoSigner

from ci import notify, paths, tasks
from ci.cluster import diagnostics
from ci.errors import CIError, CommandError, MachineError, UsageError
from ci.evidence import checkout as checkouts
from ci.evidence import envelope, gather, statement
from ci.evidence.checkout import Checkout
from ci.host import docker, preflight
from ci.progress import console, note, step
from ci.report import folder, html, jsonfile, junit, summary, terminal
from ci.report.model import Failure, Report
from ci.report.model import Stage as StageResult
from ci.stages.order import Stage, left_out
from ci.stages.run import Options, Run
from ci.supply.supply import Supply


async def prove(
    options: Options, stages: Sequence[Stage], supply: Supply, signer: CryptoSigner | None, *, install: bool
) -> None:
    """Run stages, and write what came of it, however it ends.

    Args:
        options: What the person asked for.
        stages: The stages, in order.
        supply: Where tools and images come from.
        signer: Signs the evidence; None leaves it unsigned.
        install: Whether Docker may be installed and started.

    Raises:
        CIError: A stage failed; the report says which.
    """
    checkout = await _checkout()
    began = time.monotonic()
    report = Report(
        command=shlex.join(["python", "ci/main.py", *sys.argv[1:]]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        outcome="interrupted",
    )
    report.left_out = left_out(stages)
    report.versions = {name: pin.version for name, pin in supply.pins.modules.items()}
    with notify.telling() as tell:
        tell(notify.started(report))
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
                            alongside.start_soon(_execute, stage, run, began)
                        else:
                            await _execute(stage, run, began)
            report.seconds = time.monotonic() - began
            if checkout is not None and not report.left_out:
                await write_evidence(run, checkout, signer)
            report.outcome = "passed"
        except Exception as error:
            report.outcome = "failed"
            report.failure = report.failure or _failure("tear-down" if report.stages else "host and supply", error)
            raise
        finally:
            if report.outcome != "passed":
                report.seconds = time.monotonic() - began
            reached = {stage.name for stage in report.stages}
            skipped = [stage.name for stage in stages if stage.name not in reached]
            report.stages += [StageResult(name, "skipped", 0.0, "not reached") for name in skipped]
            _show(report, options)
            tell(notify.ended(report))


async def _checkout() -> Checkout | None:
    """Return the checkout that is tested; without git it is tested as well, but no evidence can name it."""
    try:
        return await checkouts.look(paths.ROOT)
    except (UsageError, MachineError) as error:
        _warn("no evidence will be written", error.message)
        return None


async def write_evidence(run: Run, checkout: Checkout, signer: CryptoSigner | None) -> None:
    """Write the evidence of a run whose stages all passed; where that fails, the run has failed.

    The evidence names report.json by its digest, so that file is written first, as it will be in the end.

    Args:
        run: The run, all stages over.
        checkout: The checkout as it was when the run began.
        signer: Signs it; None leaves it unsigned.

    Raises:
        EvidenceError: The checkout is not what it was when the run began.
        CheckFailedError: Something cannot be packaged, rendered or looked up.
    """
    into, began = run.options.report, time.monotonic()
    jsonfile.write(into / statement.REPORT, dataclasses.replace(run.report, outcome="passed"))
    try:
        with step("evidence"):
            environment, supply = run.options.environment, run.supply
            file = await gather.write(into, run.report, environment, run.models, checkout, supply, signer)
    except CIError as error:
        run.report.stages.append(StageResult("evidence", "failed", time.monotonic() - began, error.message))
        run.report.failure = _failure("evidence", error)
        raise
    if changed := await checkouts.changes(checkout):
        _warn("the evidence is of no commit, and promotes nothing to prod", f"changed: {', '.join(changed[:5])}")
    if signer is None:
        _warn("the evidence is NOT SIGNED, and promotes nothing to prod", f"{envelope.KEY}_FILE names the key")
    else:
        note(f"{file} is signed by {signer.public_key.keyid}")


def _warn(what: str, why: str) -> None:
    console.print(f"[yellow bold]{escape(what)}:[/yellow bold] [yellow]{escape(why)}[/yellow]")


async def _execute(stage: Stage, run: Run, began: float) -> None:
    console.print(f"[bold]{stage.name}[/bold]")
    started = time.monotonic()
    result = StageResult(stage.name, "failed", 0.0, "interrupted", started - began)
    run.report.stages.append(result)
    try:
        await stage.execute(run)
        result.outcome, result.message = "passed", ""
    except Exception as error:
        failure = _failure(stage.name, error)
        result.message = failure.message
        run.report.failure = run.report.failure or failure
        if run.made_cluster is not None:
            await _diagnose(run)
        raise
    finally:
        result.seconds = time.monotonic() - started


def _failure(where: str, error: Exception) -> Failure:
    cause = tasks.first(error)
    if isinstance(cause, CIError):
        return Failure(where, cause.message, cause.fix or "")
    return Failure(where, f"{type(cause).__name__}: {cause}")


async def _diagnose(run: Run) -> None:
    """Collect what the cluster shows; a failure here must not hide the one that led here."""
    into = run.options.report / "diagnostics"
    with anyio.move_on_after(120):
        try:
            run.report.culprits = await diagnostics.collect(run.kubectl, into)
            for line in run.report.culprits:
                console.print(f"    [yellow]{escape(line)}[/yellow]")
        except CommandError as error:
            note(f"no diagnostics: {error}")
    note(f"logs, events and descriptions: {into}")


def _show(report: Report, options: Options) -> None:
    """Write the report in each of its forms, and print the tables."""
    into = options.report
    jsonfile.write(into / statement.REPORT, report)
    junit.write(into / "junit.xml", report, sorted(into.glob("pytest-*.xml")))
    Console().print(terminal.render(report))
    html.write(into / "report.html", dataclasses.replace(report, files=folder.listed(into, report.stages)))
    note(f"report: {into / 'report.html'}")
    try:
        summary.append(report)
    except OSError as error:
        note(f"no job summary: {error}")
    made = any((stage.name, stage.outcome) == ("cluster", "passed") for stage in report.stages)
    if options.keep and made and report.outcome != "interrupted":
        note("the cluster was kept: python ci/main.py cluster status; python ci/main.py cluster down")
