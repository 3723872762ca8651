"""Daemons as people met them: recorded answers of `docker`, replayed by a program of that name."""

import contextlib
import json
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from ci.base.errors import MachineError
from ci.host import client, daemon, docker, limits, machine, oci_runtime, preflight, runtime_shim
from ci.host.daemon import Daemon, Place

RECORDED = Path(__file__).parent / "fixtures" / "docker-info"
NOWHERE = "unix:///run/recorded/docker.sock"
"""In place of the default address, where the tests' own machine may have a daemon."""
OLD = "5.13 needed: kube-proxy's nftables mode refuses older ones"
NERDCTL = "missing Docker: containerd answers as docker, through nerdctl: Docker is the only engine asked for"
PODMAN = "missing Docker: podman answers as docker: Docker is the only engine asked for"

# What doctor says of each: the Docker line, then every line that is no "ok".
SAID = {
    "rootless": [
        f"warning Docker: 24.0.7, overlay2, runtime runc, rootless, at {NOWHERE} (on another machine): not tried"
    ],
    "rootless-no-cgroups": [
        "missing Docker: Docker 19.03.0-rc3, 20.10 needed: kind asks for control group namespaces, which came with it",
        f"missing kernel: 5.1.11-200.fc29.x86_64, {OLD}",
    ],
    "userns-remap": [
        "missing Docker: the Docker daemon remaps users (userns-remap): privileged containers cannot start",
        f"missing kernel: 5.8.0-55-generic, {OLD}",
    ],
    "snap": [
        "missing Docker: Docker from snap sees neither hidden folders nor those outside HOME, "
        "so not the cache HOME/.cache"
    ],
    "selinux-fedora-32": [
        "missing Docker: Docker 19.03.11, 20.10 needed: kind asks for control group namespaces, which came with it",
        f"missing kernel: 5.8.10-200.fc32.x86_64, {OLD}",
    ],
    "selinux-centos-7": [
        "missing Docker: Docker 18.06.2-ce, 20.10 needed: kind asks for control group namespaces, which came with it",
        f"missing kernel: 3.10.0-1127.el7.x86_64, {OLD}",
        "missing memory: 3.6 GiB at the daemon's machine, 4 GiB needed",
    ],
    "docker-desktop-mac": [
        "ok Docker: 29.3.1, overlayfs, runtime runc, at unix:///Users/user/.docker/run/docker.sock (Docker Desktop)"
    ],
    "docker-desktop-windows": [
        "ok Docker: 29.3.1, overlayfs, runtime runc, at npipe:////./pipe/dockerDesktopLinuxEngine (Docker Desktop)",
        "missing memory: 3.8 GiB at the daemon's machine, 4 GiB needed",
    ],
    "docker-desktop-wsl2-old": [
        f"ok Docker: 20.10.2, overlay2, runtime runc, at {NOWHERE} (Docker Desktop)",
        f"missing kernel: 5.4.72-microsoft-standard-WSL2, {OLD}",
    ],
    "colima": [
        "ok Docker: 29.5.2, overlayfs, runtime runc, at unix:///Users/user/.colima/default/docker.sock (colima)",
        "missing memory: 1.9 GiB at the daemon's machine, 4 GiB needed",
    ],
    "orbstack": [
        "ok Docker: 28.5.2, overlay2, runtime runc, at unix:///Users/user/.orbstack/run/docker.sock (OrbStack)"
    ],
    "rancher-desktop": [
        "ok Docker: 23.0.6, overlay2, runtime runc, at unix:///Users/user/.rd/docker.sock (Rancher Desktop)"
    ],
    "podman-docker": [PODMAN],
    "podman-socket": [PODMAN],
    "podman-version": [PODMAN],
    "nerdctl": [NERDCTL],
    "nerdctl-version": [NERDCTL],
    "dind-gitlab": ["ok Docker: 24.0.5, overlay2, runtime runc, at tcp://docker:2376 (on another machine)"],
    "codespaces": [f"ok Docker: 29.8.0-1, overlayfs, runtime runc, at {NOWHERE} (on another machine)"],
    "raspberry-pi-4": [
        f"ok Docker: 20.10.5+dfsg1, overlay2, runtime runc, at {NOWHERE} (on another machine)",
        "missing control groups: version 2, driver systemd: the daemon does without memory",
    ],
    "ubuntu-20.04": [
        f"ok Docker: 26.1.3, overlay2, runtime runc, at {NOWHERE} (on another machine)",
        f"missing kernel: 5.4.0-216-generic, {OLD}",
    ],
    "kylin-v10": [
        f"ok Docker: 24.0.9, overlay2, runtime runc, at {NOWHERE} (on another machine)",
        f"missing kernel: 4.19.90-25.37.v2101.ky10.x86_64, {OLD}",
    ],
    "debian-12": [
        f"ok Docker: 20.10.24+dfsg1, overlay2, runtime {runtime_shim.NAME}, at {NOWHERE} (on another machine)"
    ],
}
FIXES = {
    "colima": ("memory", "colima stop && colima start --cpu 4 --memory 8"),
    "docker-desktop-windows": ("memory", "Docker Desktop, Settings, Resources: 8 GB of memory"),
    "docker-desktop-wsl2-old": ("kernel", "wsl --update"),
    "ubuntu-20.04": ("kernel", "apt-get install -y linux-generic-hwe-20.04"),
    "raspberry-pi-4": ("control groups", "cgroup_enable=memory"),
    "rootless": ("Docker", "docker context use default"),
    "snap": ("Docker", "snap remove docker"),
    "userns-remap": ("Docker", 'config.pop("userns-remap")'),
    "podman-docker": ("Docker", "remove -y podman-docker"),
    "kylin-v10": ("kernel", "docker context use newer"),
}


