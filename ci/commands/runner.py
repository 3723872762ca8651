"""How every command runs: signals cancel it, errors become one clear line and an exit code."""

import signal
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import typer
from anyio.abc import TaskStatus

from ci.base import failures, progress, settings, tasks
from ci.base.errors import CIError, ToldError
from ci.base.text import legal

INTERRUPTED = 130
PASSED_ON = (typer.Exit, typer.Abort, typer.BadParameter, SystemExit)
"""What the command line's own library ends a command with."""


def run_async(function: Callable[..., Awaitable[Any]], *args: object) -> Any:
    """Run an async function to its end and return what it returned.

    SIGINT, SIGTERM and SIGHUP cancel it; its own clean-up still runs, which no further signal ends, and the exit code
    is 130.

    Raises:
        typer.Exit: With the error's exit code, after it was shown.
    """
    interrupted = False

    async def main() -> Any:
        nonlocal interrupted
        cancelled = anyio.CancelScope()

        async def listen(*, task_status: TaskStatus[None]) -> None:
            nonlocal interrupted
            with anyio.open_signal_receiver(*_signals()) as signals:
                task_status.started()
                async for number in signals:
                    again = "still " if interrupted else ""
                    progress.warning(f"{number.name}: {again}stopping, cleaning up …")
                    interrupted = True
                    cancelled.cancel()

        async with anyio.create_task_group() as group:
            await group.start(listen)  # before anything is made that a signal would leave behind
            result = None
            with cancelled:
                result = await function(*args)
            group.cancel_scope.cancel()
            return result

    try:
        for line in settings.begin():
            progress.note(line)
        result = anyio.run(main)
    except BaseException as error:
        code = show(error)
        raise typer.Exit(INTERRUPTED if interrupted else code) from None
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    return result


def show(error: BaseException) -> int:
    """Show what ended a command, the first error first, each in one line, and return the exit code.

    What was told when it happened is not told again: a line says where it was.

    Args:
        error: What was raised.

    Raises:
        typer.Exit: It was that, or another of the command line's library.
    """
    first, *later = tasks.leaves(error)
    before = first if isinstance(first, ToldError) else None
    first = before.cause if before else first
    if isinstance(first, PASSED_ON):
        raise first from None
    if isinstance(first, KeyboardInterrupt):
        return INTERRUPTED
    try:
        debug = settings.debug()
    except CIError:
        debug = False  # which is the error
    told = failures.explained(first)
    if before is not None:
        progress.note(before.message)
    else:
        progress.failure(told.message, told.fix)
    if told.detail and debug:
        progress.shown(legal(told.detail))
    elif told.detail:
        progress.shown(("  --debug shows the whole output", "dim"))
    for each in later:
        progress.note(f"then: {failures.explained(each).message}")
    if debug:
        progress.shown(legal("".join(traceback.format_exception(error))))
    return told.exit_code


def _signals() -> list[signal.Signals]:
    """Return what stops a command; under nohup the end of the terminal does not."""
    gone = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *gone]
