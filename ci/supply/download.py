"""Downloads: hashed while they stream into a partial file, verified, and only then moved into place."""

import hashlib
import importlib.util
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import anyio
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ci.base import command
from ci.base.errors import MachineError
from ci.supply import archives, partial
from ci.supply.pins import Download, architecture

CONNECT_SECONDS, READ_SECONDS = 10, 60

MANYLINUX = (*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1")
"""Platforms that Debian 12 and 13 run, newest first."""
UNAMES = {"amd64": "x86_64", "arm64": "arm64"}


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


async def tool(version: str, source: Download, target: Path) -> None:
    """Download an executable and check it against its publisher's checksum file.

    Args:
        version: With its leading v.
        source: Where it is.
        target: Where the executable goes.

    Raises:
        MachineError: It cannot be had, or its digest is not the one that is published for it.
    """
    here = located(version, source)
    await anyio.to_thread.run_sync(_tool, here.url, here.sums, here.member, target)


def located(version: str, source: Download) -> Download:
    """Return where a version is for this machine.

    Args:
        version: With its leading v.
        source: Where every version is.
    """
    values = {"version": version.removeprefix("v"), "arch": architecture(), "uname": UNAMES[architecture()]}
    return Download(*(text.format(**values) for text in (source.url, source.sums, source.member)))


def _tool(url: str, sums: str, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    retries = Retry(total=4, backoff_factor=0.5, status_forcelist=(502, 503, 504))
    digest = hashlib.sha256()
    with requests.Session() as session, partial.scratch(target.parent) as work:
        session.mount("https://", HTTPAdapter(max_retries=retries))
        name = PurePosixPath(urlsplit(url).path).name
        executable = work / name
        try:
            published = session.get(sums, timeout=(CONNECT_SECONDS, READ_SECONDS))
            published.raise_for_status()
            with (
                session.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer,
                executable.open("wb") as out,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_content(1 << 20):
                    digest.update(chunk)
                    out.write(chunk)
        except requests.RequestException as error:
            raise MachineError(f"{url}: {error}", fix="Check the network, or use --supply source.") from error
        if digest.hexdigest() not in _published(published.text, name):
            raise MachineError(f"{url}: SHA-256 {digest.hexdigest()} is not what {sums} has for {name}")
        if member:
            archive, executable = executable, work / "member"
            archives.take(archive, member, executable)
        executable.chmod(0o755)
        executable.rename(target)


def _published(text: str, name: str) -> set[str]:
    """Return the digests that a checksum file has for a file: those beside its name, or the only word there is."""
    words = [line.lower().split(maxsplit=1) for line in text.splitlines()]
    if len(words) == 1 and len(words[0]) == 1:
        return {words[0][0]}
    return {line[0] for line in words if len(line) == 2 and PurePosixPath(line[1].lstrip("*")).name == name.lower()}
