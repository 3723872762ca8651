"""A cache that a cleaner, a full disk or a person has been at: what is not itself is seen, said and fetched again."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.base.errors import MachineError
from ci.supply.pins import architecture
from ci.supply.supply import Supply
from tests.faults.supply.fetch import supply
from tests.harness import cli, goproxy
from tests.unit.test_supply_records import FOREIGN, OWN, elf

SECONDS = 300


def program_of(made):
    """Where the one tool of a supply is."""
    (file,) = (made.cache / "upstream" / "tools").iterdir()
    return file


def fetch(made, *names, verify=False):
    async def run():
        await made.fetch(names, verify=verify)

    anyio.run(run)


def cached(made):
    return {item.name: item.cached for item in anyio.run(made.items)}


@pytest.fixture
def tool(publisher, tmp_path):
    """A supply that has fetched its one tool, which is pinned by its bytes, and has no images."""
    made = supply(tmp_path / "cache", publisher.publish("tool", OWN))
    pin = made.pins.tools["tool"]
    upstream = replace(pin.upstream, sha256={architecture(): hashlib.sha256(OWN).hexdigest()})
    made.pins = replace(made.pins, images={}, tools={"tool": replace(pin, upstream=upstream)})
    fetch(made, "tool")
    return made


def write(data):
    def change(path):
        path.chmod(0o755)
        path.write_bytes(data)

    return change


def same_time(path):
    status = path.stat()
    path.write_bytes(OWN[:-1] + b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def record(data):
    def change(path):
        (file,) = path.parents[2].glob("records/**/*.json")
        file.write_bytes(data)

    return change


HOLES = {
    "gone": (Path.unlink, None),
    "empty": (write(b""), "0 bytes"),
    "cut short": (write(OWN[:100]), "100 bytes"),
    "other bytes": (write(OWN[:-1] + b"x"), "other bytes"),
    "other bytes, same time": (same_time, "other bytes"),
    "of another machine": (write(elf(FOREIGN[architecture()])), "a program for"),
    "a script": (write(b"#!/bin/sh\nexit 0\n"), "17 bytes"),
    "not executable": (lambda path: path.chmod(0o644), "not executable"),
    "a link to nowhere": (lambda path: (path.unlink(), path.symlink_to("nowhere")), "it is gone"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "it is a folder"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "neither a file nor a folder"),
    "a link to itself": (lambda path: (path.unlink(), path.symlink_to(path)), "it cannot be read"),
    "an empty record": (record(b""), "its record is broken"),
    "half a record": (record(b'{"version": 1, "arch'), "its record is broken"),
}


@pytest.mark.parametrize("hole", HOLES)
def test_a_tool_that_is_not_itself_is_fetched_again(tool, publisher, capsys, hole):
    change, said = HOLES[hole]
    change(program_of(tool))

    assert cached(tool) == {"tool": False}
    with pytest.raises(MachineError) as refused:
        tool.tool("tool")
    assert refused.value.fix.startswith("python ci/main.py supply fetch")
    capsys.readouterr()
    fetch(tool, "tool")

    lines = [line for line in capsys.readouterr().err.splitlines() if "in the cache" in line]
    if said is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.strip().startswith("tool in the cache is not what was put there (")
        assert line.endswith("): fetched again")
        assert said in line
    assert tool.tool("tool").read_bytes() == OWN
    assert cached(tool) == {"tool": True}
    assert publisher.asked_for("tool") == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda name: name.write_bytes(OWN),
        lambda name: name.symlink_to("/bin/true"),
        lambda name: name.symlink_to(name),
        lambda name: (name.mkdir(), (name / "x").touch()),
    ],
    ids=["a file", "a link out", "a link to itself", "a folder"],
)
def test_a_name_that_leads_to_something_else_is_turned_back(tool, publisher, change):
    name = tool.bin / "tool"
    name.unlink()
    change(name)

    assert cached(tool) == {"tool": False}
    fetch(tool, "tool")
    assert tool.tool("tool").resolve() == program_of(tool)
    assert publisher.asked_for("tool") == 1


def test_a_copied_cache_is_hashed_and_taken(tool, publisher, tmp_path, capsys):
    shutil.copytree(tool.cache, tmp_path / "copy", symlinks=True)
    made = Supply("upstream", tmp_path / "copy")
    made.pins = tool.pins
    shutil.rmtree(tool.cache)
    capsys.readouterr()

    assert made.tool("tool").read_bytes() == OWN
    fetch(made, "tool")
    assert capsys.readouterr().err == ""
    assert publisher.asked_for("tool") == 1


def test_a_cache_from_before_there_were_records_is_taken(tool, publisher, capsys):
    shutil.rmtree(tool.cache / "records")
    capsys.readouterr()

    fetch(tool, "tool")
    assert capsys.readouterr().err == ""
    assert publisher.asked_for("tool") == 1


@pytest.mark.parametrize("hole", ["empty", "of another machine", "a script"])
def test_what_is_plainly_no_program_is_not_taken_without_a_record_either(tool, publisher, hole):
    shutil.rmtree(tool.cache / "records")
    HOLES[hole][0](program_of(tool))

    fetch(tool, "tool")
    assert tool.tool("tool").read_bytes() == OWN
    assert publisher.asked_for("tool") == 2


def test_verify_sees_what_the_file_system_does_not(tool, publisher, capsys):
    """A disk turned a bit: neither size nor time nor inode is another; so the record is told of other bytes."""
    (file,) = tool.cache.glob("records/**/*.json")
    file.write_text(file.read_text().replace(hashlib.sha256(OWN).hexdigest(), "0" * 64))
    fetch(tool, "tool")
    assert publisher.asked_for("tool") == 1

    capsys.readouterr()
    fetch(tool, "tool", verify=True)
    assert "tool in the cache is not what was put there (other bytes): fetched again" in capsys.readouterr().err
    assert publisher.asked_for("tool") == 2
    fetch(tool, "tool", verify=True)
    assert publisher.asked_for("tool") == 2


MODULE, VERSION = "example.com/demo", "v1.0.0"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A supply that has fetched its one Go module, from a proxy that is a folder."""
    proxy = goproxy.made(tmp_path, monkeypatch)
    proxy.publish(MODULE, VERSION, {"charts/values.yaml": "charts", "charts/empty": "charts"})
    pin, _ = proxy.pin(MODULE, VERSION)
    made = Supply("source", tmp_path / "cache")
    made.pins = replace(made.pins, tools={}, images={}, modules={"demo": pin})
    fetch(made, "demo")
    yield made
    proxy.clean()


