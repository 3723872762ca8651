"""Finding Docker, and what is said where it cannot be had."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.base.errors import MachineError
from ci.host import daemon, docker, engine, oci_runtime, packages, runtime_shim


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [
        ('{"ID":"","ServerErrors":["Cannot connect to the Docker daemon at unix:///var/run/docker.sock."]}', ""),
        ("", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"),
        ("null", ""),
    ],
)
def test_no_daemon(stdout: str, stderr: str) -> None:
    assert daemon.parse(stdout, stderr) is None


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("client version 1.41 is too old. Minimum supported API version is 1.44", "different API versions"),
        ("Got permission denied while trying to connect to the Docker daemon socket", "may not use"),
    ],
)
def test_a_daemon_that_cannot_be_used(problem: str, message: str) -> None:
    with pytest.raises(MachineError, match=message) as caught:
        daemon.parse(json.dumps({"ServerErrors": [problem]}))
    assert caught.value.fix
    assert caught.value.detail == problem


@pytest.fixture
def no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is no docker; whether the tests' own machine has a daemon does not count."""
    monkeypatch.setattr(daemon, "listens", lambda endpoint: False)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setenv("DOCKER_CONFIG", str(empty))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    return tmp_path


def ensure(folder: Path, *, install: bool) -> None:
    async def call() -> None:
        await docker.ensure(folder, install=install)

    anyio.run(call)


def test_without_leave_to_install_the_commands_are_named(no_daemon: Path) -> None:
    with pytest.raises(MachineError, match="no Docker daemon answers") as caught:
        ensure(no_daemon, install=False)
    assert "docker" in (caught.value.fix or "").lower()


def test_a_user_who_is_not_root_gets_the_commands(no_daemon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MachineError, match="only root"):
        ensure(no_daemon, install=True)


@pytest.mark.parametrize(
    ("said", "message", "fix"),
    [
        ("E: Unable to locate package docker.io", "apt-get: exit code 100: E: Unable to locate", "apt-get update && "),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend", "Could not get lock", "apt-get update && "),
        ("E: write (28: No space left on device)", "No space left on device", "df -h; df -i"),
    ],
)
def test_a_package_that_cannot_be_installed_is_this_machines_fault(
    said: str, message: str, fix: str, no_daemon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = no_daemon / "empty" / "apt-get"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2; exit 100\n")
    program.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MachineError, match=r"^docker.io: not installed here, and ") as caught:
        anyio.run(packages.install, "docker.io")
    assert message in caught.value.message
    assert str(caught.value.fix).startswith(fix)


def test_a_remote_daemon_that_is_silent_is_not_replaced_by_a_local_one(
    no_daemon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(MachineError, match=r"DOCKER_HOST=tcp://127.0.0.1:1"):
        ensure(no_daemon, install=True)


STARTED = """
import anyio, pathlib
from ci.base.errors import MachineError
from ci.host import docker, oci_runtime
oci_runtime.missing_here = lambda process=None: frozenset()
try:
    anyio.run(docker._start, pathlib.Path("/nonexistent"))
except MachineError as error:
    print(error.message, error.fix, sep="\\n")
"""


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_service_that_does_not_start_is_this_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho Job for docker.service failed. >&2; exit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    script = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$0" -c "$1"'
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, STARTED],
        cwd=paths.ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=True,
    )
    assert ended.stdout.splitlines() == [
        "the Docker daemon did not start: systemctl: exit code 1: Job for docker.service failed.",
        "journalctl -xeu docker",
    ]


def test_plain_runc_is_refused_where_capabilities_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = daemon.Daemon(version="20.10.24", process=os.getpid())
    monkeypatch.setattr(oci_runtime, "missing_here", lambda process: frozenset({"CAP_SYS_RESOURCE"}))
    with pytest.raises(MachineError, match="CAP_SYS_RESOURCE"):
        docker.require_privileged(plain)
    docker.require_privileged(dataclasses.replace(plain, default_runtime=runtime_shim.NAME))
    monkeypatch.setattr(oci_runtime, "missing_here", lambda process: frozenset())
    docker.require_privileged(plain)


