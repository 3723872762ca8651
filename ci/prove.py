"""One run of `test`: its stages on a real cluster, its report, and its evidence."""

import dataclasses
import math
import shlex
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
from rich.console import Console
from securesystemslib.signer import CryptoSigner

from ci import sample
from ci.base import failures, jsonfile, progress, tasks
from ci.base.errors import CIError, MachineError, ToldError, UsageError
from ci.base.progress import note, step
from ci.cluster import diagnostics
from ci.evidence import checkout as checkouts
from ci.evidence import envelope, gather, statement
from ci.evidence.checkout import Checkout
from ci.host import docker, preflight, usage
from ci.manifests.brought import CHECK as CONTROL_PLANE
from ci.report import folder, html, junit, notify, summary, terminal
from ci.results import Failure, Report, Usage
from ci.results import Stage as StageResult
from ci.stages import scope as scopes
from ci.stages.order import MODELS, Stage, left_out
from ci.stages.run import Options, Run
from ci.stages.scope import Scope
from ci.supply.supply import Supply


class Errors:
    """What went wrong in a run, in its order: the first is the cause, and later ones must not hide it.

    Args:
        report: Gets the first.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._errors: list[tuple[str, BaseException]] = []

    @property
    def first(self) -> ToldError:
        """The cause of all."""
        return ToldError(*self._errors[0])

    def add(self, where: str, error: Exception) -> str:
        """Take an error, or each of a group, and tell it at once where it is not known yet.

        Args:
            where: The stage, or what else was under way.
            error: As it was raised.

        Returns:
            What failed, in one line.
        """
        for each in tasks.leaves(error):
            if not any(each is known for _, known in self._errors):
                self._tell(_failure(where, each), each)
        return _failure(where, error).message

    def _tell(self, failure: Failure, error: BaseException) -> None:
        self._errors.append((failure.where, error))
        interrupted = anyio.current_effective_deadline() == -math.inf
        if len(self._errors) > 1 or interrupted:
            note(f"then, {failure.where}: {failure.message}")
            return
        self._report.outcome, self._report.failure = "failed", failure
        progress.failure(failure.message, failure.fix)


async def prove(
    options: Options,
    stages: Sequence[Stage],
    supply: Supply,
    signer: CryptoSigner | None,
    *,
    install: bool,
    scope: Scope | None = None,
    platform: bool = True,
    served: bool = True,
) -> None:
    """Run stages, and write what came of it, however it ends.

    Args:
        options: What the person asked for.
        stages: The stages, in order.
        supply: Where tools and images come from.
        signer: Signs the evidence; None leaves it unsigned.
        install: Whether Docker may be installed and started.
        scope: What is proven; everything by default.
        platform: Whether the platform is to be proven.
        served: Whether anything is to be served where it is not.

    Raises:
        ToldError: A stage failed; the report says which, and the error was told at once.
    """
    began = time.monotonic()
    report = Report(
        command=shlex.join(["python", "ci/main.py", *sys.argv[1:]]),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        outcome="interrupted",
    )
    report.left_out = left_out(stages, platform=platform, served=served)
    if not options.control_plane:
        report.left_out.append(CONTROL_PLANE)
    report.platform = platform
    report.versions = {name: pin.version for name, pin in supply.pins.modules.items()}
    jsonfile.write(options.report / statement.REPORT, report)  # a folder that takes no file is told now, not at the end
    errors, under_way = Errors(report), "host and supply"
    with notify.telling() as tell:
        tell(notify.started(report))
        try:
            # a narrowed run has no evidence, and asks nothing of git unless it proves applications
            wanted = not report.left_out or MODELS in [stage.name for stage in stages]
            checkout = await _checkout(options.project) if wanted else None
            if scope is None and checkout is not None:
                scope = await scopes.everything(checkout.repository, checkout.tree)
            async with AsyncExitStack() as cleanup:
                run = Run(options, supply, report, cleanup, scope=scope, platform=platform)
                with step(f"host and supply ({supply.way})"):
                    for check in await preflight.room(supply.cache):
                        preflight.require(check)
                    await docker.ensure(supply.state / "docker", install=install)
                    await supply.fetch()
                await cleanup.enter_async_context(_measured(report, supply))
                under_way = "tear-down"  # the stages name themselves
                async with tasks.group() as alongside:
                    for stage in stages:
                        if stage.alongside:
                            alongside.start_soon(_execute, stage, run, began, errors)
                        else:
                            await _execute(stage, run, began, errors)
            report.seconds, under_way = time.monotonic() - began, "evidence"
            proven = platform or report.applications  # evidence of nothing would be some
            if checkout is not None and proven and not (report.left_out or report.unproven):
                await write_evidence(run, checkout, signer)
            report.outcome = "passed"
        except Exception as error:
            errors.add(under_way, error)
            raise errors.first from errors.first.cause
        finally:
            if report.outcome != "passed":
                report.seconds = time.monotonic() - began
            reached = {stage.name for stage in report.stages}
            skipped = [stage.name for stage in stages if stage.name not in reached]
            report.stages += [StageResult(name, "skipped", 0.0, "not reached") for name in skipped]
            _show(report, options)
            _form("chat message", lambda: tell(notify.ended(report)))


@asynccontextmanager
async def _measured(report: Report, supply: Supply) -> AsyncIterator[None]:
    """Note in the report what the run takes of the machine as long as the block runs."""
    held = sum(item.size or 0 for item in await supply.items())
    async with usage.measured() as meter:
        try:
            yield
        finally:
            if meter.memory is not None and meter.disk is not None:
                report.usage = Usage(meter.memory, meter.disk, held)


async def _checkout(folder: Path) -> Checkout | None:
    """Return the checkout that is tested; without git it is tested as well, but no evidence can name it."""
    try:
        return await checkouts.look(folder)
    except (UsageError, MachineError) as error:
        progress.warning("no evidence will be written", error.message)
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
            environment, supply = None, run.supply
            if run.platform:
                environment = run.options.environment or sample.facts().environment
            file = await gather.write(into, run.report, environment, run.models, checkout, supply, signer)
    except CIError as error:
        run.report.stages.append(StageResult("evidence", "failed", time.monotonic() - began, error.message))
        run.report.failure = _failure("evidence", error)
        raise
    promotes_nothing = f"and promotes nothing to {run.project.protected}"
    if changed := await checkouts.changes(checkout):
        progress.warning(f"the evidence is of no commit, {promotes_nothing}", f"changed: {', '.join(changed[:5])}")
    if signer is None:
        progress.warning(f"the evidence is NOT SIGNED, {promotes_nothing}", f"{envelope.KEY}_FILE names the key")
    else:
        note(f"{file} is signed by {signer.public_key.keyid}")


async def _execute(stage: Stage, run: Run, began: float, errors: Errors) -> None:
    progress.heading(stage.name)
    started = time.monotonic()
    result = StageResult(stage.name, "failed", 0.0, "interrupted", started - began)
    run.report.stages.append(result)
    try:
        await stage.execute(run)
        result.outcome, result.message = "passed", ""
    except Exception as error:
        result.message = errors.add(stage.name, error)
        if run.made_cluster is not None:
            await _diagnose(run)
        raise
    finally:
        result.seconds = time.monotonic() - started


def _failure(where: str, error: BaseException) -> Failure:
    told = failures.explained(tasks.first(error))
    return Failure(where, told.message, told.fix or "")


async def _diagnose(run: Run) -> None:
    """Collect what the cluster shows; a failure here must not hide the one that led here."""
    into = run.options.report / "diagnostics"
    with anyio.move_on_after(120):
        try:
            run.report.culprits = await diagnostics.collect(run.kubectl, into)
            for line in run.report.culprits:
                note(line)
        except Exception as error:
            note(f"no diagnostics: {_failure('', error).message}")
    note(f"logs, events and descriptions: {into}")


def _show(report: Report, options: Options) -> None:
    """Write the report in each of its forms, and print the tables."""
    into = options.report
    page = into / "report.html"
    _form("tables", lambda: Console().print(terminal.render(report)))
    _form(statement.REPORT, lambda: jsonfile.write(into / statement.REPORT, report))
    _form("junit.xml", lambda: junit.write(into / "junit.xml", report, sorted(into.glob("pytest-*.xml"))))
    _form("report.html", lambda: _write_page(page, report))
    _form("job summary", lambda: summary.append(report))
    made = any((stage.name, stage.outcome) == ("cluster", "passed") for stage in report.stages)
    if options.keep and made and report.outcome != "interrupted":
        note("the cluster was kept: python ci/main.py cluster status; python ci/main.py cluster down")


def _write_page(page: Path, report: Report) -> None:
    html.write(page, dataclasses.replace(report, files=folder.listed(page.parent, report.stages)))
    note(f"report: {page}")


def _form(name: str, write: Callable[[], object]) -> None:
    """Write one form of the report; where that fails, the others and what the run has to say are not lost."""
    try:
        write()
    except Exception as error:
        note(f"no {name}: {_failure(name, error).message}")
