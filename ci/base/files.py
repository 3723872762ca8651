"""A report file is there whole or not at all, even when the run is killed while it writes."""

import errno
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from ci.base import oserrors
from ci.base.errors import UsageError


def write(path: Path, data: bytes) -> None:
    """Write `data` beside `path` and rename it into place; a link stays one, and so does what is no file (/dev/stdout).

    Args:
        path: The file; its folder is made where it is missing.
        data: Its whole content.
    """
    if (stream := _stream(path)) is not None:
        with oserrors.naming(path), stream:
            stream.write(data)
        return
    write_all({path: data})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write regular files, each beside its place, and rename them when all are there; links stay links.

    Args:
        contents: File to its whole content; folders are made where they are missing.
    """
    targets = {Path(os.path.realpath(path)): data for path, data in contents.items()}
    for target in targets:
        with oserrors.naming(target):
            if target.is_dir():  # its rename would tell so when others are done
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    asides: dict[Path, Path] = {}
    try:
        for target, data in targets.items():
            with oserrors.naming(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as aside:
                    asides[target] = Path(aside.name)
                    aside.write(data)
                asides[target].chmod(0o644)
        for target, written in asides.items():
            with oserrors.naming(target):
                written.replace(target)
    except BaseException:
        for written in asides.values():
            written.unlink(missing_ok=True)
        raise


def require_own(folder: Path, paths: Iterable[str]) -> None:
    """Refuse to change another file than the one that is named: what is a link, or in a folder that leads out.

    Args:
        folder: Whose files they are.
        paths: From there; they need not be there.

    Raises:
        UsageError: One is such; it is named.
    """
    top = os.path.realpath(folder)
    for path in paths:
        file = folder / path
        parent = Path(os.path.realpath(file.parent))
        if not parent.is_relative_to(top):
            said = f"{PurePosixPath(path).parent}: a link that leads out of the project, to {parent}"
            raise UsageError(said, fix="Have a folder there itself.")
        if file.is_symlink():
            raise UsageError(f"{path}: a link, to {file.readlink()}", fix="Have a file there itself.")


def _stream(path: Path) -> IO[bytes] | None:
    """Open what is no file to be replaced: a device, a pipe, or wherever this process's own output goes."""
    try:
        there = path.stat()
    except OSError:
        return None
    if os.path.samestat(there, os.fstat(1)):
        sys.stdout.flush()
        return os.fdopen(os.dup(1), "wb")
    return None if stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode) else path.open("ab")


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    with oserrors.naming(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
