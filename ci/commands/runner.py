"""How every command runs: signals cancel it, errors become one clear line and an exit code."""

import signal
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import typer
from anyio.abc import TaskStatus
from rich.markup import escape

from ci import settings, tasks
from ci.errors import CIError
from ci.progress import console, note

INTERRUPTED = 130


@contextmanager
def told() -> Iterator[None]:
    """Show an error of this tool's as one clear line.

    Raises:
        typer.Exit: With the error's exit code, after it was shown.
    """
    try:
        yield
    except CIError as error:
        _show(error)
        raise typer.Exit(error.exit_code) from None


def run_async(function: Callable[..., Awaitable[Any]], *args: object) -> Any:
    """Run an async function to its end and return what it returned.

    SIGINT and SIGTERM cancel it; its own clean-up still runs, and the exit code is 130.

    Raises:
        typer.Exit: With the error's exit code, after it was shown.
    """
    with told():
        for line in settings.begin():
            note(line)
    interrupted = False

    async def main() -> Any:
        nonlocal interrupted
        async with anyio.create_task_group() as group:

            async def listen(*, task_status: TaskStatus[None]) -> None:
                nonlocal interrupted
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    task_status.started()
                    async for number in signals:
                        if not interrupted:
                            interrupted = True
                            console.print(f"[yellow]{number.name}: stopping, cleaning up …[/yellow]")
                            group.cancel_scope.cancel()

            await group.start(listen)  # before anything is made that a signal would leave behind
            result = await function(*args)
            group.cancel_scope.cancel()
            return result

    try:
        result = anyio.run(main)
    except BaseException as error:
        cause = tasks.first(error)
        if isinstance(cause, typer.Exit):
            raise cause from None
        if not isinstance(cause, CIError):
            raise
        _show(cause)
        raise typer.Exit(INTERRUPTED if interrupted else cause.exit_code) from None
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    return result


def _show(error: CIError) -> None:
    try:
        debug = settings.debug()
    except CIError:
        debug = False  # which is the error
    console.print(f"[red bold]error:[/red bold] {escape(error.message)}")
    if error.fix:
        console.print(f"  [bold]fix:[/bold] {escape(error.fix)}")
    if error.detail and debug:
        console.print(escape(error.detail))
    elif error.detail:
        console.print("  [dim]--debug shows the whole output[/dim]")
    if debug:
        console.print(escape("".join(traceback.format_exception(error))))
