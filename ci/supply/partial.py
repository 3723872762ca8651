"""What is made aside and becomes itself once it is whole; what a killed process left of it is swept.

Its maker holds a lock of the kernel's on it. So whoever comes later can tell what is still being made from what is
left over, whatever process number the maker had and in whichever container it ran.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ci.base import oserrors

LOCKED = re.compile(r".*\.partial-[0-9a-f]{12}")
"""Of one whose maker holds a lock on it; those of earlier versions did not, and wrote their process number there."""
UNKNOWN_SECONDS = 24 * 3600
"""Of what cannot be told whether somebody makes it: so old, it is left over."""


@contextlib.contextmanager
def folder(final: Path) -> Iterator[Path]:
    """Yield a folder beside `final` that becomes it when the block ends well, and vanishes otherwise."""
    with oserrors.on_disk_of(final), _made(final.parent, final.name, Path.mkdir) as aside:
        yield aside
        aside.rename(final)


@contextlib.contextmanager
def file(final: Path) -> Iterator[Path]:
    """Yield an empty file beside `final` that becomes it when the block ends well, and vanishes otherwise."""
    with oserrors.on_disk_of(final), _made(final.parent, final.name, Path.touch) as aside:
        yield aside
        aside.replace(final)


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Yield a folder to work in that vanishes when the block ends."""
    with oserrors.on_disk_of(parent), _made(parent, "", Path.mkdir) as aside:
        yield aside


def link(path: Path, target: Path) -> None:
    """Make a symbolic link, or turn one to another target; at no time is there none."""
    with scratch(path.parent) as work:
        (work / path.name).symlink_to(target)
        if path.is_dir() and not path.is_symlink():
            remove(path)  # a folder in its place would stay
        (work / path.name).replace(path)


def remove(path: Path) -> None:
    """Delete a file, a link or a folder, read-only ones as well."""
    if path.is_dir() and not path.is_symlink():
        for inner, _, _ in os.walk(path):
            Path(inner).chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sweep(parent: Path) -> list[Path]:
    """Delete what was being made in a folder by processes that are gone, and return what that was."""
    if not parent.is_dir():
        return []
    swept = []
    with _locked(parent):
        for path in sorted(parent.glob(".*")):
            if ".partial-" in path.name and _left_over(path):
                with contextlib.suppress(OSError):  # another user's
                    remove(path)
                    swept.append(path)
    return swept


def _left_over(path: Path) -> bool:
    if LOCKED.fullmatch(path.name):
        try:
            with _locked(path, fcntl.LOCK_NB):
                return True
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without such locks
    return time.time() - path.lstat().st_mtime > UNKNOWN_SECONDS


@contextlib.contextmanager
def _made(parent: Path, name: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make something aside and hold its lock as long as the block runs."""
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f"{'.' if name else ''}{name}.partial-{secrets.token_hex(6)}"
    with contextlib.ExitStack() as held:
        # or it would be swept before its lock is held; in what is being made nobody sweeps, and its lock is held
        with contextlib.nullcontext() if LOCKED.fullmatch(parent.name) else _locked(parent):
            make(aside)
            with contextlib.suppress(OSError):
                held.enter_context(_locked(aside, fcntl.LOCK_NB))
        try:
            yield aside
        finally:
            if aside.exists():
                remove(aside)


@contextlib.contextmanager
def _locked(path: Path, flag: int = 0) -> Iterator[None]:
    """Hold the kernel's lock on a file or folder; it goes with the process, however that ends."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its other end
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | flag)
        except OSError:
            if flag:
                raise
            # a file system without such locks: makers and sweepers take no turns, and nothing young is swept
        yield
    finally:
        os.close(descriptor)
