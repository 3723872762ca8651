"""What the cache keeps is there when its record says so.

A record is written last, when its item is whole: each file with its size, its digest, and how the file system knew it
then. As long as that still agrees, the bytes are taken for the same; where it does not (a cleaner, a copy, a restored
cache), they are hashed again and compared with the digest.
"""

import contextlib
import errno
import functools
import hashlib
import os
import stat
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import pydantic

from ci.base import files, paths
from ci.supply import partial, pins
from ci.supply.pins import architecture

VERSION = 1
MACHINES = {62: "amd64", 183: "arm64"}
"""Of an ELF header (e_machine)."""
Known = tuple[int, int, int, int, bool]
"""Of a file, as the file system has it: size, time of its bytes, time of its attributes, inode, executable or not."""
T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """What an item consists of, by path in it; a file alone has the empty path."""

    files: dict[str, Known] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Head:
    """The first line of a record: all that is read of it while nothing has changed.

    Attributes:
        version: Of this form.
        architecture: What the item is for, or nothing where it is the same for all.
        stamp: Digest of what the file system knows of it.
    """

    version: int
    architecture: str
    stamp: str

    @classmethod
    def of(cls, kept: "Kept", found: Listing) -> "Head":
        """Return that of an item as it is now."""
        stamp = hashlib.sha256(repr(found).encode(errors="surrogateescape")).hexdigest()
        return cls(VERSION, "" if kept.anywhere else architecture(), stamp)


@dataclass(frozen=True)
class Contents:
    """The second line: what was put there.

    Attributes:
        listing: What it consists of.
        digests: SHA-256 of each file.
    """

    listing: Listing
    digests: dict[str, str]


def nothing_known(_: Path, __: Mapping[str, str]) -> str | None:
    """Say of an item without a record that it cannot be told from another: it is made again."""
    return "it has no record"


@dataclass(frozen=True)
class Kept:
    """Something that the cache keeps.

    Attributes:
        what: For people ("helm").
        path: A file or a folder, or a link to one.
        fault: What is wrong with one that has no record, given its place and the digests of its files; or None. One
            that an earlier version of this tool put there has none, nor has one whose maker was killed just then.
        anywhere: Whether it is the same on each architecture.
    """

    what: str
    path: Path
    fault: Callable[[Path, Mapping[str, str]], str | None] = nothing_known
    anywhere: bool = False


