"""Records: what is in the cache is there only as it was put there."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ci.base import paths
from ci.supply import records
from ci.supply.pins import architecture
from ci.supply.records import Kept, Records

FOREIGN = {"amd64": 183, "arm64": 62}
SIZE = 4000


def elf(machine, size=SIZE):
    """The head of a program in ELF, and bytes behind it."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine)
    return head + bytes(size - len(head))


OWN = elf({"amd64": 62, "arm64": 183}[architecture()])


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def tool(cache):
    """A tool that was put into the cache, with its record."""
    kept = Kept("helm", cache / "tools" / "helm")
    kept.path.parent.mkdir(parents=True)
    kept.path.write_bytes(OWN)
    kept.path.chmod(0o755)
    Records(cache, cache).add(kept)
    return kept


@pytest.fixture
def folder(cache):
    """A folder that was put into the cache, with its record."""
    kept = Kept("charts", cache / "modules" / "charts")
    (kept.path / "a" / "b").mkdir(parents=True)
    (kept.path / "a" / "b" / "values.yaml").write_text("replicas: 1\n")
    (kept.path / "a" / "empty").touch()
    (kept.path / "latest").symlink_to("a")
    Records(cache, cache).add(kept)
    return kept


def fault(kept, *, verify=False):
    """What a process says of an item that has only the cache to go by."""
    cache = next(path for path in kept.path.parents if path.name == "cache")
    return Records(cache, cache).fault(kept, verify=verify)


def record_of(kept):
    (file,) = (path for path in kept.path.parents[1].glob("records/**/*.json"))
    return file


def test_what_was_put_there_is_there(tool, folder):
    for kept in (tool, folder):
        assert fault(kept) is None
        assert fault(kept, verify=True) is None


def rewritten(data, mode=0o755):
    def change(path):
        path.write_bytes(data)
        path.chmod(mode)

    return change


def same_size_and_time(path):
    status = path.stat()
    path.write_bytes(OWN[:-1] + b"x")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def to_nowhere(path):
    path.unlink()
    path.symlink_to("/nonexistent/helm")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rewritten(b""), "0 bytes"),
        (rewritten(OWN[:-1]), f"{SIZE - 1} bytes"),
        (rewritten(OWN + b"x"), f"{SIZE + 1} bytes"),
        (rewritten(OWN[:-1] + b"x"), "other bytes"),
        (same_size_and_time, "other bytes"),
        (rewritten(elf(FOREIGN[architecture()])), f"a program for {records.MACHINES[FOREIGN[architecture()]]}"),
        (rewritten(elf(243)), "a program for machine 243"),
        (rewritten(b"#!/bin/sh\n"), "10 bytes"),
        (rewritten(OWN, 0o644), "not executable"),
        (Path.unlink, "it is gone"),
        (to_nowhere, "it is gone"),
        (lambda path: (path.unlink(), path.mkdir()), "it is a folder"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "it cannot be read: neither a file nor a folder"),
    ],
    ids=[
        "empty",
        "cut",
        "longer",
        "other bytes",
        "same time",
        "foreign",
        "unknown",
        "script",
        "mode",
        "gone",
        "link",
        "folder",
        "pipe",
    ],
)
def test_a_file_that_is_not_itself(tool, change, said):
    change(tool.path)
    assert fault(tool) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: (path / "a/b/values.yaml").unlink(), "a/b/values.yaml is missing"),
        (lambda path: shutil.rmtree(path / "a"), "a/b/values.yaml is missing"),
        (lambda path: (path / "a/b/values.yaml").write_text(""), "a/b/values.yaml: 0 bytes"),
        (lambda path: (path / "a/b/values.yaml").write_text("replicas: 2\n"), "a/b/values.yaml: other bytes"),
        (lambda path: (path / "a/empty").write_text("x"), "a/empty: 1 bytes"),
        (lambda path: (path / "a/more").touch(), "a/more is not of it"),
        (lambda path: ((path / "latest").unlink(), (path / "latest").symlink_to("b")), "latest is a link to b"),
        (lambda path: (path / "latest").unlink(), "latest is missing"),
        (lambda path: ((path / "a/empty").unlink(), (path / "a/empty").symlink_to("b")), "a/empty is a link to b"),
        (lambda path: ((path / "latest").unlink(), (path / "latest").touch()), "latest: no link"),
        (shutil.rmtree, "it is gone"),
        (lambda path: (shutil.rmtree(path), path.write_text("a file")), "it is a file"),
        (lambda path: os.mkfifo(path / "a/pipe"), "it cannot be read: neither a file nor a folder"),
        (lambda path: (shutil.rmtree(path), path.mkdir()), "a/b/values.yaml is missing"),
    ],
)
def test_a_folder_that_is_not_itself(folder, change, said):
    change(folder.path)
    assert fault(folder) == said