def recorded(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return answer


def known(name: str, **changed: Any) -> Daemon:
    """Return a recorded daemon, at an address where none is."""
    found = daemon.parse(json.dumps({**recorded(name)["info"], **changed}), where=Place(endpoint=NOWHERE))
    assert found is not None
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a word of Docker, and an environment without one."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ML_SERVING_CI_CACHE", str(tmp_path / ".cache"))
    return tmp_path


@pytest.fixture
def docker_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a `docker` on PATH."""

    def put(script: str) -> None:
        program = home / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return put


async def judged(cache: Path) -> list[machine.Check]:
    check, found = await preflight.docker()
    # what any daemon's machine has unseen, and this one's own, is not of interest here
    about = ("Docker", "kernel", "control groups", "memory", "CPUs")
    return [check, *(other for other in machine.checks(cache, found) if found and other.need in about)]


@pytest.mark.parametrize("name", sorted(file.stem for file in RECORDED.glob("*.json")))
def test_a_daemon_as_recorded(
    name: str, home: Path, docker_program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = recorded(name)
    for question in ("info", "version"):
        (home / question).write_text(json.dumps(answer.get(question) or ""))
    (home / "context").write_text(" ".join(answer.get("context") or ("default", NOWHERE)))
    docker_program(f'exec cat "{home}/$1"')
    # podman calls it amd64, and both were recorded on the machine that asked
    monkeypatch.setattr(platform, "machine", lambda: answer["info"].get("Architecture", "x86_64"))
    checks = anyio.run(judged, home)
    shown = [f"{check.outcome} {check.need}: {check.how}".replace(str(home), "HOME") for check in checks]
    assert [shown[0], *(line for line in shown[1:] if not line.startswith("ok "))] == SAID[name]
    assert all(check.fix for check in checks if check.outcome != "ok")
    if name in FIXES:
        need, fix = FIXES[name]
        assert fix in next(check.fix for check in checks if check.need == need)


def test_every_recorded_answer_has_its_source() -> None:
    sources = [recorded(file.stem)["source"] for file in RECORDED.glob("*.json")]
    assert sources
    assert [
        one for one in sources if not re.search(r"https://github|its daemon's ID|machine of this project", one)
    ] == []


def test_security_options_with_and_without_their_values() -> None:
    assert known("rootless").security == {"seccomp", "rootless", "cgroupns"}
    assert known("userns-remap").security == {"apparmor", "seccomp", "userns"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"OSType": "windows"}, "runs windows containers"),
        ({"Architecture": "armv7l"}, "is armv7l, this one x86_64"),
        ({"ServerVersion": "19.03.15"}, r"Docker 19\.03\.15, 20\.10 needed"),
        ({"SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}, "rootless and controls no resources"),
    ],
)
def test_a_daemon_that_cannot_run_a_cluster(
    changed: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    docker.require_usable(known("ubuntu-20.04"))
    with pytest.raises(MachineError, match=message) as caught:
        docker.require_usable(known("ubuntu-20.04", **changed))
    assert caught.value.fix


@pytest.mark.parametrize("version", ["dev", "library-import", "20.10", "20.10.0-rc1", "29.8.0-1"])
def test_a_version_that_is_new_enough_or_no_number(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    docker.require_usable(known("ubuntu-20.04", ServerVersion=version))


def test_snap_may_serve_a_cache_that_it_sees(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("ML_SERVING_CI_CACHE", str(home / "ml-serving-ci"))
    docker.require_usable(known("snap"))
    monkeypatch.setenv("ML_SERVING_CI_CACHE", "/var/cache/ml-serving-ci")
    with pytest.raises(MachineError, match="snap"):
        docker.require_usable(known("snap"))


@pytest.mark.parametrize(
    ("environment", "config", "chosen", "fix"),
    [
        ({}, "", False, ""),
        ({}, '{"currentContext": "default"}', False, ""),
        ({}, "not json", False, ""),
        ({"DOCKER_HOST": "unix:///var/run/docker.sock"}, '{"currentContext": "colima"}', False, ""),
        ({"DOCKER_CONTEXT": "default"}, '{"currentContext": "colima"}', False, ""),
        ({"DOCKER_HOST": ""}, '{"currentContext": "colima"}', True, "colima start   # or: docker context use default"),
        ({}, '{"currentContext": "desktop-linux"}', True, "docker desktop start"),
        ({"DOCKER_CONTEXT": "colima-work"}, "", True, "colima start work   # or: unset DOCKER_CONTEXT"),
        ({"DOCKER_CONTEXT": "orbstack"}, "", True, "orb start"),
        ({"DOCKER_HOST": "unix:///home/user/.rd/docker.sock"}, "", True, "rdctl start   # or: unset DOCKER_HOST"),
        ({"DOCKER_HOST": "tcp://docker:2376", "DOCKER_CONTEXT": "colima"}, "", True, "unset DOCKER_HOST"),
        ({"DOCKER_HOST": "unix:///run/user/1000/docker.sock"}, "", True, "systemctl --user start docker"),
        ({"DOCKER_CONTEXT": "staging"}, "", True, "unset DOCKER_CONTEXT   # or start the daemon there"),
    ],
)
def test_nothing_is_installed_beside_a_daemon_that_was_chosen(
    environment: dict[str, str], config: str, chosen: bool, fix: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config.json").write_text(config)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert daemon.place().chosen == chosen
    assert machine.here(None) == (not chosen)
    if chosen:
        (home / "docker").touch(0o755)
        monkeypatch.setenv("PATH", str(home))
        with pytest.raises(MachineError, match="no Docker daemon answers at") as caught:
            docker.require_startable(install=True)
        assert str(caught.value.fix).startswith(fix)
        needs = {check.need for check in machine.checks(home, None)}
        assert not needs & {"kernel", "memory", "control groups", "capabilities"}  # they would be the client's


def test_nothing_is_installed_beside_podman(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "podman").touch(0o755)
    monkeypatch.setattr(daemon, "listens", lambda endpoint: False)
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MachineError, match="podman is here and no Docker") as caught:
        docker.require_startable(install=True)
    assert caught.value.fix


@pytest.mark.parametrize(("host", "root"), [("", False), ("", True), ("tcp://docker:2376", True)])
def test_a_daemon_without_a_docker_command(host: str, root: bool, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given: a container without privileges, with the daemon's socket and no docker command in it
    monkeypatch.setenv("PATH", str(home))
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(oci_runtime, "missing_here", lambda: frozenset({"CAP_SYS_ADMIN"}))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home / "docker.sock"))
        monkeypatch.setattr(daemon, "place", lambda: placed(home, host))
        listening.listen()
        # Then: where it can be installed it will be, and no daemon with it
        if root and not host:
            (home / "apt-get").touch(0o755)
            docker.require_startable(install=True)
            (home / "apt-get").unlink()
        with pytest.raises(MachineError, match="there is no docker command to ask the Docker daemon at ") as caught:
            docker.require_startable(install=True)
    assert "docker-cli" in str(caught.value.fix)


def placed(folder: Path, host: str) -> Place:
    return (
        Place(endpoint=host, set_by=f"DOCKER_HOST={host}") if host else Place(endpoint=f"unix://{folder}/docker.sock")
    )


@pytest.mark.parametrize(
    ("set_by", "fix"),
    [
        ("DOCKER_HOST=unix:///run/user/1000/podman/podman.sock", "unset DOCKER_HOST   # podman is there"),
        ("context podman of /c/config.json", "docker context use default   # podman is there"),
    ],
)
def test_where_podman_was_chosen_that_is_to_be_undone(set_by: str, fix: str) -> None:
    answer = recorded("podman-version")
    with pytest.raises(MachineError, match="podman answers as docker") as caught:
        daemon.parse("{}", version=json.dumps(answer["version"]), where=Place(set_by=set_by))
    assert caught.value.fix == fix


def test_no_daemon_is_started_in_a_container_without_privileges(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(oci_runtime, "missing_here", lambda: frozenset({"CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"}))
    monkeypatch.setattr(daemon, "listens", lambda endpoint: False)
    with pytest.raises(MachineError, match=r"may not start one: it lacks CAP_SYS_ADMIN$") as caught:
        docker.require_startable(install=True)
    assert "docker.sock" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("script", "message", "fix"),
    [
        ("echo '<html>busy</html>'", "does not answer as Docker does: '<html>busy</html>'", "type -a docker"),
        ("kill -SEGV $$", "ended with exit code -11 and said nothing", "type -a docker; docker info"),
        ("exit 0", "ended with exit code 0 and said nothing", "type -a docker"),
        ("echo '[1, 2]'", "does not answer as Docker does", "type -a docker"),
        ('echo \'{"ServerVersion": "9", "NCPU": "many"}\'', "does not answer as Docker does", "type -a docker"),
        (
            'echo \'{"ServerVersion": "28.0", "DockerRootDir": true}\'',
            "does not answer as Docker does",
            "type -a docker",
        ),
        ('echo \'{"ServerVersion": "28.0", "MemTotal": 1e999}\'', "does not answer as Docker does", "type -a docker"),
        ('echo \'{"ServerVersion": "28.0", "Architecture": ["x"]}\'', "does not answer as Docker", "type -a docker"),
        ('echo \'{"Server": "up", "ServerErrors": 5}\'', "does not answer as Docker does", "type -a docker"),
        (
            "echo 'error: x509: certificate has expired' >&2; exit 1",
            "x509: certificate has expired",
            "DOCKER_CERT_PATH",
        ),
        ("echo 'context \"work\": context not found' >&2; exit 1", "context not found", "docker context use default"),
        ("echo 'Emulate Docker CLI using podman.' >&2; exit 125", "podman answers as docker", "podman-docker"),
    ],
)
def test_a_docker_that_answers_otherwise(
    script: str, message: str, fix: str, docker_program: Callable[[str], None]
) -> None:
    docker_program(script)
    check, found = anyio.run(preflight.docker)
    assert (check.outcome, found) == ("missing", None)
    assert message in check.how
    assert fix in check.fix


SSH = (
    "error during connect: Get http://docker/v1.40/info: command [ssh -l jo -p 2222 -- build docker system dial-stdio] "
    "has exited with exit status 255, please make sure the URL is valid, and Docker 18.09 or later is installed on the "
    "remote host: stderr="
)
"""https://github.com/sagebind/docker-swarm-deploy-action/issues/2"""
DESKTOP = (
    "request returned 500 Internal Server Error for API route and version "
    "http://%2FUsers%2Fjo%2F.docker%2Frun%2Fdocker.sock/v1.51/version, check if the server supports the requested API "
    "version"
)
"""https://github.com/docker/for-mac/issues/7775"""
WSL = """
The command 'docker' could not be found in this WSL {} distro.
We recommend to activate the WSL integration in Docker Desktop settings.

For details about using Docker Desktop with WSL 2, visit:

https://docs.docker.com/go/wsl2/
"""
"""https://github.com/microsoft/WSL/issues/9949"""
CONFIG = "WARNING: Error loading config file: /home/podman/.docker/config.json: open it: permission denied\n"


