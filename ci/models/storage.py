"""A model's files, got from its `storageUri` by KServe's own storage library, known by their digest."""

import json
import os
import platform
import re
import shutil
import stat
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import anyio
from rich.filesize import decimal

from ci.base import command, oserrors, tasks
from ci.base.errors import CheckFailedError, CommandError, GoneError, MachineError, UnnamedError, UsageError, last_words
from ci.base.progress import note, step
from ci.base.wait import QUIET_SECONDS
from ci.models import digests, stores
from ci.supply import archives, download, foreign, logins, partial, pins
from ci.supply.records import Kept
from ci.supply.supply import Supply

SCRIPT = Path(__file__).parent / "files" / "kserve_fetch.py"
WHEELS = "storage"
"""As in pins.toml."""
STALL_SECONDS = 180.0
"""How long no byte may come: longer than the three attempts of 30 and 120 seconds that the clients themselves make."""
LOOK_SECONDS = 0.5
DIGEST = re.compile("sha256:[0-9a-f]{64}")
ARCHIVES = (".tar", ".tar.gz", ".tgz")
IN_IMAGE = "models"
"""Folder of an oci:// image that has the model.

Source: https://kserve.github.io/website/docs/model-serving/storage/providers/oci
"""
NETWORK = {
    "builtins.ConnectionError",
    "builtins.TimeoutError",
    "socket.gaierror",
    "aiohttp.client_exceptions.ClientConnectionError",
    "azure.core.exceptions.ServiceRequestError",
    "azure.core.exceptions.ServiceResponseError",
    "botocore.exceptions.ConnectionError",
    "botocore.exceptions.HTTPClientError",
    "google.api_core.exceptions.RetryError",
    "google.api_core.exceptions.ServerError",
    "google.auth.exceptions.TransportError",
    "requests.exceptions.ConnectionError",
    "requests.exceptions.Timeout",
    "urllib3.exceptions.HTTPError",
}
"""Errors of the clients that say that a store was not reached, or was lost."""
NOT_THERE = re.compile(r"No model found in|\b404\b|NoSuchBucket|NoSuchKey|RevisionNotFound")
"""What the library and its clients say where a store has no such model, and would have said it were it there."""
LONGEST_LINE = 400
AGAIN = f"Check the address and the network (HTTPS_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE), or {stores.DIRECTORY}"
GIVEN = "the folder of --models"
COPY = "Have the files themselves there: cp --recursive --dereference"


class UnreachableError(MachineError):
    """A store was not reached, or was lost, or sent nothing any more: another time it may be there."""


class RefusedError(CheckFailedError):
    """A store answered that there is no such model, or not for these credentials: it will answer so again."""


class MissingError(RefusedError, GoneError):
    """A store answered that there is no such model."""


class WrongModelError(GoneError):
    """The files that are there are not those of the set."""


class WrongFolderError(UsageError):
    """A folder that stands for a store has no model where one is to be, or another than the set says."""


@dataclass(frozen=True)
class Fetched:
    """A model that is here.

    Attributes:
        folder: With its files, and nothing else; it is the cache's own: nobody writes to it.
        digest: Of the files, as the chart's `exampleModel.digest` has it.
        source: Where they came from, for people.
        unasked: That the URI was not asked for them, in a sentence; empty where it was.
    """

    folder: Path
    digest: str
    source: str
    unasked: str


