"""Layers: the same bytes from the same files, with what containers need."""

import tarfile
from pathlib import Path

import pytest
import zstandard

from ci.supply.source import layers


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program"
    file.write_bytes(b"binary")
    file.chmod(0o700)
    return file


def members(layer: Path) -> dict[str, tarfile.TarInfo]:
    with zstandard.open(layer, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        return {member.name: member for member in tar}


def test_executables_links_and_folders(tmp_path: Path, program: Path):
    layer = tmp_path / "layer"
    layers.from_files({"/usr/bin/program": program}, {"/usr/bin/alias": "program"}, ("/tmp", "/data"), layer, "zstd")
    found = members(layer)
    assert found["usr/bin/program"].mode == 0o755
    assert found["usr/bin/program"].uid == 0
    assert found["usr/bin/alias"].linkname == "program"
    assert found["tmp"].isdir()
    assert found["tmp"].mode == 0o1777
    assert found["data"].mode == 0o755


def test_a_file_goes_before_the_one_in_a_folder(tmp_path: Path, program: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "program").write_bytes(b"another one")
    layer = tmp_path / "layer"
    layers.from_files({"/bin": folder, "/bin/program": program}, {}, (), layer, "zstd")
    with zstandard.open(layer, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        assert [member.size for member in tar if member.isfile()] == [len(b"binary")]


def test_times_and_owners_do_not_change_the_bytes(tmp_path: Path, program: Path):
    first, second = tmp_path / "1", tmp_path / "2"
    layers.from_files({"/p": program}, {}, (), first, "gzip")
    program.touch()
    layers.from_files({"/p": program}, {}, (), second, "gzip")
    assert first.read_bytes() == second.read_bytes()


def test_a_script_out_of_a_module_is_executable_where_programs_are(tmp_path: Path):
    script = tmp_path / "script.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o444)
    layer = tmp_path / "layer"
    layers.from_files({"/usr/local/bin/script.sh": script, "/etc/script.sh": script}, {}, (), layer, "zstd")
    found = members(layer)
    assert found["usr/local/bin/script.sh"].mode == 0o755
    assert found["etc/script.sh"].mode == 0o644