@pytest.mark.parametrize(
    ("said", "message", "fix"),
    [
        (f"{SSH}jo@build: Permission denied (publickey).", "ssh gets to no Docker daemon: jo@build: Permission denied",
         "ssh -l jo -p 2222 -- build docker info"),
        (f"{SSH}Host key verification failed.", "no Docker daemon: Host key verification failed.", "ssh -l jo -p 2222"),
        (f"{SSH}bash: docker: command not found", "bash: docker: command not found", "ssh -l jo -p 2222 -- build"),
        # https://github.com/siderolabs/talos/issues/6706
        ("Error response from daemon: Client sent an HTTP request to an HTTPS server.", "do not agree on TLS: Err",
         "export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH="),
        # https://github.com/firecow/gitlab-ci-local/issues/1113
        ('error during connect: Get "https://docker:2376/v1.24/info": tls: failed to verify certificate: x509: '
         "certificate signed by unknown authority", "do not agree on TLS", "DOCKER_CERT_PATH="),
        # https://github.com/moby/moby/pull/52192
        ("error during connect: http: server gave HTTP response to HTTPS client", "do not agree on TLS",
         "unset DOCKER_TLS_VERIFY"),
        (DESKTOP, "does not get its answer out: request returned 500", "restart Docker Desktop: docker desktop start"),
        (DESKTOP.replace("docker/run", "x/run").replace(".docker", "x"), "does not get its answer out",
         "restart the Docker daemon"),
        (DESKTOP.replace("%2FUsers%2Fjo%2F.docker%2Frun%2Fdocker.sock", "%2F%2F.%2Fpipe%2FdockerDesktopLinuxEngine"),
         "does not get its answer out", "restart Docker Desktop"),
        (WSL.format(2), "not integrated with this WSL distribution", "Docker Desktop, Settings, Resources, WSL"),
        (WSL.format(1), "not integrated with this WSL distribution", "wsl --set-version DISTRIBUTION 2, then Docker"),
        ("dial unix /var/run/docker.sock: connect: permission denied", "may not use", "sudo usermod -aG docker"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_a_daemon_that_is_there_and_not_reached(
    said: str, message: str, fix: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(client, "MOUNTS", Path("/nonexistent"))
    if where == "stdout" and "WSL" not in said:
        said = json.dumps({"ServerErrors": [said]})
    with pytest.raises(MachineError) as caught:
        daemon.parse(*((said, "") if where == "stdout" else ("", said)))
    assert message in caught.value.message
    assert str(caught.value.fix).startswith(fix) or fix in str(caught.value.fix)


def test_a_user_of_a_container_needs_the_sockets_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    folder = f"/var/lib/docker/containers/{'beef' * 16}"
    (tmp_path / "mountinfo").write_text(f"1 2 0:3 {folder}/hostname /etc/hostname rw - ext4 /dev/vda rw\n")
    monkeypatch.setattr(client, "MOUNTS", tmp_path / "mountinfo")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "docker.sock"))
        for name, group in (("docker.sock", (tmp_path / "docker.sock").stat().st_gid), ("none", "$(stat --format %g")):
            with pytest.raises(MachineError) as caught:
                daemon.parse(
                    "", "dial unix: connect: permission denied", where=Place(endpoint=f"unix://{tmp_path}/{name}")
                )
            assert str(caught.value.fix).startswith(f"docker run --group-add {group} ")


@pytest.mark.parametrize(
    ("set_by", "fix"),
    [
        ("DOCKER_HOST=tcp://[::1", "unset DOCKER_HOST   # or correct it: DOCKER_HOST=tcp://[::1"),
        (
            "context work of /c/config.json",
            "docker context use default   # or correct it: context work of /c/config.json",
        ),
        ("", "docker info"),
    ],
)
def test_an_address_that_docker_cannot_read_is_to_be_corrected_where_it_was_set(set_by: str, fix: str) -> None:
    said = "Failed to initialize: unable to resolve docker endpoint: parse \"tcp://[::1\": missing ']' in host"
    with pytest.raises(MachineError) as caught:
        daemon.parse("", said, where=Place(set_by=set_by))
    assert caught.value.fix == fix


def test_root_that_may_not_use_a_mounted_socket_is_told_of_selinux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MachineError) as caught:
        daemon.parse("", "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock")
    assert "label=disable" in str(caught.value.fix)


@pytest.mark.parametrize(
    "said",
    [
        f"{SSH}ssh: connect to host build port 2222: Connection refused",
        f"{SSH}ssh: Could not resolve hostname build: Name or service not known",
        f"{CONFIG.replace('podman', 'jo')}Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
        "Is the docker daemon running?",
    ],
)
def test_a_daemon_that_is_not_there_is_none(said: str) -> None:
    assert daemon.parse("", said) is None


def test_what_docker_warns_of_beside_its_answer_is_no_refusal() -> None:
    found = daemon.parse(json.dumps(recorded("ubuntu-20.04")["info"]), CONFIG)
    assert found is not None


def test_a_docker_that_hangs(docker_program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "ANSWER_SECONDS", 0.3)
    docker_program("exec sleep 60")
    check, _ = anyio.run(preflight.docker)
    assert (check.outcome, check.fix) == ("missing", "docker info")
    assert "does not answer within" in check.how


def test_a_docker_of_another_architecture(
    home: Path, docker_program: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    docker_program("")
    monkeypatch.setenv("PATH", str(home / "bin"))
    (home / "bin" / "docker").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    check, _ = anyio.run(preflight.docker)
    assert check.outcome == "missing"
    assert f"{home}/bin/docker" in check.fix


def test_another_machines_daemon_is_not_judged_by_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_runtime, "missing_here", lambda process=None: frozenset({"CAP_SYS_ADMIN"}))
    docker.require_privileged(known("ubuntu-20.04"))
    found = known("ubuntu-20.04")
    monkeypatch.setattr(daemon, "_listener", lambda endpoint: 4711)
    with pytest.raises(MachineError, match="CAP_SYS_ADMIN"):
        docker.require_privileged(known("ubuntu-20.04"))
    assert (found.where, known("ubuntu-20.04").where) == ("elsewhere", "here")


def test_where_a_daemon_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"KernelVersion": limits.kernel(), "MemTotal": limits.memory_total()}
    assert known("ubuntu-20.04", **here).where == "this kernel"  # no dockerd listens there that is seen from here
    assert known("ubuntu-20.04", **here | {"MemTotal": 1 << 30}).where == "elsewhere"
    said = json.dumps(recorded("dind-gitlab")["info"] | here)
    twin = daemon.parse(said, where=Place(endpoint="tcp://10.0.0.7:2376", set_by="DOCKER_HOST"))
    assert twin is not None
    assert twin.where == "elsewhere"  # the same machine type with the same kernel, rented twice