class Records:
    """The records of one cache.

    Args:
        cache: The cache folder.
        state: Folder for the records of a cache that cannot be written.
    """

    def __init__(self, cache: Path, state: Path) -> None:
        self.cache = cache
        self.writable = paths.writable(cache)
        self.folders = [cache] if self.writable else [state / "caches" / pins.key(str(cache)), cache]

    def fault(self, kept: Kept, *, verify: bool = False) -> str | None:
        """Return what is wrong with an item in the cache, or None if it is what was put there.

        Args:
            kept: The item.
            verify: Hash all of it, whatever the file system says.
        """
        try:
            found = listing(kept.path)
            head, contents = self._read(kept)
            wanted = Head.of(kept, found)
            if head == wanted and not verify:
                return None
            if head is None or head.version != VERSION:
                digests = _digests(kept.path, found)
                fault = kept.fault(kept.path.resolve(), digests)
            elif head.architecture != wanted.architecture:
                return f"it is for {head.architecture}"
            else:
                put = _adapter(Contents).validate_json(contents)
                digests = put.digests
                fault = _difference(kept.path, put, found, verify=verify)
        except FileNotFoundError:
            return "it is gone"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        except ValueError:
            return "its record is broken"
        if fault is None and head != wanted:
            with contextlib.suppress(OSError):  # nowhere to write it: it is hashed again the next time
                self.write(self._name(kept), wanted, Contents(found, digests))
        return fault

    def add(self, kept: Kept) -> None:
        """Write the record of an item that is whole."""
        found = listing(kept.path)
        head = Head.of(kept, found)
        self.write(self._name(kept), head, Contents(found, _digests(kept.path, found)))

    def forget(self, kept: Kept) -> None:
        """Delete an item, then its record: where it cannot be deleted, it stays known for what it is not."""
        partial.remove(kept.path)
        partial.remove(self.cache / self._name(kept))

    def read(self, name: str, kind: type[T]) -> T | None:
        """Return what `write` wrote, by its path in the cache, or None where there is nothing.

        Raises:
            ValueError: It does not hold a `kind`.
        """
        data = self._bytes(name)
        return None if data is None else cast(T, _adapter(kind).validate_json(data))  # type: ignore[arg-type] # a class has a hash

    def write(self, name: str, *parts: object) -> None:
        """Write something by its path in the cache; where that cannot be written, beside the state.

        Args:
            name: The path.
            parts: A line each.
        """
        with partial.file(self.folders[0] / name) as aside:
            lines = (_adapter(type(part)).dump_json(part) for part in parts)  # type: ignore[arg-type]
            aside.write_bytes(b"\n".join(lines))

    def _bytes(self, name: str) -> bytes | None:
        for folder in self.folders:
            try:
                return (folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
        return None

    def _read(self, kept: Kept) -> tuple[Head | None, bytes]:
        data = self._bytes(self._name(kept))
        if data is None:
            return None, b""
        head, _, contents = data.partition(b"\n")
        return _adapter(Head).validate_json(head), contents

    def _name(self, kept: Kept) -> str:
        return f"records/{kept.path.relative_to(self.cache).as_posix()}.json"


@functools.cache
def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def listing(path: Path) -> Listing:
    """Return every file and link of an item as the file system knows it.

    Raises:
        OSError: It is not there.
    """
    root = os.path.realpath(path)
    found = Listing()
    if not stat.S_ISDIR((status := Path(root).stat()).st_mode):
        found.files[""] = _known(status)
        return found
    start = len(root) + 1
    folders = [root]
    while folders:  # of some fifty thousand files: os is faster than pathlib here
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_symlink():
                    found.links[entry.path[start:]] = str(Path(entry.path).readlink())
                else:
                    found.files[entry.path[start:]] = _known(entry.stat(follow_symlinks=False))
    return found


def machine(path: Path) -> str:
    """Return the architecture that a program in ELF is for; of anything else nothing."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return ""
    (number,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:])
    return MACHINES.get(number, f"machine {number}")


def _known(status: os.stat_result) -> Known:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a folder")  # to open a pipe would wait for its other end
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, bool(status.st_mode & 0o111)


def _digests(path: Path, found: Listing) -> dict[str, str]:
    return {name: files.sha256(path / name) for name in found.files}


def _difference(path: Path, put: Contents, found: Listing, *, verify: bool) -> str | None:
    """Return what of an item is not as it was put there, or None."""
    known = put.listing
    if ("" in known.files) != ("" in found.files):
        return "it is a folder" if "" in known.files else "it is a file"
    if gone := {**known.files, **known.links}.keys() - {**found.files, **found.links}.keys():
        return f"{min(gone)} is missing"
    if more := {**found.files, **found.links}.keys() - {**known.files, **known.links}.keys():
        return f"{min(more)} is not of it"
    for name, target in found.links.items():
        if known.links.get(name) != target:
            return f"{name} is a link to {target}"
    for name, now in found.files.items():
        then = known.files.get(name)
        if then == now and not verify:
            continue
        where = f"{name}: " if name else ""
        if then is None:
            return f"{where}no link"
        if now[0] != then[0] or files.sha256(path / name) != put.digests.get(name):
            return where + _described(path / name, then[0])
        if now[-1] != then[-1]:
            return f"{where}{'not ' if then[-1] else ''}executable"
    return None


def _described(path: Path, size: int) -> str:
    if (made_for := machine(path)) and made_for != architecture():
        return f"a program for {made_for}"
    now = path.stat().st_size
    return f"{now} bytes" if now != size else "other bytes"
