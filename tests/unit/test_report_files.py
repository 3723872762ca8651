"""A file of the report takes the place of an older one, and of nothing else."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from ci.base import files
from ci.base.paths import ROOT


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    for data in (b"one", b"two"):
        files.write(tmp_path / "new" / "report.json", data)
        assert (tmp_path / "new" / "report.json").read_bytes() == data
    assert os.listdir(tmp_path / "new") == ["report.json"]  # noqa: PTH208 - hidden ones as well


def test_of_a_link_it_is_the_file_behind_it(tmp_path):
    (tmp_path / "link").symlink_to("there/report.json")
    for data in (b"one", b"two"):
        files.write(tmp_path / "link", data)
        assert (tmp_path / "there" / "report.json").read_bytes() == data
    assert (tmp_path / "link").is_symlink()


def test_a_device_stays_one(tmp_path):
    ours, theirs = os.openpty()
    device = os.ttyname(theirs)
    (tmp_path / "link").symlink_to(device)
    path = tmp_path / "link"
    for _ in range(2):
        files.write(path, b"one\n")
        assert path.is_symlink()
        assert os.read(ours, 100) == b"one\r\n"
    assert stat.S_ISCHR(os.stat(device).st_mode)  # noqa: PTH116
    for descriptor in (ours, theirs):
        os.close(descriptor)


def test_a_pipe_stays_one_and_its_reader_gets_all(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    files.write(pipe, b"x" * (1 << 20))
    assert pipe.is_fifo()
    reader.join()
    assert got == [b"x" * (1 << 20)]


WRITES = "import sys; from pathlib import Path; from ci.base import files; print('before', flush=True); \
files.write(Path(sys.argv[1]), b'data\\n'); print('after')"


@pytest.mark.parametrize("to_file", [True, False], ids=["in a file", "in a pipe"])
@pytest.mark.parametrize("name", ["link", "/proc/self/fd/1"])
def test_standard_output_gets_it_among_the_rest(tmp_path, name, to_file):
    (tmp_path / "link").symlink_to("/proc/self/fd/1")  # as /dev/stdout is
    argv = [sys.executable, "-c", WRITES, tmp_path / name]
    with (tmp_path / "out").open("wb") as out:
        ended = subprocess.run(argv, cwd=ROOT, stdout=out if to_file else subprocess.PIPE, check=True, timeout=300)
    said = (tmp_path / "out").read_bytes() if to_file else ended.stdout
    assert said.splitlines() == [b"before", b"data", b"after"]
    assert (tmp_path / "link").is_symlink()
