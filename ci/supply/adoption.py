"""What was in the cache before there were records: looked at as far as its pin tells what it has to be.

Each function returns what is wrong with an item, or None, given its place and the SHA-256 of each of its files.
"""

import base64
import csv
import gzip
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import zstandard
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from ci.supply import archives, pins, records
from ci.supply.pins import architecture

TAR_END = 1024
"""Bytes, all zero, that every tar ends with."""


def programs(wanted: Sequence[str], path: Path, digests: Mapping[str, str]) -> str | None:
    """Executables, built or downloaded: each that is wanted is there, and each is for this machine."""
    if gone := [name for name in wanted if name not in digests]:
        return f"{gone[0]} is missing"
    for name in digests:
        file = path / name
        if not (name and not os.access(file, os.X_OK)) and (made_for := records.machine(file)) != architecture():
            return f"{name or path.name}: " + (
                f"a program for {made_for}" if made_for else f"no program, {file.stat().st_size} bytes"
            )
    return None if digests else "it is empty"


def toolchain(path: Path, digests: Mapping[str, str]) -> str | None:
    """Go out of its wheel: all that the wheel's own list has, as it has it, and the command is for this machine."""
    lists = [name for name in digests if name.endswith(".dist-info/RECORD")]
    if len(lists) != 1:
        return "its wheel's list of files is missing"
    for name, digest, _ in csv.reader((path / lists[0]).read_text().splitlines()):
        if name not in digests:
            return f"{name} is missing"
        there = base64.urlsafe_b64encode(bytes.fromhex(digests[name])).decode().rstrip("=")
        if digest and digest != f"sha256={there}":  # it has none of itself
            return f"{name}: other bytes"
    return programs((), path, {name: digests[name] for name in digests if name.endswith("bin/go")})


def module(pin: pins.Module, _: Path, digests: Mapping[str, str]) -> str | None:
    """A Go module: the checksum of its folder is the pinned one (https://go.dev/ref/mod#go-sum-files)."""
    lines = (f"{digests[name]}  {pin.path}@{pin.version}/{name}\n" for name in sorted(digests, key=os.fsencode))
    checksum = base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()
    return None if f"h1:{checksum}" == pin.sum else f"checksum h1:{checksum}, pinned {pin.sum}"


def wheels(pin: pins.Wheels, _: Path, digests: Mapping[str, str]) -> str | None:
    """A set of wheels: each is locked, and there is one for each requirement."""
    text = pin.requirements_file.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    locked = {word.removeprefix("--hash=sha256:") for line in lines for word in line.split() if "--hash=" in word}
    for name, digest in digests.items():
        if digest not in locked:
            return f"{name}: not the wheel that is locked"
    there = {parse_wheel_filename(name)[0] for name in digests}
    for line in lines:
        wanted = Requirement(line.partition(" --hash=")[0].strip())
        applies = wanted.marker is None or wanted.marker.evaluate({"python_version": pin.interpreter})
        if applies and canonicalize_name(wanted.name) not in there:
            return f"{wanted.name} is missing"
    return None


def layer(path: Path, _: Mapping[str, str]) -> str | None:
    """A compressed layer: whole to the end of its tar."""
    end = b""
    try:
        with zstandard.open(path, "rb") if path.suffix == ".zstd" else gzip.open(path, "rb") as stream:
            while chunk := stream.read(1 << 20):
                end = (end + chunk)[-TAR_END:]
    except (*archives.BROKEN, zstandard.ZstdError, OSError) as error:
        return f"no whole layer: {error}"
    return None if end == bytes(TAR_END) else f"no whole layer: {path.stat().st_size} bytes"
