"""What doctor says about a machine."""

import json
import os
import socket
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner

from ci.errors import MachineError
from ci.host import preflight
from ci.main import app

CONTAINER = "ml-serving-ci-test-no-such-container"


def test_require_raises_only_for_what_is_missing() -> None:
    preflight.require(preflight.Check("memory", "warning", "little"))
    with pytest.raises(MachineError, match="memory: none") as caught:
        preflight.require(preflight.Check("memory", "missing", "none", "buy some"))
    assert caught.value.fix == "buy some"


@pytest.mark.parametrize(
    ("needed", "cold", "outcome"), [(0, 0, "ok"), (0, 1 << 30, "warning"), (1 << 30, 1 << 30, "missing")]
)
def test_disk_space_of_a_folder_that_is_not_there_yet(needed: int, cold: int, outcome: str, tmp_path: Path) -> None:
    check = anyio.run(preflight.disk, tmp_path / "a" / "b", needed, cold)
    assert check.outcome == outcome
    assert bool(check.fix) == (outcome != "ok")


def test_memory(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16384000 kB\nMemAvailable:    4194304 kB\nHugePages_Total:       0\n")
    assert anyio.run(preflight.memory, 4, meminfo).outcome == "ok"
    assert anyio.run(preflight.memory, 5, meminfo).how == "4.0 GiB available, 5 GiB needed"


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        check = anyio.run(preflight.port, number, CONTAINER, "PORT_VARIABLE")
    assert check.outcome == "missing"
    assert str(number) in check.need
    assert "PORT_VARIABLE" in check.fix
    assert anyio.run(preflight.port, number, CONTAINER, "PORT_VARIABLE").outcome == "ok"


@pytest.mark.parametrize(
    ("folders", "files", "outcome"),
    [((), ("cgroup.controllers",), "ok"), (("memory", "cpu"), (), "ok"), ((), (), "missing")],
)
def test_control_groups(tmp_path: Path, folders: tuple[str, ...], files: tuple[str, ...], outcome: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    for name in files:
        (tmp_path / name).touch()
    assert anyio.run(preflight.cgroups, tmp_path).outcome == outcome


def test_few_inotify_instances_are_a_warning_with_the_command(tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    limit.write_text("64\n")
    check = anyio.run(preflight.inotify, limit)
    assert (check.outcome, check.fix) == ("warning", "sysctl -w fs.inotify.max_user_instances=512")


def test_a_silent_registry_means_source_builds_and_does_not_hang() -> None:
    with socket.socket() as deaf:  # accepts connections and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/v2/"
        check = anyio.run(preflight.registries, [address])
    assert check.outcome == "planned"
    assert "127.0.0.1" in check.how


def test_the_session_of_dagger_run_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGGER_SESSION_PORT", "4711")
    assert anyio.run(preflight.engine, "registry.dagger.io/engine:v0.21.8").how == "session of `dagger run`"


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:1", "unix:///no/such/engine.sock", "tcp://127.0.0.1:port"])
def test_a_remote_engine_that_is_silent_is_missing(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGGER_SESSION_PORT", raising=False)
    monkeypatch.setenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST", host)
    check = anyio.run(preflight.engine, "registry.dagger.io/engine:v0.21.8")
    assert check.outcome == "missing"
    assert host in check.how


def test_a_remote_engine_that_listens_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGGER_SESSION_PORT", raising=False)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        monkeypatch.setenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST", f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        assert anyio.run(preflight.engine, "registry.dagger.io/engine:v0.21.8").outcome == "ok"


def test_an_old_go_is_replaced_not_refused() -> None:
    assert anyio.run(preflight.go, "999.0").outcome == "planned"


def test_doctor_without_docker_and_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "PROBE_SECONDS", 0.2)
    ended = CliRunner().invoke(app, ["doctor", "--json"])
    assert ended.exit_code == 1
    said = json.loads(ended.stdout)
    assert said["ok"] is False
    docker = next(check for check in said["checks"] if check["need"] == "Docker")
    assert docker["outcome"] == "missing"
    assert docker["fix"]
