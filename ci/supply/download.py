"""Downloads: hashed while they stream into a partial file, verified, and only then moved into place."""

import hashlib
import platform
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import anyio
import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from ci import command
from ci.errors import MachineError
from ci.supply.pins import Download

CONNECT_SECONDS, READ_SECONDS = 10, 60
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}

MANYLINUX = (*(f"manylinux_2_{minor}" for minor in range(36, 4, -1)), "manylinux2014", "manylinux2010", "manylinux1")
"""Platforms that Debian 12 and 13 run, newest first."""
UNAMES = {"amd64": "x86_64", "arm64": "arm64"}


def architecture() -> str:
    """Return this machine's architecture as Go and container images call it.

    Raises:
        MachineError: Nothing is pinned for it.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise MachineError(f"no pins for the architecture {machine}", fix="Use an x86-64 or arm64 machine.")
    return ARCHITECTURES[machine]


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


async def wheels(requirements: Path, python: str, folder: Path, log: Path) -> None:
    """Download a locked set of wheels; pip checks each against its hash.

    Args:
        requirements: Requirements file, every line with --hash.
        python: Version of the interpreter they are for ("3.13"), whatever runs here.
        folder: Gets the wheels.
        log: Gets pip's output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    await command.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *target(python),
         "--requirement", requirements, "--dest", folder],
        log=log,
        timeout=1800,
    )  # fmt: skip


async def tool(version: str, source: Download, target: Path) -> str:
    """Download an executable and check it against its publisher's checksum file.

    Args:
        version: With its leading v.
        source: Where it is.
        target: Where the executable goes.

    Returns:
        SHA-256 of the download, for the record.

    Raises:
        MachineError: It cannot be had, or its digest is not among the published ones.
    """
    values = {"version": version.removeprefix("v"), "arch": architecture(), "uname": UNAMES[architecture()]}
    url, sums, member = (text.format(**values) for text in (source.url, source.sums, source.member))
    return await anyio.to_thread.run_sync(_tool, url, sums, member, target)


def _tool(url: str, sums: str, member: str, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    retries = Retry(total=4, backoff_factor=0.5, status_forcelist=(502, 503, 504))
    digest = hashlib.sha256()
    with requests.Session() as session, tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as work:
        session.mount("https://", HTTPAdapter(max_retries=retries))
        executable = Path(work, "download")
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
        if digest.hexdigest() not in published.text.lower():
            raise MachineError(f"{url}: SHA-256 {digest.hexdigest()} is not in {sums}")
        if member:
            executable = _extract(executable, member, Path(work, "member"))
        executable.chmod(0o755)
        executable.rename(target)
    return digest.hexdigest()


def _extract(archive: Path, member: str, target: Path) -> Path:
    """Copy exactly one regular file out of an archive; nothing else of it is written anywhere."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as z:
            target.write_bytes(z.read(member))
        return target
    with tarfile.open(archive) as t:
        names = {name.removeprefix("./"): name for name in t.getnames()}
        stream = t.extractfile(names[member]) if member in names else None
        if stream is None:
            raise MachineError(f"{archive.name}: no file {member} in it")
        target.write_bytes(stream.read())
    return target