def writable(folder):
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)


def archive_of(folder):
    return folder.parents[1] / "cache" / "download" / MODULE / "@v" / f"{VERSION}.zip"


def half_a_folder(folder):
    writable(folder)
    shutil.rmtree(folder / "charts")


def empty_file(folder):
    writable(folder)
    (folder / "charts" / "values.yaml").write_text("")


def no_folder(folder):
    writable(folder)
    shutil.rmtree(folder)


def no_folder_and_half_an_archive(folder):
    no_folder(folder)
    archive = archive_of(folder)
    archive.chmod(0o644)
    archive.write_bytes(archive.read_bytes()[:50])


def empty_file_and_no_record(folder):
    empty_file(folder)
    shutil.rmtree(folder.parents[2] / "cache" / "records")


@pytest.mark.parametrize(
    "hole", [half_a_folder, empty_file, no_folder, no_folder_and_half_an_archive, empty_file_and_no_record]
)
@pytest.mark.parametrize("cache", ["the same", "a new one"])
def test_a_module_that_is_not_whole_in_gos_own_cache_is_fetched_again(module, hole, cache, capsys):
    """Go itself takes a folder that is there for whole."""
    folder = module.module("demo")
    hole(folder)
    if cache == "a new one":
        shutil.rmtree(module.cache)
    else:
        with pytest.raises(MachineError, match=r"the module demo"):
            module.module("demo")
    capsys.readouterr()

    fetch(module, "demo")

    assert ("the module demo in the cache is not what was put there" in capsys.readouterr().err) == (
        cache == "the same"
    )
    assert (module.module("demo") / "charts" / "values.yaml").read_text() == "charts"
    fetch(module, "demo", verify=True)
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="session")
def helm(tmp_path_factory):
    """A cache with nothing but helm, as the supply builds it."""
    whole, cache = Supply("source"), tmp_path_factory.mktemp("small") / "cache"
    anyio.run(whole.fetch, ["helm"])
    built = whole.tool("helm").resolve().parent
    shutil.copytree(built, cache / "go" / built.name)
    run(["supply", "fetch", "helm", "--supply=source"], cache)
    return cache


