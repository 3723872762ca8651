"""Where this process stands to the daemon's containers."""

import json
import os
import socket
import stat
import subprocess
from pathlib import Path

import anyio
import pytest

from ci.base import settings
from ci.base.errors import MachineError
from ci.host import client, daemon, docker
from ci.host.client import Client
from ci.supply import registry

OWN = "c3f1" * 16
OTHER = "0d2e" * 16

IN_A_CONTAINER = f"""\
553 440 0:49 / / rw,relatime master:181 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AB
560 559 0:57 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k
561 553 8:1 /var/lib/docker/containers/{OWN}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw
562 553 8:1 /var/lib/docker/containers/{OWN}/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
563 553 8:1 /var/lib/docker/containers/{OWN}/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
"""
ROOTLESS = f"70 60 8:1 /home/jo/.local/share/docker/containers/{OWN}/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"
ON_THE_HOST = f"""\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
99 27 0:45 / /var/lib/docker/containers/{OTHER}/mounts/shm rw - tmpfs shm rw
98 27 8:1 /containers/{OTHER}/hostname /srv/copy rw - ext4 /dev/sda1 rw
"""
IN_A_POD = "88 70 8:1 /var/lib/kubelet/pods/1b2c/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("mounts", "ids"),
    [(IN_A_CONTAINER, [OWN]), (ROOTLESS, [OWN]), (ON_THE_HOST, []), (IN_A_POD, []), ("", [])],
    ids=["container", "rootless", "host", "pod", "no /proc"],
)
def test_a_process_knows_its_own_container_and_takes_no_other_for_it(mounts: str, ids: list[str]) -> None:
    assert client.own_container(mounts) == ids


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("unix:///var/run/docker.sock", "127.0.0.1"),
        ("npipe:////./pipe/docker_engine", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("tcp://127.0.0.1:2375", "127.0.0.1"),
        ("tcp://localhost:2375", "127.0.0.1"),
        ("tcp://127.0.1.1:2375", "127.0.0.1"),
        ("tcp://0.0.0.0:2375", "127.0.0.1"),
        ("tcp://[::1]:2375", "127.0.0.1"),
        ("tcp://[::]:2375", "127.0.0.1"),
        ("tcp://10.1.2.3:2376", "10.1.2.3"),
        ("https://192.168.7.8:2376", "192.168.7.8"),
        ("ssh://jo@172.20.0.5", "172.20.0.5"),
        ("ssh://jo@172.20.0.5:2222/var/run/docker.sock", "172.20.0.5"),
    ],
)
def test_the_daemon_s_host_is_where_docker_finds_it(endpoint: str, host: str) -> None:
    assert client.daemon_host(endpoint) == host


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.1.1", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        ("10.1.2.3", False),
        ("dind", False),
    ],
)
def test_a_daemon_on_any_address_of_the_loopback_may_be_this_machines(host: str, here: bool) -> None:
    assert client.is_here(host.strip("[]")) == here
    assert daemon.Place(endpoint=f"tcp://{host}:2375").near == here


def test_a_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("172.19.0.3", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked: answer if asked[0] == "docker" else [])
    assert client.daemon_host("tcp://docker:2376") == "172.19.0.3"


@pytest.mark.parametrize("endpoint", ["tcp://[fd00::7]:2375", "ssh://jo@[fd00::7]"])
def test_a_host_without_an_address_that_ports_are_published_on_is_named(endpoint: str) -> None:
    with pytest.raises(MachineError, match="has no IPv4 address"):
        client.daemon_host(endpoint)


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(MachineError, match=r"tcp://no-such-host.invalid:2375: .* no address of no-such-host.invalid"):
        client.daemon_host("tcp://no-such-host.invalid:2375")


@pytest.mark.parametrize("endpoint", ["tcp://8.8.8.8:2376", "ssh://jo@1.1.1.1"])
def test_nothing_is_published_on_a_public_address(endpoint: str) -> None:
    with pytest.raises(MachineError, match="is a public address"):
        client.daemon_host(endpoint)


HERE = Client(None, "127.0.0.1")
ELSEWHERE = Client(None, "10.1.2.3")
INSIDE = Client(OWN, "127.0.0.1")


def container(published: str, volume: str = "ml-serving-ci-registry-source", running: bool = True) -> dict:
    """A registry as `docker inspect` shows it."""
    return {
        "State": {"Running": running},
        "Mounts": [{"Type": "volume", "Name": volume}],
        "NetworkSettings": {
            "Networks": {"ml-serving-ci": {"IPAddress": "172.18.0.2" if running else ""}},
            "Ports": {"5000/tcp": [{"HostIp": published, "HostPort": "5007"}]} if running else {},
        },
    }


@pytest.mark.parametrize(
    ("here", "published", "address"),
    [
        (HERE, "127.0.0.1", "127.0.0.1:5007"),
        (HERE, "0.0.0.0", "127.0.0.1:5007"),
        (INSIDE, "127.0.0.1", "172.18.0.2:5000"),
        (INSIDE, "0.0.0.0", "172.18.0.2:5000"),
        (ELSEWHERE, "0.0.0.0", "10.1.2.3:5007"),
        (ELSEWHERE, "10.1.2.3", "10.1.2.3:5007"),
        (ELSEWHERE, "127.0.0.1", None),
    ],
)
def test_a_port_is_found_from_where_the_process_stands(here: Client, published: str, address: str | None) -> None:
    found = container(published)

    assert here.reaches(found, 5000, "ml-serving-ci") == address
    assert registry.serves(found, "ml-serving-ci-registry-source", here) == (address is not None)
    assert here.reaches(found, 6443, "another") is None


