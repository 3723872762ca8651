"""Fault 20: a flipped byte, a truncated file, a missing checksum, two downloads at once.

Nothing runs before it is verified; there is one cached file.
"""

import hashlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.base import paths
from ci.base.errors import CommandError, MachineError
from ci.base.wait import NotYet, until
from ci.supply.pins import Module, Wheels
from ci.supply.source.go import GoToolchain
from ci.supply.supply import Supply
from tests.faults.supply.fetch import supply
from tests.harness import goproxy

PROGRAM = b"#!/bin/sh\necho it runs\n" + b"# and has a tail\n" * 500
SECONDS = 300


def fetched(cache, url):
    anyio.run(supply(cache, url).fetch, ["tool"])


def refused(cache, url, said):
    """Nobody can run anything of it, and nothing is left."""
    with pytest.raises(MachineError, match=said):
        fetched(cache, url)
    with pytest.raises(MachineError, match="tool is not here yet"):
        supply(cache, url).tool("tool")
    assert files(cache) == []


def files(cache):
    """What a cache holds; the links that name it are none, and neither are locks, records and what git reads."""
    found = (path for path in cache.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".lock")
    return [path for path in found if cache / "records" not in path.parents and path != cache / ".gitignore"]


def fetching(cache, url):
    """Another process that does the same."""
    argv = [sys.executable, "-m", "tests.faults.supply.fetch", cache, url]
    return subprocess.Popen(argv, cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(at=st.integers(0, len(PROGRAM) - 1), bit=st.integers(0, 7))
@examples
def test_a_flipped_bit_anywhere(publisher, tmp_path, at, bit):
    flipped = bytearray(PROGRAM)
    flipped[at] ^= 1 << bit
    url = publisher.publish("tool", bytes(flipped), hashlib.sha256(PROGRAM).hexdigest())

    refused(tmp_path / "cache", url, "SHA-256")


@given(length=st.integers(0, len(PROGRAM) - 1))
@examples
def test_a_truncated_file(publisher, tmp_path, length):
    url = publisher.publish("tool", PROGRAM[:length], hashlib.sha256(PROGRAM).hexdigest())

    refused(tmp_path / "cache", url, "SHA-256")


def test_a_connection_that_ends_half_way(publisher, tmp_path):
    url, cache = publisher.publish("tool", PROGRAM), tmp_path / "cache"
    (publisher.folder / "tool.cut").touch()

    with pytest.raises(MachineError, match=f"{url}: 127.0.0.1: the connection ended before all of it was here"):
        fetched(cache, url)
    with pytest.raises(MachineError, match="tool is not here yet"):
        supply(cache, url).tool("tool")
    (half,) = files(cache)
    assert half.parent == cache / "upstream" / "downloads", "where the next attempt goes on"
    assert not os.access(half, os.X_OK)


@pytest.mark.parametrize(
    "sums",
    [
        "",
        "\n",
        "<html>404</html>\n",
        "{other}  tool\n",
        "{digest}  tool.tar.gz\n",
        "{digest}  other\n{other}  tool\n",
        "{other}\n{digest}\n",
        "{short}  tool\n",
    ],
    ids=["empty", "blank", "a page", "another's", "a longer name", "swapped", "two without names", "cut short"],
)
def test_a_checksum_file_without_the_files_own_checksum(publisher, tmp_path, sums):
    """That the digest stands somewhere in it is not enough: it may be another file's."""
    digest = hashlib.sha256(PROGRAM).hexdigest()
    url = publisher.publish("tool", PROGRAM)
    text = sums.format(digest=digest, short=digest[:-1], other=hashlib.sha256(b"another").hexdigest())
    (publisher.folder / "tool.sha256").write_text(text)

    refused(tmp_path / "cache", url, "SHA-256")


def test_no_checksum_file(publisher, tmp_path):
    url = publisher.publish("tool", PROGRAM)
    (publisher.folder / "tool.sha256").unlink()

    refused(tmp_path / "cache", url, r"tool\.sha256")


@pytest.mark.parametrize(
    "sums",
    ["{digest}", "{DIGEST}\n", "{digest}  tool\n", "{digest} *tool\n", "{other}  x\n{digest}  ./dist/tool\n"],
    ids=["bare", "capitals", "coreutils", "binary mode", "among others"],
)
def test_every_form_of_checksum_file_that_publishers_have(publisher, tmp_path, sums):
    digest = hashlib.sha256(PROGRAM).hexdigest()
    url = publisher.publish("tool", PROGRAM)
    text = sums.format(digest=digest, DIGEST=digest.upper(), other=hashlib.sha256(b"another").hexdigest())
    (publisher.folder / "tool.sha256").write_text(text)

    fetched(tmp_path / "cache", url)

    ran = subprocess.run([supply(tmp_path / "cache", url).tool("tool")], capture_output=True, text=True, check=True)
    assert ran.stdout == "it runs\n"


def test_two_processes_at_once_end_with_one_cached_file_that_was_downloaded_once(publisher, tmp_path):
    url, cache = publisher.publish("tool", PROGRAM * 1000), tmp_path / "cache"

    both = [fetching(cache, url) for _ in range(2)]
    paths_printed = {process.communicate(timeout=SECONDS)[0] for process in both}

    assert [process.returncode for process in both] == [0, 0]
    assert len(paths_printed) == 1
    assert publisher.asked_for("tool") == 1
    (cached,) = files(cache)
    assert cached.read_bytes() == PROGRAM * 1000


def test_a_download_that_is_killed_leaves_nothing_to_run_and_the_next_one_is_whole(publisher, tmp_path):
    url, cache = publisher.publish("tool", PROGRAM * 1000), tmp_path / "cache"
    (publisher.folder / "tool.slow").touch()
    killed = fetching(cache, url)

    async def under_way():
        if not any(path.stat().st_size for path in cache.glob("upstream/downloads/*")):
            raise NotYet(f"{[*cache.rglob('*')]}")

    anyio.run(lambda: until("half of it is here", under_way, timeout=SECONDS, interval=0.05))
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=SECONDS)

    with pytest.raises(MachineError, match="tool is not here yet"):
        supply(cache, url).tool("tool")
    assert not any(os.access(path, os.X_OK) for path in cache.rglob("*") if path.is_file())
    (publisher.folder / "tool.slow").unlink()
    fetched(cache, url)
    assert supply(cache, url).tool("tool").read_bytes() == PROGRAM * 1000
    assert list(cache.glob("upstream/downloads/*")) == [], "the half is not left"


