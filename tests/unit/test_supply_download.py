"""Downloads from a real HTTP server: nothing is in place before it is verified."""

import gzip
import hashlib
import importlib.util
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ci.base.errors import MachineError
from ci.supply import download
from ci.supply.arriving import Arrivals
from ci.supply.pins import Download

pytestmark = pytest.mark.anyio
PROGRAM = b"#!/bin/sh\necho it runs\n" * 1000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address it is served at."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def download_tool(version: str, pin: Download, target: Path) -> None:
    await download.tool(version, pin, target, target.parent.parent / "downloads" / "part", Arrivals())


def publish(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    (folder / "sums").write_text(f"{hashlib.sha256(data).hexdigest()}  {name}\n")


def archive(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue())


async def test_a_verified_executable_is_put_in_place(site: tuple[Path, str], tmp_path: Path):
    folder, url = site
    publish(folder, "tool-1.2.3", PROGRAM)
    target = tmp_path / "bin" / "tool"
    await download_tool("v1.2.3", Download(url=url + "/tool-{version}", sums=url + "/sums"), target)
    assert target.read_bytes() == PROGRAM
    assert target.stat().st_mode & 0o111


async def test_one_member_of_an_archive_is_taken_and_nothing_else_is_written(site: tuple[Path, str], tmp_path: Path):
    folder, url = site
    publish(folder, "tool.tar.gz", archive("./linux/tool", PROGRAM))
    pin = Download(url=url + "/tool.tar.gz", sums=url + "/sums", member="linux/tool")
    await download_tool("v1", pin, tmp_path / "bin" / "tool")
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["tool"]


async def test_a_member_that_is_not_there_is_named(site: tuple[Path, str], tmp_path: Path):
    folder, url = site
    publish(folder, "tool.tar.gz", archive("../../tool", PROGRAM))
    pin = Download(url=url + "/tool.tar.gz", sums=url + "/sums", member="linux/tool")
    with pytest.raises(MachineError, match="linux/tool"):
        await download_tool("v1", pin, tmp_path / "bin" / "tool")
    assert list((tmp_path / "bin").iterdir()) == []


async def test_a_host_that_does_not_answer_is_named(tmp_path: Path):
    pin = Download(url="http://127.0.0.1:1/tool", sums="http://127.0.0.1:1/sums")
    with pytest.raises(MachineError, match=r"127\.0\.0\.1"):
        await download_tool("v1", pin, tmp_path / "tool")


async def test_an_interpreter_without_pip_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As `uv venv` makes it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="has no pip") as refused:
        await download.wheels(tmp_path / "requirements.txt", "3.13", tmp_path / "wheels", tmp_path / "log")
    assert refused.value.fix is not None
    assert "ensurepip" in refused.value.fix
    assert not (tmp_path / "wheels").exists()