def test_bytes_that_the_file_system_keeps_elsewhere_are_the_same_and_hashed_once(tool, folder, monkeypatch):
    for kept in (tool, folder):
        copy = kept.path.with_name("copy")
        (shutil.copytree if kept.path.is_dir() else shutil.copy)(
            kept.path, copy, **({"symlinks": True} if kept is folder else {})
        )
        records.partial.remove(kept.path)
        copy.rename(kept.path)
        assert fault(kept) is None

    monkeypatch.setattr(records.files, "sha256", lambda path: pytest.fail(f"{path} is hashed again"))
    assert [fault(kept) for kept in (tool, folder)] == [None, None]


def test_a_disk_that_turned_bits_is_seen_where_all_is_hashed(tool, monkeypatch):
    """The file system says the same of the file; so the record is told what it says now."""
    digests = {tool.path: "0" * 64}
    assert fault(tool) is None
    monkeypatch.setattr(records.files, "sha256", digests.__getitem__)
    assert fault(tool, verify=True) == "other bytes"


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"version": 1}', b"\xff\xfe", b"null\nnull"])
def test_a_broken_record_is_none(tool, data):
    record_of(tool).write_bytes(data)
    assert fault(tool) == "its record is broken"


def test_a_record_whose_second_line_is_broken(tool):
    record = record_of(tool)
    record.write_bytes(record.read_bytes().partition(b"\n")[0] + b"\n{")
    assert fault(tool) is None, "nothing has changed"
    tool.path.touch()
    assert fault(tool) == "its record is broken"


def test_a_record_of_another_machine(tool):
    record = record_of(tool)
    head, _, rest = record.read_bytes().partition(b"\n")
    record.write_bytes(json.dumps({**json.loads(head), "architecture": "riscv64"}).encode() + b"\n" + rest)
    assert fault(tool) == "it is for riscv64"


@pytest.mark.parametrize("known", [False, True], ids=["not sound", "sound"])
@pytest.mark.parametrize("record", ["none", "of another version"])
def test_an_item_without_a_record_of_ours_is_taken_if_its_pin_knows_it(tool, record, known):
    file = record_of(tool)
    if record == "none":
        file.unlink()
    else:
        head, _, rest = file.read_bytes().partition(b"\n")
        file.write_bytes(json.dumps({**json.loads(head), "version": 99}).encode() + b"\n" + rest)
    asked = []

    def sound(path, digests):
        asked.append((path, set(digests)))
        return None if known else "it is another"

    kept = Kept(tool.what, tool.path, sound)
    assert [fault(kept), fault(kept)] == ([None, None] if known else ["it is another", "it is another"])
    assert asked == [(tool.path, {""})] * (1 if known else 2), "once it has a record, that is asked"


def test_an_item_and_its_record_are_forgotten(tool, cache):
    Records(cache, cache).forget(tool)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


FORGET = """
import sys
from pathlib import Path
from ci.supply.records import Kept, Records
cache = Path(sys.argv[1])
kept = Kept("helm", cache / "tools" / "helm", lambda *_: None)
try:
    Records(cache, cache).forget(kept)
except OSError:
    print(Records(cache, cache).fault(kept))
"""


def test_what_cannot_be_deleted_stays_known_for_what_it_is_not(tool, cache):
    same_size_and_time(tool.path)
    tool.path.parent.chmod(0o500)
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []  # root may delete everywhere
    argv = [*powerless, sys.executable, "-c", FORGET, cache]
    try:
        said = subprocess.run(argv, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    finally:
        tool.path.parent.chmod(0o700)
    assert said == "other bytes\n"


def test_a_link_is_as_good_as_what_it_names(cache, tmp_path):
    (tmp_path / "go").mkdir()
    (tmp_path / "go" / "file").write_text("text")
    kept = Kept("module", cache / "modules" / "module")
    kept.path.parent.mkdir(parents=True)
    kept.path.symlink_to(tmp_path / "go")
    Records(cache, cache).add(kept)
    assert fault(kept) is None

    (tmp_path / "go" / "file").unlink()
    assert fault(kept) == "file is missing"
    shutil.rmtree(tmp_path / "go")
    assert fault(kept) == "it is gone"


def test_records_of_a_cache_that_cannot_be_written_lie_beside_the_state(tool, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "writable", lambda folder: False)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    shutil.copy(tool.path, tmp_path / "copy")
    (tmp_path / "copy").rename(tool.path)  # as if it had been mounted elsewhere
    state = tmp_path / "state"

    assert Records(cache, state).fault(tool) is None
    monkeypatch.setattr(records.files, "sha256", lambda path: pytest.fail(f"{path} is hashed again"))
    assert Records(cache, state).fault(tool) is None
    assert set(cache.rglob("*")) == set(before)
    assert [path.name for path in state.rglob("*.json")] == ["helm.json"]


def test_where_no_record_can_be_written_what_is_there_serves_all_the_same(tool, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "writable", lambda folder: False)
    record_of(tool).unlink()
    (tmp_path / "state").touch()

    assert Records(cache, tmp_path / "state").fault(Kept("helm", tool.path, lambda *_: None)) is None
