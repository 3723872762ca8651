"""What the operating system refuses, as one line that names the thing, with what to do about it."""

import contextlib
import errno
import os
import platform
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ci.base import settings
from ci.base.errors import CIError, MachineError

ELSEWHERE = "or use a folder elsewhere: --report DIR, ML_SERVING_CI_CACHE=DIR, ML_SERVING_CI_STATE=DIR, TMPDIR=DIR"
FIXES = {
    errno.ENOSPC: f"df -h {{place}}  # make room there, {ELSEWHERE}",
    errno.EDQUOT: f"quota -s  # remove files below {{place}} or have the quota raised, {ELSEWHERE}",
    errno.EROFS: f"findmnt --target {{place}}  # mounted read-only: remount it with rw, {ELSEWHERE}",
    errno.EACCES: f"ls -ld {{place}}; id  # have the permission given, {ELSEWHERE}",
    errno.EPERM: f"ls -ld {{place}}; id  # have the permission given, {ELSEWHERE}",
    errno.ENOTDIR: "Name a folder: a part of this path is a file.",
    errno.EEXIST: "Name another path: a file is in the place of this folder.",
    errno.EISDIR: "Name a file: this is a folder.",
    errno.ENAMETOOLONG: "Use a shorter path.",
    errno.ELOOP: "namei {path}  # symbolic links that lead back to themselves: name the folder itself",
    errno.EMFILE: "ulimit -n 65536  # in this shell, then run it again",
    errno.ENFILE: "sysctl fs.file-nr fs.file-max  # the whole machine has too many open files: raise fs.file-max",
    errno.EIO: "dmesg | tail  # the disk or the terminal does not answer: look at what the kernel says of it",
    errno.ETXTBSY: "fuser -v {path}  # a process still writes to this program: run it again when that is over",
    errno.ENOMEM: "free -h  # close programs or use a larger machine",
    errno.EAGAIN: "ulimit -u; systemctl show --property=TasksMax user-$(id -u).slice  # too many processes",
    errno.EFBIG: "ulimit -f  # the file system or a limit takes no larger file",
    errno.E2BIG: "Run it with fewer variables in the environment.",
    errno.ENODEV: f"findmnt --target {{place}}  # {ELSEWHERE}",
    errno.EBUSY: "fuser -vm {path}  # something is mounted there or uses it: end that, or unmount it",
}
FILE_SYSTEMS = {
    "has no locks, or its server gives none": ("ENOLCK", "EOPNOTSUPP", "ENOSYS"),
    "lost it: mount it again": ("ESTALE", "ENOTCONN", "EHOSTDOWN", "EREMOTEIO", "ETIMEDOUT", "ENXIO"),
    "is damaged: unmount it and run fsck": ("EBADMSG", "EUCLEAN"),
    "is encrypted, and its key not there": ("ENOKEY", "EKEYEXPIRED"),
}
"""What is wrong with a file system, by the system's names of what it answers then; macOS has not all of them."""
FIXES |= {
    getattr(errno, name): f"findmnt --target {{place}}  # this file system {what}, {ELSEWHERE}"
    for what, names in FILE_SYSTEMS.items()
    for name in names
    if hasattr(errno, name)
}
DAEMONS = {
    errno.ENOSPC: "docker system df  # Docker's disk, on its own machine, is full: docker system prune removes what "
    "nothing uses",
    errno.EMFILE: "sudo sysctl -w fs.inotify.max_user_instances=512  # on Docker's machine; until its next boot",
}
"""What to do where the Docker daemon met it, on whichever machine that runs."""
DAEMON = "docker info  # the daemon met it, on its own machine, likely in its Docker Root Dir"
CLIENTS = ("docker", "kind")
"""Programs that say what the daemon met."""
NOEXEC = getattr(os, "ST_NOEXEC", 0)
"""Of a file system from which no program runs; macOS has no name for it."""
HERE = Path("x")
"""For what names no file: the working folder."""
DOCTOR = "python ci/main.py doctor"
OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ESTALE)
"""What a write ends with whose file was opened before."""
SAID_BY_PROGRAMS = (
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENOEXEC, errno.ESTALE, errno.ENOLCK,
)  # fmt: skip
"""Looked for in what a failed program printed: it met the same in this machine."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of writing a file name it; the system's own name nothing, or a temporary file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextmanager
def on_disk_of(path: Path) -> Iterator[None]:
    """Have errors of a disk that name no file name this one: all that is written meanwhile goes there."""
    try:
        yield
    except OSError as error:
        if error.errno in OF_DISKS and error.filename is None:
            error.filename = str(path)
        raise


def machine(error: OSError | MemoryError) -> MachineError:
    """Return what the system refused as an error for people.

    Args:
        error: As it was raised.
    """
    if isinstance(error, MemoryError):
        return MachineError("no memory is left", fix=FIXES[errno.ENOMEM])
    said = error.strerror or str(error) or type(error).__name__
    if error.errno is None or not isinstance(error.filename, str | bytes | os.PathLike):
        return _without_path(error, said)
    path = Path(os.fsdecode(error.filename))
    try:
        known = _of_program(error.errno, path) or _of_inodes(error.errno, path)
    except OSError:  # what is refused cannot be looked at either
        known = None
    return known or MachineError(f"{path}: {said}", fix=_fix(error.errno, path))


def met_by_program(program: str, printed: str) -> str | None:
    """Return what to do where a program's own words say that its machine refused it something; else nothing.

    Args:
        program: Its name.
        printed: What it printed.
    """
    words = printed.lower()
    code = next((code for code in SAID_BY_PROGRAMS if os.strerror(code).lower() in words), None)
    if code is None:
        return None
    if program in CLIENTS:
        return DAEMONS.get(code, DAEMON)
    return (
        "df -h; df -i  # one of the file systems is full: make room there" if code == errno.ENOSPC else _fix(code, HERE)
    )


def _without_path(error: OSError, said: str) -> MachineError:
    if error.errno is None or type(error).__module__ != "builtins":  # a library's own, of the network
        return MachineError(f"{type(error).__name__}: {said}", fix=DOCTOR)
    if error.errno == errno.ENOSPC:
        full = next((place for place in _used() if os.statvfs(place).f_bavail == 0), None)
        if full is not None:
            return MachineError(f"{full}: {said}", fix=_fix(error.errno, full / "x"))
    return MachineError(said, fix=_fix(error.errno, HERE))


def _used() -> list[Path]:
    """Return the folders that files without a name may be in."""
    folders = [HERE, Path(settings.variable("TMPDIR") or "/tmp") / "x"]  # noqa: S108 - as `tempfile` has it
    with contextlib.suppress(CIError):
        folders.append(settings.cache() / "x")
        folders += [state / "x"] if (state := settings.state()) else []
    return [_place(each) for each in folders]


def _of_program(code: int, path: Path) -> MachineError | None:
    """Return why a program cannot be started, where the path is one."""
    program = Path(shutil.which(path) or path)
    if not program.is_file():
        if code == errno.ENOENT and path.name == str(path):
            return MachineError(f"{path}: no such program", fix=DOCTOR)
        return None
    again = f"rm {_quoted(program)}; python ci/main.py supply fetch  # or install it again, if it is not the supply's"
    if code == errno.ENOEXEC:
        what = "an empty file" if program.stat().st_size == 0 else f"no program for this machine ({platform.machine()})"
        return MachineError(f"{program}: {what} (Exec format error)", fix=again)
    if code == errno.ENOENT:
        return MachineError(f"{program}: its interpreter is missing: {_interpreter(program)}", fix=again)
    executable = program.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    if code == errno.EACCES and executable and os.statvfs(program).f_flag & NOEXEC:
        return MachineError(
            f"{program}: on a file system mounted noexec, from which no program runs",
            fix=f"findmnt --target {_quoted(program)}  # remount it with exec, {ELSEWHERE}",
        )
    return None


def _interpreter(program: Path) -> str:
    """Return what a script names on its first line; a compiled program's loader is not looked up."""
    with program.open("rb") as stream:
        first = stream.readline(200)
    return first[2:].decode(errors="replace").strip() if first.startswith(b"#!") else "the loader of another system"


def _fix(code: int, path: Path) -> str:
    return FIXES.get(code, DOCTOR).format(path=_quoted(path), place=_quoted(_place(path)))


def _place(path: Path) -> Path:
    """Return the nearest folder of a path that is there, as far as this process may look."""
    with contextlib.suppress(OSError):  # the working folder is gone
        for each in path.absolute().parents:
            with contextlib.suppress(OSError):  # a folder above it cannot be entered: that one is looked for
                if each.exists():
                    return each
    return Path("/")


def _of_inodes(code: int, path: Path) -> MachineError | None:
    """Return why there is no room where there is some: each file takes an inode as well."""
    if code != errno.ENOSPC:
        return None
    found = os.statvfs(_place(path))
    if found.f_files == 0 or found.f_favail > 0 or found.f_bavail == 0:  # f_files is 0 where they are no limit
        return None
    return MachineError(
        f"{path}: no inode is left for another file, though there is room",
        fix=f"df -i {_quoted(_place(path))}  # remove files there, {ELSEWHERE}",
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
