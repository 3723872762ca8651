"""Python packages as an image layer: locked wheels, less what no server reads, with the bytecode that a start needs."""

import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import zstandard

from ci.base import command
from ci.base.errors import MachineError
from ci.supply import archives, download
from ci.supply.pins import Wheels
from ci.supply.source import layers

DROPPED = ("tests", "include", "bin")
"""Folders of a package that only its developers read."""
DROPPED_SUFFIXES = (".pyi", ".pxd", ".pyx", ".h", ".c", ".f90", ".a")
BYTECODE = """
import importlib, importlib.util, os, py_compile, sys
site, layer, root, *names = sys.argv[1:]
for name in names:
    importlib.import_module(name)
for file in {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}:
    if file.endswith(".py") and not os.path.exists(compiled := importlib.util.cache_from_source(file)):
        inside = layer + file.removeprefix(site) if file.startswith(site) else file.removeprefix(root)
        py_compile.compile(
            file,
            compiled,
            inside,
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
"""
"""Run by the image's interpreter: imports modules, and writes the bytecode of all that came with them and has none yet,
under the names that their files have in the image. No time stamp and no path of this machine is in it."""
BOTOCORE_SERVICES = ("s3", "sts", "sso", "sso-oidc")
"""Of the 400 descriptions of AWS services in botocore's data, those that reading from S3 needs."""


async def wheels_layer(pin: Wheels, folder: Path, below: Sequence[Path], out: Path, log: Path) -> None:
    """Install wheels for an image and write them as a layer.

    The image's own interpreter, run out of its root by that root's own dynamic loader, imports `pin.imports` once:
    that proves the set complete, and leaves the bytecode of exactly what a start reads. Without it each container
    would compile some three thousand modules before its first answer.

    Args:
        pin: Where the wheels go, the interpreter they are for and what is imported.
        folder: The downloaded wheels, already checked against their hashes.
        below: The layers that it lies on: the Debian root that holds the interpreter, then those of `pin.base`.
        out: The layer, an uncompressed tar.
        log: Gets the output of pip and of the interpreter.
    """
    with tempfile.TemporaryDirectory(dir=out.parent) as work:
        site, unpacked = Path(work, "site"), Path(work, "root")
        await command.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-index",
                "--no-deps",
                "--no-compile",
                *download.target(pin.python),
                "--target",
                site,
                *sorted(folder.glob("*.whl")),
            ],
            log=log,
            timeout=900,
        )
        await anyio.to_thread.run_sync(_prune, site)
        for layer in below:
            await anyio.to_thread.run_sync(_unpack, layer, unpacked)
        there = set(unpacked.rglob("*.pyc"))
        await _compile(pin, unpacked, site, log)
        bytecode = {f"/{file.relative_to(unpacked)}": file for file in {*unpacked.rglob("*.pyc")} - there}
        await anyio.to_thread.run_sync(layers.from_files, {pin.layer: site, **bytecode}, {}, (), out, None)


def _prune(site: Path) -> None:
    """Delete what nothing reads."""
    for path in _walk(site):
        if path.is_dir():
            data = path.parent.name == "data" and path.parent.parent.name == "botocore"
            if path.name in DROPPED or (data and path.name not in BOTOCORE_SERVICES):
                shutil.rmtree(path)
        elif path.suffix in DROPPED_SUFFIXES:
            path.unlink()


def _walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder; a yielded folder may be deleted before its inside is looked at."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir():
            yield from _walk(path)


def _unpack(layer: Path, folder: Path) -> None:
    with (
        zstandard.open(layer, "rb") if layer.suffix == ".zstd" else layer.open("rb") as stream,
        tarfile.open(fileobj=stream, mode="r|*") as tar,
    ):
        archives.unpack_root(tar, folder)


async def _compile(pin: Wheels, root: Path, site: Path, log: Path) -> None:
    libraries = next((path for path in sorted(root.glob("usr/lib/*-linux-gnu")) if path.is_dir()), None)
    if libraries is None:
        raise MachineError(f"{pin.root}: no C library in this root", fix="add libc6 to its packages in pins.toml")
    loader = next(iter(sorted(libraries.glob("ld-linux-*.so.*"))))
    await command.run(
        [
            loader,
            "--library-path",
            libraries,
            root / f"usr/bin/python{pin.python}",
            "-s",
            "-c",
            BYTECODE,
            site,
            pin.layer,
            root,
            *pin.imports,
        ],
        env={
            "PYTHONHOME": str(root / "usr"),
            "PYTHONPATH": f"{site}:{root}{pin.layer}",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        log=log,
        timeout=300,
    )