@pytest.mark.parametrize(
    ("here", "published", "host"),
    [(INSIDE, "0.0.0.0", "172.18.0.2"), (ELSEWHERE, "0.0.0.0", "10.1.2.3"), (ELSEWHERE, "127.0.0.1", None)],
)
def test_no_proxy_is_asked_for_what_is_found(here, published, host, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.corp.example:3128")
    for name in settings.NO_PROXY:
        monkeypatch.setenv(name, "corp.example")

    here.reaches(container(published), 5000, "ml-serving-ci")

    assert os.environ["NO_PROXY"] == ",".join(filter(None, ["corp.example", host]))


def test_a_registry_that_ended_or_holds_other_images_serves_nobody() -> None:
    assert not registry.serves(container("127.0.0.1", running=False), "ml-serving-ci-registry-source", HERE)
    assert not registry.serves(container("127.0.0.1"), "ml-serving-ci-registry-upstream", HERE)


KNOWN = """\
#!/bin/sh
case "$*" in
"context inspect "*) echo unix:///var/run/docker.sock ;;
*" ls "*) echo 1 ;;
"network inspect "*) echo '[{{"Id": "1", "Created": "", "Labels": {{"ml-serving-ci.service": "network"}}}}]' ;;
"container inspect "*) cat "{folder}/container" ;;
esac
"""
"""A `docker` that knows the registry's network and its container."""


def test_a_registry_that_does_not_answer_is_this_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a registry of ours that runs, and at whose port nobody listens
    labels = {docker.SERVICE_LABEL: "registry", registry.CONFIG_LABEL: "older"}
    there = {"Id": "1", "Created": "", "Config": {"Labels": labels}, **container("127.0.0.1")}
    there["State"]["Status"] = "running"
    there["NetworkSettings"]["Networks"]["ml-serving-ci-x"] = {}  # a run uses it
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there["NetworkSettings"]["Ports"]["5000/tcp"][0]["HostPort"] = str(port := closed.getsockname()[1])
    (tmp_path / "container").write_text(json.dumps([there]))
    (tmp_path / "docker").write_text(KNOWN.format(folder=tmp_path))
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(client, "MOUNTS", tmp_path / "none")
    monkeypatch.setattr(registry, "START_SECONDS", 0.5)

    with pytest.raises(MachineError, match=f"the local registry answers at 127.0.0.1:{port}: not within") as caught:
        anyio.run(registry.start, "image", "source")
    assert caught.value.fix == "docker logs ml-serving-ci-registry"


def test_ports_are_published_no_further_than_need_be() -> None:
    assert [here.published for here in (HERE, INSIDE, ELSEWHERE)] == ["127.0.0.1", "127.0.0.1", "0.0.0.0"]


RECORDED = """\
#!/bin/sh
case "$*" in
"container inspect {own}") echo '[{{"Id": "{own}", "Name": "/job", "HostConfig": {{"NetworkMode": "{mode}"}}}}]' ;;
"container inspect {other}") echo '[{{"Id": "{other}", "Name": "/pod", "HostConfig": {{"NetworkMode": "bridge"}}}}]' ;;
"context inspect "*) echo tcp://10.1.2.3:2375 ;;
*) echo "Error: No such container: $3" >&2; exit 1 ;;
esac
"""
"""A `docker` that knows two containers, and whose daemon is elsewhere."""


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def find(mounts: str, mode: str) -> Client:
        script = tmp_path / "docker"
        script.write_text(RECORDED.format(own=OWN, other=OTHER, mode=mode))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(client, "MOUNTS", tmp_path / "mountinfo")
        client.MOUNTS.write_text(mounts)
        return anyio.run(client.find)

    return find


@pytest.mark.parametrize(
    ("mounts", "mode", "found"),
    [
        (IN_A_CONTAINER, "bridge", Client(OWN, "127.0.0.1")),
        (IN_A_CONTAINER, "host", Client(None, "127.0.0.1")),
        (IN_A_CONTAINER, f"container:{OTHER}", Client(OTHER, "127.0.0.1")),
        (IN_A_CONTAINER.replace(OWN, "beef" * 16), "bridge", Client(None, "10.1.2.3")),  # another daemon's container
        (ON_THE_HOST, "bridge", Client(None, "10.1.2.3")),
    ],
    ids=["own network", "host network", "shared network", "another daemon's", "no container"],
)
def test_a_container_of_the_daemon_s_own_is_told_from_one_of_another(standing, mounts, mode, found) -> None:
    assert standing(mounts, mode) == found


def test_a_container_without_network_is_named(standing) -> None:
    with pytest.raises(MachineError, match=r"this container \(job\) has no network"):
        standing(IN_A_CONTAINER, "none")


def test_files_are_streamed_into_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "docker"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/argv\nexec tar -x -C {tmp_path}/root\n')
    script.chmod(0o755)
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    anyio.run(docker.copy_in, "job", {"/etc/deep/er/a.toml": "ä = 1\n", "/b": ""})

    assert (tmp_path / "argv").read_text() == "cp - job:/\n"
    assert (tmp_path / "root/etc/deep/er/a.toml").read_text() == "ä = 1\n"
    listed = subprocess.run(["find", "root", "-type", "f"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sorted(listed.stdout.split()) == ["root/b", "root/etc/deep/er/a.toml"]
