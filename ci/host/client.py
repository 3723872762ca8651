"""Where this process stands to the Docker daemon, and so under which address it and the daemon's containers meet.

Nothing here asks the daemon to look at this process's files: it may run on another machine, or in a container.
"""

import ipaddress
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio

from ci.base import command, settings
from ci.base.errors import MachineError

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - of the daemon's host, see `Client.published`
MOUNTS = Path("/proc/self/mountinfo")
OWN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""Docker mounts these in every container, out of the container's folder on the daemon's host."""


@dataclass(frozen=True)
class Client:
    """This process, as the daemon's containers are found from it.

    Attributes:
        container: The daemon's own container that this process runs in; None where it runs in none, or in one that
            shares the network of the daemon's host.
        host: The daemon's host as it is reached from here: 127.0.0.1, or an address of a private network.
    """

    container: str | None
    host: str

    @property
    def published(self) -> str:
        """Where on its host the daemon publishes ports for this process: on the loopback wherever that is enough."""
        return LOOPBACK if self.host == LOOPBACK else EVERYWHERE

    async def join(self, network: str) -> None:
        """Connect this process's own container, if it runs in one, to a Docker network."""
        if self.container is None:
            return
        found = await inspect("container", self.container)
        if found is not None and network not in found["NetworkSettings"]["Networks"]:
            await command.run(["docker", "network", "connect", network, self.container], timeout=60)

    def reaches(self, container: Mapping[str, Any], port: int, network: str) -> str | None:
        """Return where this process finds a port of a container ("172.18.0.2:5000"); None where it cannot.

        Args:
            container: As `docker inspect` shows it.
            port: The port in it, published at `published`.
            network: The network of the container on which this process's own container is, if it runs in one (`join`).
        """
        networks = container["NetworkSettings"]
        if self.container is not None:
            address = networks["Networks"].get(network, {}).get("IPAddress")
            if not address:
                return None
            settings.direct(address)
            return f"{address}:{port}"
        for binding in networks["Ports"].get(f"{port}/tcp") or ():
            if binding["HostIp"] in (EVERYWHERE, self.host):
                settings.direct(self.host)
                return f"{self.host}:{binding['HostPort']}"
        return None

    async def address(self, container: str, port: int, network: str) -> str:
        """Return where this process finds a port of a container, by its name.

        Args:
            container: Its name.
            port: As in `reaches`; so is network.
            network: The network.

        Raises:
            MachineError: It cannot be reached from here.
        """
        found = await inspect("container", container)
        address = self.reaches(found, port, network) if found is not None else None
        if address is None:
            raise MachineError(
                f"no way from here to port {port} of container {container}", fix=f"docker inspect {container}"
            )
        return address

    async def heard_at(self, network: str) -> str | None:
        """Return the address under which containers of a network reach this process; None where there is none.

        Args:
            network: The network; this process's own container is on it (`join`).
        """
        if self.container is not None:
            found = await inspect("container", self.container)
            return str(found["NetworkSettings"]["Networks"][network]["IPAddress"]) if found else None
        if self.host != LOOPBACK:
            return None
        found = await inspect("network", network)
        return str(found["IPAM"]["Config"][0]["Gateway"]) if found else None


async def find() -> Client:
    """Return where this process stands to the daemon that the `docker` command reaches.

    Raises:
        MachineError: The daemon's containers cannot be reached from here.
    """
    for identity in own_container():
        found = await inspect("container", identity)
        if found is not None:  # else another daemon's
            return await _in_container(found)
    asked = ["docker", "context", "inspect", "--format={{.Endpoints.docker.Host}}"]
    endpoint = (await command.run(asked, timeout=30)).stdout.strip()
    return Client(None, await anyio.to_thread.run_sync(daemon_host, endpoint))


def own_container(mountinfo: str | None = None) -> list[str]:
    """Return the id of the Docker container that a process is in, as its mounts tell it; empty outside of any.

    Args:
        mountinfo: Text of /proc/PID/mountinfo; this process's by default. On the daemon's own host it names other
            containers' folders too, but not under these three files.
    """
    if mountinfo is None:
        mountinfo = MOUNTS.read_text() if MOUNTS.exists() else ""
    found: dict[str, None] = {}
    for line in mountinfo.splitlines():
        root, mounted = line.split()[3:5]
        match = re.search(r"/containers/([0-9a-f]{64})/", root)
        if match and mounted in OWN_FILES:
            found[match[1]] = None
    return list(found)


async def _in_container(found: dict[str, Any]) -> Client:
    mode = found["HostConfig"]["NetworkMode"]
    if mode == "host":
        return Client(None, LOOPBACK)
    if mode.startswith("container:"):  # its network is the other's, as in a pod
        other = await inspect("container", mode.removeprefix("container:"))
        if other is not None:
            return await _in_container(other)
    if mode == "none":
        raise MachineError(
            f"this container ({found['Name'].lstrip('/')}) has no network, and so no way to a cluster",
            fix="docker run without --network none",
        )
    return Client(found["Id"], LOOPBACK)


def daemon_host(endpoint: str) -> str:
    """Return the address of the daemon's host.

    What the daemon publishes for a client elsewhere, the registry first, asks for no password. So its host has to be on
    a private network: beside the job, as GitLab's `docker:dind` is, or the team's own.

    Args:
        endpoint: Where the daemon listens, as DOCKER_HOST has it.

    Raises:
        MachineError: The host is unknown here, or its address is public.
    """
    url = urlsplit(endpoint)
    if url.scheme not in ("tcp", "http", "https", "ssh") or not url.hostname:
        return LOOPBACK
    try:
        found = [str(answer[4][0]) for answer in socket.getaddrinfo(url.hostname, None)]
    except OSError as error:
        raise MachineError(
            f"{endpoint}: this machine knows no address of {url.hostname}: {error.strerror}",
            fix=f"write it into /etc/hosts, or set DOCKER_HOST={url.scheme}://ADDRESS",
        ) from error
    if any(map(is_here, found)):
        return LOOPBACK
    address = next((one for one in found if ":" not in one), None)
    if address is None:
        raise MachineError(
            f"{endpoint}: {url.hostname} has no IPv4 address, and on those the daemon publishes what is reached there",
            fix=f"set DOCKER_HOST={url.scheme}://ADDRESS with one of IPv4",
        )
    parsed = ipaddress.IPv4Address(address)
    if not parsed.is_private:
        raise MachineError(
            f"{endpoint}: {parsed} is a public address: the registry would be open to everyone there",
            fix="run this on that machine, or in a container of its daemon with /var/run/docker.sock mounted",
        )
    return str(parsed)


def is_here(host: str) -> bool:
    """Whether a host is this machine: on its loopback, or "any address", which a client takes for that.

    Args:
        host: Its name or address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


async def inspect(kind: str, name: str) -> dict[str, Any] | None:
    """Return what Docker knows of a container, network, volume or image; None where there is none of that name.

    Args:
        kind: "container", "network", "volume" or "image".
        name: Its name or id.
    """
    result = await command.run(["docker", kind, "inspect", name], check=False, timeout=30)
    if result.returncode != 0:
        return None
    found: dict[str, Any] = json.loads(result.stdout)[0]
    return found