async def fetched(
    uri: str,
    digest: str | None,
    supply: Supply,
    mirrors: Mapping[str, Path] | None = None,
    models: Path | None = None,
) -> Fetched:
    """Return a model's files: those in the cache where they are known by their digest, else from a mirror or its URI.

    Args:
        uri: The model's storageUri.
        digest: That the set names; without one, whatever is there is taken, each time anew.
        supply: Has the cache, and what models are got with.
        mirrors: Prefixes of URIs ("s3://acme-models/") to folders with what is below them. The longest one that has
            the model's path is asked, and no credentials are.
        models: Folder of `--models`. A model that it has is taken from it, whatever the cache and mirrors have.

    Raises:
        UsageError: The URI or the digest is none, or this tool does not read from such a store.
        WrongFolderError: What a mirror or `models` has is no model, or `models` has another.
        MissingError: The store has no such model.
        RefusedError: The store has no such model, or not for the caller.
        UnreachableError: The store does not answer.
        WrongModelError: The files have another digest.
        MachineError: The storage library cannot be had, or the model not be written.
    """
    if digest is not None and not DIGEST.fullmatch(digest):
        raise UnnamedError(f"{stores.shown(uri)}: digest {digest}: not sha256: and 64 hexadecimal digits")
    given = stores.mirrored(uri, stores.everything(models)) if models is not None else []
    places = [*given, *stores.mirrored(uri, mirrors or {})]
    mirror = next((place for place in places if place.exists() or place.is_symlink()), None)
    roots = [*(mirrors or {}).values(), *([models] if models is not None else [])]
    if mirror is None:
        stores.require(uri)  # before anything is made
    # two who ask for one model would each fetch it
    async with supply.exclusive(f"model-{pins.key(uri)}", stores.shown(uri)):
        if mirror in given:
            digest = await anyio.to_thread.run_sync(_looked_at, uri, digest, mirror, roots)
        if digest is not None:
            kept = _kept(supply, digest)
            async with supply.exclusive(kept.path.name, kept.what):
                if not await supply.lacks(kept):
                    if mirror in given:
                        return Fetched(kept.path, digest, str(mirror), _unasked(uri, GIVEN))
                    return Fetched(kept.path, digest, "the cache", _unasked(uri, "the cache, by its digest"))
        with partial.scratch(supply.cache / "models") as work:
            folder = work / "files"
            if mirror is not None:
                await anyio.to_thread.run_sync(_copy, uri, mirror, folder, roots)
            else:
                folder.mkdir()
                await _download(uri, folder, supply, [place for place in places if not place.exists()])
                await anyio.to_thread.run_sync(_require_plain_there, uri, folder)
            source = str(mirror) if mirror is not None else stores.shown(uri)
            found = await anyio.to_thread.run_sync(_finished, uri, folder)
            if not any(path.is_file() for path in folder.rglob("*")):
                inside = f"in its folder /{IN_IMAGE}" if uri.startswith(stores.OCI.pattern) else "there"
                raise MissingError(f"{source}: no file is {inside if mirror is None else 'there'}")
            if digest not in (None, found):
                raise WrongModelError(
                    f"{stores.shown(uri)}: the files at {source} have digest {found}, the set says {digest}",
                    fix=f"Have the right files put there; or where these are right, bump model --digest {found}",
                )
            there = GIVEN if mirror in given else "a mirror"
            unasked = _unasked(uri, there) if mirror is not None else ""
            return Fetched(await _placed(folder, found, supply), found, source, unasked)


def _unasked(uri: str, there: str) -> str:
    return f"its model is from {there}: {stores.shown(uri)} was not asked in this run"


async def _placed(folder: Path, digest: str, supply: Supply) -> Path:
    """Put a model into the cache, where nobody else has meanwhile, and return its folder."""
    kept = _kept(supply, digest)
    async with supply.exclusive(kept.path.name, kept.what):
        if await supply.lacks(kept):
            with oserrors.naming(kept.path):
                folder.rename(kept.path)
            await supply.keep(kept)
    return kept.path


def _kept(supply: Supply, digest: str) -> Kept:
    def fault(_: Path, files: Mapping[str, str]) -> str | None:
        found = digests.of_listing(files)
        return None if found == digest else f"digest {found}"

    path = supply.cache / "models" / digest.replace(":", "-")
    return Kept(f"the model {digest}", path, fault, anywhere=True)


def _looked_at(uri: str, digest: str | None, place: Path, roots: Sequence[Path]) -> str:
    """Return the digest of a model of `--models`, which has to be the set's.

    Args:
        uri: Its storageUri.
        digest: That the set names; None where it names none.
        place: The model.
        roots: Folders that links may lead into.
    """
    require_plain(place, roots)
    require_unpacked(uri, place)
    found = digests.of_path(place, hub=stores.hub(uri))
    if found is None:
        raise WrongFolderError(f"{place}: no file is in it", fix=f"Put the files of {stores.shown(uri)} there.")
    if digest not in (None, found):
        raise WrongFolderError(
            f"{place}: digest {found}, and the set says {digest} of {stores.shown(uri)}",
            fix=f"Put the set's own files there; or where these are right, bump model --digest {found}",
        )
    return found


def require_plain(place: Path, roots: Sequence[Path]) -> None:
    """Refuse a folder that holds anything but files, folders and links to files: what counts has to be in it.

    Args:
        place: A model of a mirror.
        roots: The mirrors; no link leads out of them.
    """
    within = [Path(os.path.realpath(root)) for root in roots]
    for path in (place, *place.rglob("*")):
        target = Path(os.path.realpath(path))  # `resolve` raises an error of its own for links in a circle
        if not any(target.is_relative_to(root) for root in within):
            raise WrongFolderError(f"{path}: a link that leads out to {target}", fix=COPY)
        if not (path.is_file() or (path.is_dir() and (path == place or not path.is_symlink()))):
            what = f"a link to {target}, which is no file" if path.is_symlink() else "neither a file nor a folder"
            raise WrongFolderError(f"{path}: {what}", fix=COPY)


