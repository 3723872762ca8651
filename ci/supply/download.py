"""Downloads: verified in a file that may be interrupted and goes on, and only then moved into place."""

import functools
import importlib.util
import shutil
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import urlsplit

import anyio
import httpx

from ci.base import command, files, settings
from ci.base.errors import MachineError
from ci.supply import archives, causes, hosts, partial
from ci.supply.arriving import Arrivals
from ci.supply.pins import Download, architecture

MANYLINUX = (*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1")
"""Platforms that Debian 12 and 13 run, newest first."""
UNAMES = {"amd64": "x86_64", "arm64": "arm64"}
T = TypeVar("T")
OTHER_BYTES = "the same command again; if it stays so, ask the publisher, and use --supply source meanwhile"


def target(python: str) -> list[str]:
    """Return pip's options for wheels of another interpreter than this one.

    What is locked is not resolved again, so a package's own bound on the interpreter is not asked.
    """
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[architecture()]
    platforms = [f"--platform={tag}_{machine}" for tag in MANYLINUX]
    return [
        "--only-binary=:all:",
        "--ignore-requires-python",
        f"--python-version={python}",
        "--implementation=cp",
        *platforms,
    ]


def require_pip() -> None:
    """Raise where this interpreter has no pip.

    Raises:
        MachineError: It has none, as in an environment that was made by uv and never got this project's dependencies.
    """
    if importlib.util.find_spec("pip") is None:
        raise MachineError(
            f"{sys.executable} has no pip, which gets the locked wheels",
            fix=f"{sys.executable} -m ensurepip || uv pip install --python {sys.executable} pip",
        )


async def wheels(requirements: Path, python: str, folder: Path, log: Path) -> None:
    """Download a locked set of wheels; pip checks each against its hash.

    Args:
        requirements: Requirements file, every line with --hash.
        python: Version of the interpreter they are for ("3.13"), whatever runs here.
        folder: Gets the wheels.
        log: Gets pip's output.
    """
    require_pip()
    folder.mkdir(parents=True, exist_ok=True)
    await command.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *target(python),
         "--requirement", requirements, "--dest", folder],
        log=log,
        timeout=1800,
    )  # fmt: skip


async def tool(version: str, source: Download, target: Path, part: Path, arrivals: Arrivals) -> None:
    """Download an executable and check it against its pin, or its publisher's checksum file where it has none.

    Args:
        version: With its leading v.
        source: Where it is.
        target: Where the executable goes.
        part: Where the download goes, and on from where an earlier one ended.
        arrivals: Counts what comes.

    Raises:
        MachineError: It cannot be had, told by its cause, or its digest is not the one that is published for it.
    """
    here = located(version, source)
    part.parent.mkdir(parents=True, exist_ok=True)
    async with hosts.client() as client:
        pinned = here.sha256.get(architecture())
        wanted = {pinned} if pinned else await _sums(client, here)
        begun = part.exists()
        into = functools.partial(_into, client, part, arrivals)
        await _patiently(here.url, into)
        if begun and await _digest(part) not in wanted:  # what there was may be of something else
            part.unlink()
            await _patiently(here.url, into)
    if (digest := await _digest(part)) not in wanted:
        part.unlink()
        whose = "the pinned one" if pinned else f"what {here.sums} has for {_name(here)}"
        raise MachineError(f"{here.url}: SHA-256 {digest} is not {whose}", fix=OTHER_BYTES)
    with partial.scratch(target.parent) as work:
        executable = work / _name(here)
        shutil.move(part, executable)  # what cannot be unpacked is not kept: it would never be anything else
        if here.member:
            archive, executable = executable, work / "member"
            await anyio.to_thread.run_sync(archives.take, archive, here.member, executable)
        executable.chmod(0o755)
        executable.rename(target)


def located(version: str, source: Download, machine: str = "") -> Download:
    """Return where a version is for one architecture.

    Args:
        version: With its leading v.
        source: Where every version is.
        machine: The architecture; this machine's when empty.
    """
    machine = machine or architecture()
    values = {"version": version.removeprefix("v"), "arch": machine, "uname": UNAMES[machine]}
    url, sums, member = (text.format(**values) for text in (source.url, source.sums, source.member))
    return Download(url, sums, member, source.sha256)


async def published(version: str, source: Download, machine: str) -> str:
    """Return the SHA-256 that a publisher has for a download.

    Args:
        version: With its leading v.
        source: Where every version is.
        machine: The architecture.

    Raises:
        MachineError: It cannot be had, told by its cause, or there are several.
    """
    here = located(version, source, machine)
    async with hosts.client() as client:
        found = await _sums(client, here)
    if len(found) > 1:
        raise MachineError(f"{here.sums} has {len(found)} different SHA-256 of {_name(here)}")
    return found.pop()


def _name(here: Download) -> str:
    return PurePosixPath(urlsplit(here.url).path).name


async def _sums(client: httpx.AsyncClient, here: Download) -> set[str]:
    """Return what a publisher's checksum file has for a download."""
    text = await _patiently(here.sums, functools.partial(_text, client))
    if not (found := _published(text, _name(here))):
        raise MachineError(
            f"{here.sums} has no SHA-256 of {_name(here)}; it begins with {text[:40]!r}",
            fix="a proxy or a login page may be in between: look at what that address shows",
        )
    return found


async def _patiently(url: str, get: Callable[[str], Awaitable[T]]) -> T:
    try:
        return await causes.patiently(url, lambda: get(url))
    except causes.Failed as failed:
        raise failed.told(url) from failed


async def _text(client: httpx.AsyncClient, url: str) -> str:
    with hosts.failing(url, settings.stall()):
        answer = await client.get(url)
    hosts.require(answer)
    return answer.text


async def _into(client: httpx.AsyncClient, part: Path, arrivals: Arrivals, url: str) -> None:
    """Have all of a file in its place, from where what is there of it ends."""
    begin = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with hosts.failing(url, settings.stall()):
        async with client.stream("GET", url, headers=headers) as answer:
            if begin and answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it was there
            hosts.require(answer)
            arrivals.expect(int(answer.headers.get("Content-Length", 0)))
            with part.open("ab" if answer.status_code == HTTPStatus.PARTIAL_CONTENT else "wb") as out:
                async for piece in answer.aiter_raw():
                    out.write(piece)
                    arrivals.came(len(piece))


async def _digest(file: Path) -> str:
    return await anyio.to_thread.run_sync(files.sha256, file)


def _published(text: str, name: str) -> set[str]:
    """Return the digests that a checksum file has for a file: those beside its name, or the only word there is."""
    words = [line.lower().split(maxsplit=1) for line in text.splitlines()]
    if len(words) == 1 and len(words[0]) == 1:
        return {words[0][0]}
    return {line[0] for line in words if len(line) == 2 and PurePosixPath(line[1].lstrip("*")).name == name.lower()}