def run(words, cache, *, state=None, read_only=False):
    """Run the command as its user does, the cache mounted read-only or not."""
    env = {**os.environ, "ML_SERVING_CI_CACHE": str(cache), "XDG_STATE_HOME": str(state or cache / "unused")}
    if not read_only:
        return cli.run(*words, env=env, cwd=paths.ROOT)
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    argv = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, str(cache), sys.executable, cli.MAIN, *words]
    return subprocess.run(argv, env=env, cwd=paths.ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture
def mountable():
    probe = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.fail("needs root, or a user namespace, to mount")


def listed(cache, **how):
    ended = run(["supply", "list", "--json", "--supply=source"], cache, **how)
    assert ended.returncode == 0, ended.stderr
    return {item["name"] for item in json.loads(ended.stdout) if item["kind"] == "tool" and item["cached"]}


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize("records", ["with records", "without", "of other inodes"])
def test_a_read_only_cache_that_holds_what_is_asked_for_serves(helm, tmp_path, records):
    cache, state = tmp_path / "cache", tmp_path / "state"
    shutil.copytree(helm, cache, symlinks=True)
    if records == "without":
        shutil.rmtree(cache / "records")
    elif records == "with records":
        run(["supply", "fetch", "helm", "--supply=source"], cache)
    before = {path: path.lstat().st_mtime_ns for path in cache.rglob("*")}

    ended = run(["supply", "fetch", "helm", "--supply=source"], cache, state=state, read_only=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert listed(cache, state=state, read_only=True) == {"helm"}
    verified = run(["supply", "fetch", "helm", "--verify", "--supply=source"], cache, state=state, read_only=True)
    assert (verified.returncode, verified.stderr) == (0, "")

    assert {path: path.lstat().st_mtime_ns for path in cache.rglob("*")} == before
    assert list(state.rglob("*.lock")), "locks lie elsewhere"


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize("missing", ["kind", "helm"], ids=["never fetched", "damaged"])
def test_what_a_read_only_cache_lacks_is_named_in_one_line(helm, tmp_path, missing):
    cache = tmp_path / "cache"
    shutil.copytree(helm, cache, symlinks=True)
    (cache / "go" / Supply("source", cache)._built("helm").name / "helm").write_bytes(b"")

    ended = run(["supply", "fetch", missing, "--supply=source"], cache, state=tmp_path / "state", read_only=True)

    assert ended.returncode == 3
    error, fix = ended.stderr.splitlines()[:2]
    assert error.startswith(f"error: {missing}: not in the cache (")
    assert error.endswith(f"{cache} is read-only")
    assert "supply fetch" in fix
    assert "Traceback" not in ended.stderr


def test_a_command_says_what_it_waits_for(helm):
    """Two processes, one item: the second has its line while the first still holds the lock."""
    hold = "import anyio, sys\nfrom pathlib import Path\nfrom ci.base import locks\nasync def hold():\n"
    hold += "    async with locks.exclusive(Path(sys.argv[1]), 'helm'):\n        print('held', flush=True)\n"
    hold += "        await anyio.to_thread.run_sync(sys.stdin.read)\nanyio.run(hold)\n"
    env = {**os.environ, "ML_SERVING_CI_CACHE": str(helm)}
    argv = [sys.executable, "-c", hold, helm / "locks" / "tool-source-helm.lock"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=paths.ROOT) as holder:
        assert holder.stdout.readline() == "held\n"
        argv = [sys.executable, "ci/main.py", "supply", "fetch", "helm", "--supply=source"]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, cwd=paths.ROOT, env=env) as waiter:
            line = waiter.stderr.readline()
            holder.communicate()
            rest = waiter.stderr.read()
    assert line.strip().startswith(f"waiting for helm: process {holder.pid} (-c ")
    assert (waiter.returncode, rest) == (0, "")