def require_unpacked(uri: str, place: Path) -> None:
    """Refuse an archive of which a pod has what is in it: its own digest is that of another model.

    Args:
        uri: The model's storageUri.
        place: The model, in a mirror.
    """
    files = [each for each in place.rglob("*") if each.is_file()] if place.is_dir() else [place]
    # what came out of an archive is unpacked no further
    if len(files) != 1 or (place.is_dir() and stores.unpacks(uri, PurePosixPath(urlsplit(uri).path).name)):
        return
    if stores.unpacks(uri, files[0].name):
        raise WrongFolderError(
            f"{files[0]}: an archive, and a pod has the files in it",
            fix=f"Have them in its place unpacked, in a folder: {place}",
        )


def _require_plain_there(uri: str, folder: Path) -> None:
    """Refuse a model whose store has more than files: the chart, which follows links, would see other files of it."""
    try:
        require_plain(folder, [folder])
    except WrongFolderError as error:
        said = error.message.replace(f"{os.path.realpath(folder)}/", "").replace(f"{folder}/", "")
        raise RefusedError(f"{stores.shown(uri)}: {said}", fix="Have the files themselves there.") from None


def _copy(uri: str, mirror: Path, folder: Path, roots: Sequence[Path]) -> None:
    """Copy a model of a mirror: a folder, or one file, which is then alone in the folder, as KServe has it."""
    require_plain(mirror, roots)
    require_unpacked(uri, mirror)
    with oserrors.on_disk_of(folder):
        if mirror.is_dir():
            shutil.copytree(mirror, folder, copy_function=shutil.copyfile)
        else:
            folder.mkdir()
            shutil.copyfile(mirror, folder / mirror.name)


def _finished(uri: str, folder: Path) -> str:
    """Have all of a model be readable by whoever serves it, and nothing beside it; return its digest."""
    if stores.hub(uri) and (left := folder / digests.BOOKKEEPING).exists():
        partial.remove(left)
        if not any(left.parent.iterdir()):
            left.parent.rmdir()
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return digests.pinned(folder)


async def _download(uri: str, folder: Path, supply: Supply, missed: list[Path]) -> None:
    """Get a model from its own store.

    Args:
        uri: Its storageUri.
        folder: Gets the files.
        supply: Has what it is got with.
        missed: Mirrors that do not have it.
    """
    store = stores.of(uri)
    name = stores.shown(uri)
    if store is stores.OCI or urlsplit(uri).path.endswith(ARCHIVES):
        _require_filters(name)
    interpreter = await library(supply) if store is not stores.OCI else None
    with step(f"fetch {name}"):
        async with _stalling(uri, folder):
            if interpreter is None:
                await _from_image(uri, folder, supply, missed)
            elif causes := await _by_library(uri, folder, interpreter):
                raise _failed(uri, causes, missed)


def _require_filters(name: str) -> None:
    """Raise where Python has no extraction filters (PEP 706), without which an archive writes where it likes."""
    if not hasattr(tarfile, "data_filter"):
        raise MachineError(
            f"{name}: Python {platform.python_version()} cannot unpack it safely",
            fix="Python 3.11.4 or later, in a virtual environment of its own: uv venv --python 3.13",
        )


async def _by_library(uri: str, folder: Path, interpreter: Path) -> list[dict[str, Any]]:
    """Have KServe's library get a model, and return what went wrong, with its causes."""
    argv: list[str | Path] = [interpreter, "-I", "-B", SCRIPT, folder]
    ended = await command.run(argv, stdin=uri, check=False, secrets=stores.secrets(uri))
    if ended.returncode == 0:
        return []
    try:
        found: list[dict[str, Any]] = json.loads(ended.stdout)
    except ValueError:
        broken = CommandError(ended.argv, ended.returncode, ended.stdout, ended.stderr, seconds=ended.seconds)
        raise MachineError(f"{stores.shown(uri)}: {broken.message}", detail=broken.detail) from None
    return found


async def _from_image(uri: str, folder: Path, supply: Supply, missed: list[Path]) -> None:
    """Get the files of an image's folder `models`."""
    try:
        image = foreign.parse(uri.removeprefix(stores.OCI.pattern))
    except UsageError:
        said = f"{stores.shown(uri)}: not the name of an image"
        raise UsageError(said, fix="oci://REGISTRY/REPOSITORY:TAG, or @sha256:DIGEST") from None
    await supply.fetch(["crane"])
    tar = folder.with_name("image.tar")
    argv: list[str | Path] = [supply.tool("crane"), "export", "--platform", f"linux/{pins.architecture()}"]
    try:
        await command.run([*argv, uri.removeprefix(stores.OCI.pattern), tar])
    except CommandError as error:
        if foreign.NO_PLATFORM in error.stderr:
            raise RefusedError(f"{uri}: {error.message}", fix=foreign.BUILD_FOR, detail=error.detail) from error
        said = last_words(error.stderr).removeprefix("Error: ")[:LONGEST_LINE] or error.message
        line = f"{uri}: {said}; asked with {logins.tried(image.host, image.repository)}{_absent(missed)}"
        for told, kind in ((foreign.REFUSED, RefusedError), (foreign.MISSING, MissingError)):
            if told.search(error.stderr):
                raise kind(line, fix=stores.fix(uri), detail=error.detail) from error
        raise UnreachableError(line, fix=AGAIN, detail=error.detail) from error
    await anyio.to_thread.run_sync(_unpack, uri, tar, folder)


