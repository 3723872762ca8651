"""Locks between processes: one at a time, and who waits says for whom."""

import contextlib
import json
import math
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import filelock

from ci import oserrors, progress
from ci.errors import MachineError, WaitTimeoutError
from ci.wait import NotYet, until

LONGEST_SECONDS = 3600.0
"""More than any build that a lock is held for."""
QUIET_SECONDS = 2.0
"""A wait of less is not worth a line; of longer ones `until` goes on to tell."""
LOOK_SECONDS = 0.2
_here: anyio.lowlevel.RunVar[dict[Path, anyio.Lock]] = anyio.lowlevel.RunVar("locks of this process")


@contextlib.asynccontextmanager
async def exclusive(file: Path, what: str, *, timeout: float = LONGEST_SECONDS) -> AsyncIterator[None]:
    """Hold a lock: against the other tasks of this process, then against every other process on this machine.

    Args:
        file: The lock; its folder is made where it is missing. Beside it is written who holds it.
        what: What it guards, for the one who waits ("helm").
        timeout: Deadline in seconds.

    Raises:
        MachineError: Another process holds it until the deadline.
        OSError: No lock can be written there.
    """
    async with _of_this_process(file):
        lock = filelock.FileLock(file)
        await _acquire(lock, file, what, timeout)
        try:
            with _told(file):
                yield
        finally:
            lock.release()


async def _acquire(lock: filelock.BaseFileLock, file: Path, what: str, timeout: float) -> None:
    said_at = time.monotonic() + QUIET_SECONDS

    async def acquire() -> None:
        nonlocal said_at
        with oserrors.naming(file):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire(blocking=False)
            except filelock.Timeout:
                holder = _who(file)
                if time.monotonic() >= said_at:
                    said_at = math.inf
                    progress.note(f"waiting for {what}: {holder} works on it")
                raise NotYet(f"{holder} works on it") from None

    try:
        await until(what, acquire, timeout=timeout, interval=LOOK_SECONDS)
    except WaitTimeoutError as error:
        raise MachineError(
            f"{what}: {error.last}, and has for {timeout:.0f} s", fix=f"Wait for it, or end it; its lock is {file}"
        ) from error


def _of_this_process(file: Path) -> anyio.Lock:
    try:
        locks = _here.get()
    except LookupError:
        locks = {}
        _here.set(locks)
    return locks.setdefault(file, anyio.Lock())


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    """Have the holder's name beside a lock as long as the block runs; who waits does without where a disk is full."""
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
    with contextlib.suppress(OSError):
        _holder(file).write_text(json.dumps({**holder, "command": " ".join(sys.argv)[:200]}))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder(file).unlink()


def _holder(file: Path) -> Path:
    return file.with_suffix(".holder")


def _who(file: Path) -> str:
    """Say which process holds a lock, as far as it wrote that down."""
    try:
        holder = json.loads(_holder(file).read_text())
        since = datetime.fromtimestamp(holder["since"]).astimezone()
        elsewhere = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
        return f"process {holder['pid']}{elsewhere} ({holder['command']}, since {since:%H:%M:%S})"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
