"""Locks between processes: one at a time, and who waits says for whom."""

import contextlib
import fcntl
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

from ci.base import oserrors, progress
from ci.base.errors import MachineError, WaitTimeoutError
from ci.base.wait import NotYet, until

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
        lock = await _acquire(file, what, timeout)
        try:
            with _told(file):
                yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)


async def _acquire(file: Path, what: str, timeout: float) -> int:
    said_at = time.monotonic() + QUIET_SECONDS

    async def acquire() -> int:
        nonlocal said_at
        with oserrors.naming(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = _take(file)
        if lock is None:
            holder = _who(file)
            if time.monotonic() >= said_at:
                said_at = math.inf
                progress.note(f"waiting for {what}: {holder} works on it")
            raise NotYet(f"{holder} works on it")
        return lock

    try:
        return await until(what, acquire, timeout=timeout, interval=LOOK_SECONDS)
    except WaitTimeoutError as error:
        raise MachineError(
            f"{what}: {error.last}, and has for {timeout:.0f} s", fix=f"Wait for it, or end it; its lock is {file}"
        ) from error


def _take(file: Path) -> int | None:
    """Return the descriptor that holds a lock of the kernel's, or None while another process does; it goes with both.

    A lock without the kernel's help would stay when its holder is killed: there is none where the file system has none.
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError:
        lock = os.open(file, os.O_RDONLY | flags)  # another user's: to hold it one need not write it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return lock


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


def _is_seen(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _who(file: Path) -> str:
    """Say which process holds a lock, as far as it wrote that down."""
    try:
        holder = json.loads(_holder(file).read_text())
        if holder["host"] == socket.gethostname() and not _is_seen(int(holder["pid"])):
            return "another process"  # of another PID namespace, or of a user who could not write its name
        since = datetime.fromtimestamp(holder["since"]).astimezone()
        elsewhere = "" if holder["host"] == socket.gethostname() else f" on {holder['host']}"
        return f"process {holder['pid']}{elsewhere} ({holder['command']}, since {since:%H:%M:%S})"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process"
