"""A publisher of downloads, and the programs of a registry."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from ci.supply.supply import Supply

SERVER = Path(__file__).with_name("server.py")


@dataclass(frozen=True)
class Publisher:
    """A web server that runs.

    Attributes:
        folder: What it serves.
        url: Where.
        log: The paths that it was asked for, a line each.
    """

    folder: Path
    url: str
    log: Path

    def publish(self, path, data, digest=None):
        """Serve a file with its checksum file beside it, and return the file's address."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        digest = digest or hashlib.sha256(data).hexdigest()
        file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
        return f"{self.url}/{path}"

    def asked_for(self, path):
        return self.log.read_text().split().count(f"/{path}")


@pytest.fixture
def publisher(tmp_path):
    folder, log = tmp_path / "published", tmp_path / "asked"
    folder.mkdir()
    argv = [sys.executable, SERVER, folder]
    with log.open("w") as sink, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=sink, text=True) as process:
        try:
            yield Publisher(folder, process.stdout.readline().strip(), log)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def machine():
    """The supply of this machine, with crane."""
    whole = Supply("source")
    anyio.run(whole.fetch, ["crane"])
    return whole


@pytest.fixture(scope="session")
def registry_program(machine):
    return anyio.run(machine._binary, "distribution/registry")
