"""The OCI runtime shim, with real files and real processes."""

import json
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from ci.host import oci_runtime, runtime_shim

STATUS = "Name:\tbash\nCapEff:\t000001fffeffffff\nCapBnd:\t{}\nNoNewPrivs:\t0\n"
PROCESS = {
    "args": ["true"],
    "capabilities": {
        "bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"],
        "effective": ["CAP_SYS_RESOURCE"],
        "ambient": None,
    },
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(
        json.dumps({"ociVersion": "1.0.2", "process": PROCESS, "root": {"path": "/"}})
    )
    return tmp_path


def capabilities(file: Path) -> dict[str, list[str] | None]:
    content = json.loads(file.read_text())
    return content.get("process", content)["capabilities"]


def test_missing_are_the_zero_bits_up_to_the_kernels_last() -> None:
    assert oci_runtime.missing_capabilities(STATUS.format("000001fffeffffff"), 40) == {"CAP_SYS_RESOURCE"}
    assert oci_runtime.missing_capabilities(STATUS.format("000001ffffffffff"), 40) == frozenset()


def test_capabilities_this_kernel_does_not_have_are_not_missing() -> None:
    assert oci_runtime.missing_capabilities(STATUS.format("0000003fffffffff"), 37) == frozenset()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--root", "/run/x", "--log", "log.json", "create", "--bundle", "{}", "--pid-file", "p", "id"],
        ["create", "--bundle={}", "id"],
        ["run", "-b", "{}", "id"],
        ["restore", "--bundle", "{}", "id"],
    ],
)
def test_a_bundle_loses_only_what_is_missing(bundle: Path, arguments: list[str]) -> None:
    oci_runtime.edit([word.format(bundle) for word in arguments], frozenset({"CAP_SYS_RESOURCE"}))
    assert capabilities(bundle / "config.json") == {"bounding": ["CAP_CHOWN"], "effective": [], "ambient": None}
    assert json.loads((bundle / "config.json").read_text())["root"] == {"path": "/"}


def test_the_bundle_is_the_working_folder_by_default(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    oci_runtime.edit(["create", "id"], frozenset({"CAP_CHOWN"}))
    assert capabilities(bundle / "config.json")["bounding"] == ["CAP_SYS_RESOURCE"]


@pytest.mark.parametrize("option", [["--process", "{}"], ["-p", "{}"], ["--process={}"]])
def test_exec_edits_its_process_file(tmp_path: Path, option: list[str]) -> None:
    file = tmp_path / "process.json"
    file.write_text(json.dumps(PROCESS))
    oci_runtime.edit(["exec", *(word.format(file) for word in option), "id"], frozenset({"CAP_SYS_RESOURCE"}))
    assert capabilities(file)["bounding"] == ["CAP_CHOWN"]


@pytest.mark.parametrize(
    "arguments", [["delete", "--force", "id"], ["state", "id"], ["--version"], ["exec", "id", "ls"]]
)
def test_other_commands_touch_no_file(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    oci_runtime.edit(arguments, frozenset({"CAP_SYS_RESOURCE"}))
    assert list(tmp_path.iterdir()) == []


def test_the_installed_program_needs_neither_checkout_nor_virtual_environment(bundle: Path, tmp_path: Path) -> None:
    shim = anyio.run(runtime_shim.install, tmp_path / "with space")
    interpreter = Path(shim.read_text().splitlines()[0].removeprefix("#!").split()[0])
    assert interpreter.parent.parent != Path(sys.prefix) or sys.prefix == sys.base_prefix

    runc = tmp_path / "bin" / "runc"
    runc.parent.mkdir()
    runc.write_text('#!/bin/sh\necho "$@"\n')
    runc.chmod(0o755)
    ended = subprocess.run(
        [shim, "create", "--bundle", bundle, "id"],
        env={"PATH": f"{runc.parent}:/usr/bin:/bin", "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == f"create --bundle {bundle} id\n"
    left = {name for names in capabilities(bundle / "config.json").values() for name in names or []}
    assert left == {"CAP_CHOWN", "CAP_SYS_RESOURCE"} - oci_runtime.missing_here()


def test_installing_again_leaves_the_file_alone(tmp_path: Path) -> None:
    before = anyio.run(runtime_shim.install, tmp_path).stat().st_ino
    assert anyio.run(runtime_shim.install, tmp_path).stat().st_ino == before