def _unpack(uri: str, tar: Path, folder: Path) -> None:
    """Take the model out of an image's file system."""
    try:
        with tarfile.open(tar) as packed:
            for member in packed:
                inside = Path(member.name.removeprefix("./"))
                if inside.parts[:1] == (IN_IMAGE,) and len(inside.parts) > 1:
                    packed.extract(member.replace(name=str(Path(*inside.parts[1:]))), folder, filter="data")
    except archives.BROKEN as error:
        raise RefusedError(f"{uri}: an image with a broken file system: {error}") from error


def _failed(uri: str, causes: list[dict[str, Any]], missed: list[Path]) -> CheckFailedError | MachineError:
    """Return what went wrong as one line: which URI, with which credentials, why."""
    first, last = causes[0]["said"], causes[-1]["said"]
    said = " ".join((first if last in first else f"{first} ({last})").split())[:LONGEST_LINE]
    line = f"{stores.shown(uri)}: {said}; {stores.asked(uri)}{_absent(missed)}"
    detail = "\n".join(f"{cause['kinds'][0]}: {cause['said']}" for cause in causes if cause["kinds"])
    if fix := oserrors.met_by_program("kserve-storage", said):
        return MachineError(line, fix=fix, detail=detail)
    if any(kind in NETWORK for cause in causes for kind in cause["kinds"]):
        return UnreachableError(line, fix=AGAIN, detail=detail)
    kind = MissingError if NOT_THERE.search(" ".join(cause["said"] for cause in causes)) else RefusedError
    return kind(line, fix=stores.fix(uri), detail=detail)


def _absent(missed: Sequence[Path]) -> str:
    """Name the places of mirrors that do not have a model."""
    return "".join(f"; no {place}" for place in missed)


@asynccontextmanager
async def _stalling(uri: str, folder: Path) -> AsyncIterator[None]:
    """Say how much of a model is there as long as the block runs, and end it when nothing more comes."""

    async def watch() -> None:
        began = changed = said = time.monotonic()
        before = None
        while True:
            await anyio.sleep(LOOK_SECONDS)
            seen = await anyio.to_thread.run_sync(_there, folder.parent)
            now = time.monotonic()
            if seen != before:
                changed, before = now, seen
            if now - changed > STALL_SECONDS:
                raise UnreachableError(
                    f"{stores.shown(uri)}: no byte for {STALL_SECONDS:.0f} s; {decimal(seen[0])} were there",
                    fix="Check the network and the store, then again.",
                )
            if now - said > QUIET_SECONDS:
                said = now
                note(f"{stores.shown(uri)}: {decimal(seen[0])} after {now - began:.0f} s")

    async with tasks.group() as group:
        group.start_soon(watch)
        yield
        group.cancel_scope.cancel()


def _there(folder: Path) -> tuple[int, int]:
    """Return how many bytes are in a folder, and when the last of them came."""
    states = []
    for path in folder.rglob("*"):
        try:
            states.append(path.lstat())
        except FileNotFoundError:  # a client's own file, which is gone again
            continue
    files = [state for state in states if stat.S_ISREG(state.st_mode)]
    return sum(state.st_size for state in files), max((state.st_mtime_ns for state in states), default=0)


async def library(supply: Supply) -> Path:
    """Return the Python of a virtual environment that has KServe's storage library, made first if need be.

    The clients of clouds that it brings are no business of this tool's own environment.

    Args:
        supply: Has the locked wheels.

    Raises:
        MachineError: They cannot be had, or not for this Python.
    """
    await supply.fetch([WHEELS])
    wheels = supply.wheels(WHEELS)
    key = pins.key(wheels.name, sys.version, platform.machine(), str(Path(sys.executable).resolve()))
    kept = Kept("KServe's storage library", supply.cache / "storage" / key)
    async with supply.exclusive(f"storage-{key}", kept.what):
        if await supply.lacks(kept):
            download.require_pip()
            with step(f"install {kept.what}"), partial.folder(kept.path) as work:
                python = work / "bin" / "python"
                await command.run([sys.executable, "-m", "venv", "--without-pip", work], timeout=120)
                await command.run(
                    [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps",
                     "--ignore-requires-python", *sorted(wheels.glob("*.whl"))],
                    timeout=900,
                )  # fmt: skip
            await supply.keep(kept)
    return kept.path / "bin" / "python"