def test_a_pin_that_goes_back_gets_its_own_file_and_not_the_one_that_came_between(publisher, tmp_path):
    """A branch with another version, and back: the tool of that name is another one by now."""
    old, new = publisher.publish("1/tool", PROGRAM), publisher.publish("2/tool", PROGRAM + b"# newer\n")
    cache = tmp_path / "cache"

    for url in (old, new, old):
        fetched(cache, url)

    assert supply(cache, old).tool("tool").read_bytes() == PROGRAM
    assert publisher.asked_for("1/tool") == 1


@pytest.fixture
def wheel(publisher, monkeypatch):
    """A package index of one wheel, and its hash."""
    file = publisher.folder / "simple" / "demo" / "demo-1.0-py3-none-any.whl"
    file.parent.mkdir(parents=True)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("demo.py", "print('it runs')\n")
        archive.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("demo-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_INDEX_URL", f"{publisher.url}/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return file


def wheels(tmp_path, line):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{line}\n")
    made = Supply("source", tmp_path / "cache")
    made.pins = replace(made.pins, wheels={"demo": Wheels(str(requirements), "3.13")})
    anyio.run(made.fetch, ["demo"])
    return made.wheels("demo")


def locked(wheel):
    return f"demo==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def test_a_wheel_with_its_own_hash(wheel, tmp_path):
    assert [path.name for path in wheels(tmp_path, locked(wheel)).iterdir()] == [wheel.name]


@pytest.mark.parametrize("fault", ["a flipped byte", "truncated", "no checksum"])
def test_a_wheel_that_is_not_what_was_locked(wheel, tmp_path, fault):
    line, data = locked(wheel), wheel.read_bytes()
    if fault == "a flipped byte":
        wheel.write_bytes(data.replace(b"it runs", b"it Runs"))
    elif fault == "truncated":
        wheel.write_bytes(data[:-1])
    else:
        line = "demo==1.0"

    with pytest.raises(CommandError) as refused:
        wheels(tmp_path, line)
    assert "hash" in refused.value.detail.lower()
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


MODULE, VERSION = "example.com/demo", "v1.0.0"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A Go module in a proxy, and the `go` that gets it from there."""
    proxy = goproxy.made(tmp_path, monkeypatch)
    proxy.publish(MODULE, VERSION, {"demo.go": "package demo\n"})
    yield GoToolchain(proxy.go, "1"), proxy
    proxy.clean()


def test_a_go_module_that_is_not_what_was_pinned(module):
    toolchain, proxy = module
    with pytest.raises(MachineError, match="checksum h1:") as wrong:
        anyio.run(toolchain.download, Module(MODULE, VERSION, "h1:of-something-else"))
    own = wrong.value.message.split()[2].rstrip(",")

    assert anyio.run(toolchain.download, Module(MODULE, VERSION, own)).is_dir()
    proxy.clean()
    proxy.publish(MODULE, VERSION, {"demo.go": "package demo // flipped\n"})
    with pytest.raises(MachineError, match=f"pinned {re.escape(own)}"):
        anyio.run(toolchain.download, Module(MODULE, VERSION, own))


def test_a_truncated_go_module(module):
    toolchain, proxy = module
    archive = proxy.archive(MODULE, VERSION)
    archive.write_bytes(archive.read_bytes()[:-20])

    with pytest.raises(MachineError, match=MODULE):
        anyio.run(toolchain.download, Module(MODULE, VERSION, "h1:any"))
