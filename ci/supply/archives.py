"""Archives: what comes out of one stays in its place, and is no larger than it may be."""

import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from ci.base.errors import MachineError

LARGEST = 1 << 30
"""Bytes; no file of any archive that is opened here has half as many."""
BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


def take(archive: Path, member: str, target: Path) -> None:
    """Copy exactly one regular file out of an archive; nothing else of it is written anywhere.

    Args:
        archive: A zip, or a tar in any compression.
        member: The file's path in it.
        target: Where it goes.

    Raises:
        MachineError: It is not there or too large, or the archive is broken.
    """
    try:
        (_from_zip if zipfile.is_zipfile(archive) else _from_tar)(archive, member, target)
    except BROKEN as error:
        raise MachineError(f"{archive.name}: no whole archive: {error}") from error


def _from_zip(archive: Path, member: str, target: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        info = next((info for info in packed.infolist() if info.filename == member), None)
        if info is None:
            raise MachineError(f"{archive.name}: no file {member} in it")
        _require_size(member, info.file_size)
        with packed.open(info) as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)


def _from_tar(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as packed:
        for info in packed:
            _require_size(info.name, info.size)  # of those before the member as well: they are read through
            if info.isreg() and info.name.removeprefix("./") == member:
                stream = packed.extractfile(info)
                assert stream is not None
                with target.open("wb") as out:
                    shutil.copyfileobj(stream, out, 1 << 20)
                return
    raise MachineError(f"{archive.name}: no file {member} in it")


def is_whole_zip(archive: Path) -> bool:
    """Return whether a zip can be read to its end, each file of it with its checksum."""
    try:
        with zipfile.ZipFile(archive) as packed:
            return packed.testzip() is None
    except (*BROKEN, OSError):
        return False


def unpack_wheel(wheel: Path, folder: Path) -> None:
    """Unpack a wheel with its executable bits, which zipfile leaves out.

    Raises:
        MachineError: A file of it would go elsewhere or is too large, before anything is written; or it is broken.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                _require_inside(folder, info.filename)
                _require_size(info.filename, info.file_size)
            for info in archive.infolist():
                path = Path(archive.extract(info, folder))
                if not info.is_dir():
                    path.chmod((info.external_attr >> 16) & 0o777 or 0o644)
    except BROKEN as error:
        raise MachineError(f"{wheel.name}: no whole wheel: {error}") from error


def unpack_root(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack the files and links of a root folder, whose absolute links are meant; devices are of no use here.

    Raises:
        MachineError: A file would go elsewhere, be it through a link before it, or is too large; or the tar is broken.
    """
    # Debian 12's own Python has no filters yet, and the others' refuse absolute links
    tar.extraction_filter = staticmethod(lambda member, _: member)
    try:
        for member in tar:
            if member.isdir() or member.isreg() or member.issym() or member.islnk():
                _require_inside(folder, member.name)
                _require_size(member.name, member.size)
                if member.islnk():
                    _require_inside(folder, member.linkname)
                tar.extract(member, folder)
    except (
        *BROKEN,
        KeyError,
        RecursionError,
    ) as error:  # the last two: tarfile looks for what a link cannot be made to
        raise MachineError(f"{folder.name}: no whole root: {error}") from None


def _require_inside(folder: Path, name: str) -> None:
    if not Path(os.path.realpath(folder / name)).is_relative_to(os.path.realpath(folder)):  # loops do not stop it
        raise MachineError(f"{name}: would be unpacked outside of {folder}")


def _require_size(name: str, size: int) -> None:
    if size > LARGEST:
        raise MachineError(f"{name}: {size} bytes in an archive; at most {LARGEST} are unpacked")