LISTEN = """
import socket, sys
family, address = (socket.AF_UNIX, sys.argv[1]) if sys.argv[1:] else (socket.AF_INET, ("127.0.0.1", 0))
with socket.socket(family) as listening:
    listening.bind(address)
    listening.listen()
    print(address if sys.argv[1:] else listening.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def listening(folder: Path, program: str, *address: str) -> Iterator[tuple[int, str]]:
    """Have a process by a name that listens, at a socket's path or on a port of the loopback."""
    (folder / program).symlink_to(sys.executable)
    with subprocess.Popen(
        [folder / program, "-c", LISTEN, *address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip()
        process.kill()


def located(endpoint: str) -> tuple[int | None, bool]:
    return daemon.locate(Place(endpoint=endpoint), limits.kernel(), limits.memory_total())


def test_what_listens_on_the_loopback_is_this_machines_daemon_or_leads_elsewhere(tmp_path: Path) -> None:
    """As `ssh -L 2375:/var/run/docker.sock` beside a daemon of this machine's own."""
    with listening(tmp_path, "dockerd") as (own, port), listening(tmp_path, "ssh") as (_, forwarded):
        assert located(f"tcp://127.0.0.1:{port}") == (own, True)
        assert located(f"tcp://localhost:{forwarded}")[0] is None


def test_a_socket_that_ssh_forwards_is_not_this_machines_be_it_of_the_same_type(tmp_path: Path) -> None:
    with listening(tmp_path, "ssh", str(tmp_path / "forwarded.sock")) as (_, forwarded):
        assert located(f"unix://{forwarded}") == (None, False)
    with listening(tmp_path, "socat", str(tmp_path / "proxied.sock")) as (_, proxied):
        assert located(f"unix://{proxied}") == (None, True)