def test_the_users_own_configuration_is_kept() -> None:
    user = {"data-root": "/data", "storage-driver": "btrfs", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}
    made = docker.configuration(user, Path("/c/dockerd.pid"), Path("/c/shim"))
    assert made["data-root"] == "/data"
    assert made["storage-driver"] == "btrfs"
    assert made["runtimes"] == {"crun": {"path": "/usr/bin/crun"}, runtime_shim.NAME: {"path": "/c/shim"}}
    assert made["default-runtime"] == runtime_shim.NAME
    assert user["runtimes"] == {"crun": {"path": "/usr/bin/crun"}}


def test_no_runtime_is_registered_where_none_is_needed() -> None:
    made = docker.configuration({}, Path("/c/dockerd.pid"), None)
    assert "default-runtime" not in made
    assert "runtimes" not in made


def test_log_options_are_not_forced_on_another_log_driver() -> None:
    assert "log-opts" not in docker.configuration({"log-driver": "journald"}, Path("/c/pid"), None)


def started(name: str, config: Path) -> subprocess.Popen[bytes]:
    """Start a program under a name, and return when it runs."""
    program = subprocess.Popen(
        [name, "-c", "echo runs; read line", "--config-file", config],
        executable="/bin/sh",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == b"runs\n"
    return program


def test_a_daemon_is_known_by_its_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    with started("editor", config) as editor, started("dockerd", config) as running:
        assert docker.started_with(config) == running.pid
        assert docker.started_with(tmp_path / "other.json") is None
        running.communicate(b"\n")
        assert docker.started_with(config) is None
        editor.communicate(b"\n")


def test_a_process_table_entry_that_matches(tmp_path: Path) -> None:
    for number, words in {
        "12": ["dockerd"],
        "34": ["/usr/sbin/dockerd", "--config-file", "/c/daemon.json", ""],
    }.items():
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_text("\0".join(words))
    assert docker.started_with(Path("/c/daemon.json"), tmp_path) == 34
    assert docker.started_with(Path("/d/daemon.json"), tmp_path) is None


def test_the_engines_mirrors_are_spoken_to_in_plain_http() -> None:
    made = engine.configuration({"docker.io": "registry:5000/docker.io", "quay.io": "registry:5000/quay.io"})
    assert made["registries"] == {
        "docker.io": {"mirrors": ["registry:5000/docker.io"]},
        "quay.io": {"mirrors": ["registry:5000/quay.io"]},
        "registry:5000": {"http": True},
    }


def test_every_client_of_a_version_finds_the_same_container() -> None:
    assert engine.container_name("registry.dagger.io/engine:v0.21.8") == "dagger-engine-v0.21.8"


@pytest.mark.parametrize(
    "said",
    [
        'failed to parse pool request for address space "LocalDefault" pool "": could not find an available predefined '
        "network",
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        "could not find an available, non-overlapping IPv6 address pool among the defaults to assign to the network",
        "all predefined address pools have been fully subnetted",
        "invalid pool request: Pool overlaps with other one on this address space",
        "cannot create network 1 (br-1): conflicts with network 2 (br-2): networks have overlapping IPv4",
        "failed to allocate gateway (): No available addresses on this pool",
        "could not find free subnet from subnet pools",
    ],
)
def test_no_address_range_left_is_known_by_each_engines_words(said: str) -> None:
    assert docker.NO_ADDRESSES.search(f"Error response from daemon: {said}")


@pytest.mark.parametrize(
    "said",
    ["network with name ml-serving-ci-overlap already exists", "permission denied", "Cannot connect to the daemon"],
)
def test_other_errors_are_not_taken_for_it(said: str) -> None:
    assert not docker.NO_ADDRESSES.search(f"Error response from daemon: {said}")
