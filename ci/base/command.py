"""The one runner of other programs: argument lists, deadlines, clean cancellation, redacted errors."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import anyio
import anyio.abc

from ci.base import oserrors, programs
from ci.base.errors import CommandError, MachineError
from ci.base.progress import note

GRACE_SECONDS = 5.0
TELL_SECONDS = 25.0
"""How long a program may run before a line says that it still does."""
TAIL_BYTES = 1 << 16
LONGEST_LINE = 200


@dataclass(frozen=True)
class Result:
    """What a program that ended left.

    Attributes:
        argv: The command, redacted.
        returncode: Its exit code.
        stdout: What it printed.
        stderr: What it printed to standard error; empty when it went to a log file.
        seconds: How long it ran.
        raw: Standard output byte for byte, not redacted: for a program whose output is a file's content.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    raw: bytes = field(default=b"", repr=False)


def redacted(text: str, secrets: Sequence[str]) -> str:
    """Return `text` with each of `secrets` replaced by ***."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text


async def start(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.PIPE,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> anyio.abc.Process:
    """Start one program, with the environment that `programs` has for it; whoever starts it stops it.

    The program gets a process group of its own: Ctrl-C reaches only this tool, which then stops the whole group.

    Args:
        argv: The command as an argument list; no shell sees it.
        cwd: The folder it runs in.
        env: Variables that it gets beside those of the table.
        stdin: As of `subprocess`.
        stdout: As of `subprocess`.
        stderr: As of `subprocess`.

    Raises:
        MachineError: There is no such program, or the system refuses to start it.
    """
    words = [str(word) for word in argv]
    try:
        return await anyio.open_process(
            words,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env={**programs.environment(words), **(env or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise oserrors.machine(error) from error


async def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float | None = None,
    log: Path | None = None,
    secrets: Sequence[str] = (),
) -> Result:
    """Run one program to its end.

    Args:
        argv: The command as an argument list; no shell sees it.
        cwd: The folder it runs in.
        env: Variables that it gets beside those of the table.
        stdin: What it reads; nothing by default.
        check: Raise when the exit code is not 0.
        timeout: Deadline in seconds.
        log: File that gets standard output and standard error, appended, instead of the result.
        secrets: Strings that no error or result may show.

    Returns:
        The ended program's result.

    Raises:
        CommandError: The exit code is not 0 (with `check`), or the deadline passed.
        MachineError: There is no such program, or the system refuses to start it.
    """
    words = [str(word) for word in argv]
    shown = [redacted(word, secrets) for word in words]
    started = time.monotonic()
    sink = _begun(log, shown) if log is not None else None
    begin = sink.tell() if sink is not None else 0
    try:
        process = await start(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=sink if sink is not None else subprocess.PIPE,
            stderr=subprocess.STDOUT if sink is not None else subprocess.PIPE,
        )
        out, err = bytearray(), bytearray()
        timed_out = False
        try:
            with anyio.move_on_after(timeout) as scope:
                async with _telling(Path(shown[0]).name, log, secrets), anyio.create_task_group() as group:
                    if stdin is not None and process.stdin is not None:
                        group.start_soon(_feed, process.stdin, stdin.encode() if isinstance(stdin, str) else stdin)
                    if process.stdout is not None:
                        group.start_soon(_drain, process.stdout, out)
                    if process.stderr is not None:
                        group.start_soon(_drain, process.stderr, err)
                    await process.wait()
            timed_out = scope.cancelled_caught
        finally:
            await stop(process)
    finally:
        if sink is not None:
            sink.close()
    seconds = time.monotonic() - started
    stdout = redacted(out.decode(errors="replace"), secrets)
    stderr = redacted(err.decode(errors="replace"), secrets)
    if log is not None and (timed_out or process.returncode):
        stderr = redacted(tail(log, begin=begin), secrets)
    if timed_out or (check and process.returncode != 0):
        code = None if timed_out else process.returncode
        failed = CommandError(shown, code, stdout, stderr, seconds=seconds, log=log)
        if (fix := oserrors.met_by_program(programs.name(words), stderr)) is not None:
            failed.fix, failed.exit_code = fix, MachineError.exit_code
        raise failed
    assert process.returncode is not None
    return Result(tuple(shown), process.returncode, stdout, stderr, seconds, bytes(out))


async def pour(argv: Sequence[str | Path], take: Callable[[bytes], None], *, stall: float) -> None:
    """Run one program to its end and hand on its standard output as it comes.

    Args:
        argv: The command as an argument list; no shell sees it.
        take: Is given each piece.
        stall: Seconds without a byte after which it is stopped.

    Raises:
        CommandError: The exit code is not 0, or nothing came for that long.
        MachineError: There is no such program, or the system refuses to start it.
    """
    started = time.monotonic()
    process = await start(argv, stdin=subprocess.DEVNULL)
    err, stalled = bytearray(), False
    try:
        assert process.stdout is not None and process.stderr is not None
        async with anyio.create_task_group() as group:
            group.start_soon(_drain, process.stderr, err)
            with anyio.move_on_after(stall) as scope:
                async for piece in process.stdout:
                    take(piece)
                    scope.deadline = anyio.current_time() + stall
                await process.wait()
            stalled = scope.cancelled_caught
            await stop(process)
    finally:
        await stop(process)
    if stalled or process.returncode:
        code = None if stalled else process.returncode
        words = [str(word) for word in argv]
        raise CommandError(words, code, "", err.decode(errors="replace"), seconds=time.monotonic() - started)


@asynccontextmanager
async def _telling(program: str, log: Path | None, secrets: Sequence[str]) -> AsyncIterator[None]:
    """Say now and then, as long as the block runs, that a program does, and the last line of its log."""
    started = time.monotonic()

    async def tell() -> None:
        while True:
            await anyio.sleep(TELL_SECONDS)
            last = f": {redacted(tail(log, 1), secrets)[:LONGEST_LINE]}" if log is not None else ""
            note(f"{program} runs for {time.monotonic() - started:.0f} s{last}")

    async with anyio.create_task_group() as group:
        group.start_soon(tell)
        yield
        group.cancel_scope.cancel()


def tail(log: Path, lines: int = 30, *, begin: int = 0) -> str:
    """Return the last lines of a log file.

    Args:
        log: The file; only its end is read.
        lines: How many at most.
        begin: Where in the file they may begin, in bytes.
    """
    with log.open("rb") as file:
        file.seek(max(begin, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _begun(log: Path, shown: Sequence[str]) -> IO[bytes]:
    """Open a log for one more program, whose command it gets first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with oserrors.naming(log):
        sink = log.open("ab", buffering=0)
        try:
            sink.write(os.fsencode(f"$ {shlex.join(shown)}\n"))
        except OSError:
            sink.close()
            raise
    return sink


async def _feed(stream: anyio.abc.ByteSendStream, data: bytes) -> None:
    async with stream:
        try:
            await stream.send(data)
        except anyio.BrokenResourceError:
            return  # the program closed its input early; its exit code tells why


async def _drain(stream: anyio.abc.ByteReceiveStream, into: bytearray) -> None:
    async for chunk in stream:
        into.extend(chunk)


async def stop(process: anyio.abc.Process) -> None:
    """Stop a program that leads its own process group, and the whole group, if it still runs; politely first."""
    if process.returncode is not None:
        return
    with anyio.CancelScope(shield=True):
        _signal_group(process.pid, signal.SIGTERM)
        with anyio.move_on_after(GRACE_SECONDS):
            await process.wait()
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return  # ended in between
