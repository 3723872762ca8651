"""What is made aside: it becomes itself, vanishes, or is swept once its maker is gone."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ci.supply import partial

MAKE = """
import sys
from pathlib import Path
from ci.supply import partial
with getattr(partial, sys.argv[1])(Path(sys.argv[2])) as aside:
    print(aside, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["folder", "file", "scratch"])
def maker(request, tmp_path):
    """Another process that makes something aside, and what that is."""
    target = tmp_path if request.param == "scratch" else tmp_path / "item"
    argv = [sys.executable, "-c", MAKE, request.param, target]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process, tmp_path / process.stdout.readline().strip()
        process.kill()


def test_what_is_being_made_is_not_swept(maker, tmp_path):
    _, aside = maker
    os.utime(aside, (0, 0))

    assert partial.sweep(tmp_path) == []
    assert aside.exists()


def test_what_a_killed_process_left_is_swept(maker, tmp_path):
    process, aside = maker
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert aside.exists()

    assert partial.sweep(tmp_path) == [aside]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".helm-0123.partial-2403", ".partial-ab12cd", ".root.tar.partial-7.tar"])
def test_what_had_no_lock_yet_is_swept_when_it_is_a_day_old(tmp_path, name):
    left = tmp_path / name
    left.mkdir()
    (left / "half").write_text("half")
    assert partial.sweep(tmp_path) == []

    day_old = time.time() - partial.UNKNOWN_SECONDS - 60
    os.utime(left, (day_old, day_old))
    assert partial.sweep(tmp_path) == [left]


@pytest.mark.parametrize(
    ("make", "swept"),
    [(os.mkfifo, True), (lambda path: path.symlink_to("nowhere"), False), (lambda path: path.symlink_to(path), False)],
    ids=["a pipe", "a link to nowhere", "a link to itself"],
)
def test_what_nobody_made_there_holds_nobody_up(tmp_path, make, swept):
    make(odd := tmp_path / ".helm-0123.partial-0123456789ab")
    assert partial.sweep(tmp_path) == ([odd] if swept else [])


def test_nothing_else_is_swept(tmp_path):
    for name in ("helm-0123", ".hidden", "my.partial.file", "x.partial-1"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))

    assert partial.sweep(tmp_path) == []
    assert partial.sweep(tmp_path / "missing") == []


def test_read_only_folders_are_removed(tmp_path):
    inner = tmp_path / "item" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    inner.chmod(0o500)

    partial.remove(tmp_path / "item")
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), partial.folder(tmp_path / "item") as aside:
        (aside / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_turned_and_is_never_missing(tmp_path):
    for target in ("one", "two"):
        partial.link(tmp_path / "bin" / "helm", tmp_path / target)
        assert (tmp_path / "bin" / "helm").readlink() == tmp_path / target
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["helm"]


def test_a_file_is_made_in_a_folder_that_is_being_made(tmp_path):
    """A recipe's layer is compressed beside its tar, in the folder that it works in."""
    script = (
        "import sys; from pathlib import Path; from ci.supply import partial\n"
        "with partial.scratch(Path(sys.argv[1])) as work:\n"
        "    with partial.file(work / 'layer') as aside: aside.write_text('whole')\n"
        "    print((work / 'layer').read_text())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=300, check=True
    )
    assert ended.stdout == "whole\n"
