"""What a Docker daemon says of itself, and where it runs."""

import json
import os
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from ci.base import settings
from ci.base.errors import MachineError
from ci.host import client, limits, packages, products

SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")
"""Where a daemon started here listens."""
ROOT = "/var/lib/docker"
CONTAINERD_ROOT = "/var/lib/containerd"
CONTROLLERS = {
    "MemoryLimit": "memory",
    "CpuCfsQuota": "cpu",
    "CPUShares": "cpu",
    "CPUSet": "cpuset",
    "PidsLimit": "pids",
}
"""What the daemon says it can limit, to the cgroup controller that does it."""
OFF = re.compile(
    "cannot connect to the docker daemon|failed to connect to the docker api|is the docker daemon running"
    "|error during connect|connection refused|no such host|i/o timeout|network is unreachable|no route to host",
    re.IGNORECASE,
)
AWAY = re.compile(
    "connection refused|could not resolve|no route to host|network is unreachable|timed out", re.IGNORECASE
)
"""What ssh says of a machine that it does not get to."""
SOCKET_DENIED = re.compile("permission denied while trying to connect|connect: permission denied", re.IGNORECASE)
FORWARDERS = ("ssh", "sshd", "sshd-session")
"""Programs whose sockets lead to another machine."""
CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class Place:
    """Where the `docker` command looks for its daemon.

    Attributes:
        context: Docker's name for it.
        endpoint: Its address; empty where only the `docker` command could tell.
        set_by: What sets it, as one would look for it; empty for Docker's own default.
    """

    context: str = "default"
    endpoint: str = SOCKETS[0]
    set_by: str = ""

    @property
    def chosen(self) -> bool:
        """Whether somebody chose a daemon other than the one that would be started here."""
        return bool(self.set_by) and self.endpoint not in SOCKETS

    @property
    def away(self) -> str:
        """The command that leads back to Docker's own default."""
        return f"unset {self.set_by.split('=')[0]}" if "=" in self.set_by else "docker context use default"

    @property
    def near(self) -> bool:
        """Whether the address is on this machine, or leads out of it through something that listens here."""
        return self.endpoint.startswith("unix://") or client.is_here(urlsplit(self.endpoint).hostname or "")


def place() -> Place:
    """Return where `docker` looks, as the environment and Docker's own configuration say; Docker's order."""
    if host := settings.variable("DOCKER_HOST"):
        return Place(endpoint=host, set_by=f"DOCKER_HOST={host}")
    if context := settings.variable("DOCKER_CONTEXT"):
        return Place() if context == "default" else Place(context, "", f"DOCKER_CONTEXT={context}")
    folder = settings.variable("DOCKER_CONFIG")
    file = (Path(folder) if folder else settings.home() / ".docker") / "config.json"
    try:
        context = json.loads(file.read_bytes()).get("currentContext") or "default"
    except (OSError, ValueError, AttributeError):  # none, or the docker command will say what is wrong with it
        return Place()
    return Place() if context == "default" else Place(context, "", f"context {context} of {file}")


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A Docker daemon that answers.

    Attributes:
        version: Its version.
        default_runtime: The OCI runtime its containers get.
        storage_driver: How it stores layers.
        root: Where it keeps images and volumes, on its own machine.
        containerd_store: Whether containerd keeps the images instead.
        kernel: Its kernel's release.
        memory: Its machine's memory, bytes; 0 where it does not say.
        cpus: Its machine's CPUs; 0 where it does not say.
        architecture: As `uname -m` has it.
        system: Its operating system, in words.
        os_type: "linux" or "windows".
        name: Its machine's name.
        cgroup_version: "1" or "2".
        cgroup_driver: "systemd", "cgroupfs", or "none".
        missing_controllers: Those of the cgroup controllers in CONTROLLERS that it does without.
        security: "rootless", "userns", "selinux", "apparmor", "seccomp", …
        place: Where the `docker` command found it.
        process: Its process, if it runs on this machine, among these files, where this process can see it.
        same_kernel: Whether it runs on this kernel, if elsewhere than in these files (this is a container, then).
    """

    version: str
    default_runtime: str = "runc"
    storage_driver: str = ""
    root: str = ROOT
    containerd_store: bool = False
    kernel: str = ""
    memory: int = 0
    cpus: int = 0
    architecture: str = ""
    system: str = ""
    os_type: str = "linux"
    name: str = ""
    cgroup_version: str = "1"
    cgroup_driver: str = ""
    missing_controllers: tuple[str, ...] = ()
    security: frozenset[str] = frozenset()
    place: Place = Place()
    process: int | None = None
    same_kernel: bool = False

    @property
    def where(self) -> Literal["here", "this kernel", "elsewhere"]:
        """Whose figures count: this machine's, this machine's but for files and ports, or the daemon's own."""
        return "here" if self.process is not None else "this kernel" if self.same_kernel else "elsewhere"

    @property
    def snap(self) -> bool:
        """Whether snapd confines it."""
        return self.root.startswith("/var/snap/")

    @property
    def product(self) -> products.Product | None:
        """The product whose virtual machine it runs in, if it is one that is known."""
        return products.find(self.place.context, self.place.endpoint, self.system, self.name, self.kernel)

    @property
    def roots(self) -> list[Path]:
        """The folders that hold images and containers, on its own machine."""
        containerd = Path(CONTAINERD_ROOT)
        return [Path(self.root), *([containerd] if self.containerd_store and containerd.exists() else [])]


def parse(info: str, errors: str = "", version: str = "", where: Place | None = None) -> Daemon | None:
    """Read what the `docker` command says of its daemon.

    Args:
        info: Output of `docker info --format '{{json .}}'`.
        errors: What it wrote to standard error.
        version: Output of `docker version --format '{{json .}}'`.
        where: Where the `docker` command looked.

    Returns:
        The daemon, or None where none answers.

    Raises:
        MachineError: One answers that cannot be used, or what answers is no Docker daemon.
    """
    said = _object(info)
    try:
        problems = "\n".join([*(said.get("ServerErrors") or []), errors]).strip()
        _refuse_others(said, _object(version), problems, where or Place())
        if said.get("ServerVersion"):
            return _daemon(said, where or Place())
    except (
        AttributeError,
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # JSON, with other things in it than Docker has there
        raise _other(info) from error
    _refuse(info, problems, where or Place())
    if not problems and not said and info.strip() not in ("", "null"):
        raise _other(info)
    return None


def _other(info: str) -> MachineError:
    return MachineError(
        f"`docker info` does not answer as Docker does: {info.strip()[:80]!r}",
        fix="type -a docker   # another program of that name?",
    )


def listens(endpoint: str) -> bool:
    """Whether something listens at a socket on this machine, be it that this user may not use it.

    Args:
        endpoint: Its address.
    """
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(CONNECT_SECONDS)
        try:
            asking.connect(endpoint.removeprefix("unix://"))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def locate(where: Place, kernel: str, memory: int) -> tuple[int | None, bool]:
    """Tell whether a daemon runs on this machine.

    Args:
        where: Where it was found.
        kernel: Its kernel's release.
        memory: Its machine's memory, bytes.

    Returns:
        Its process, or None where it is not among these files; and whether it runs on this kernel.
    """
    if not where.near:
        return None, False
    process = _listener(where.endpoint)
    if process is not None:
        return process, True
    if limits.program(_peer(where.endpoint) or 0) in FORWARDERS:
        return None, False  # be it that it has the same kernel and as much memory, as machines of one type have
    # /proc/sys, not uname: that is what setarch changes
    return None, bool(kernel) and kernel == limits.kernel() and memory == limits.memory_total()


def _listener(endpoint: str) -> int | None:
    """Return the process of the `dockerd` at an address here, unless it lives among other files."""
    here = (process for process in limits.processes("dockerd") if limits.same_files(process))
    if not endpoint.startswith("unix://"):
        # what listens on the loopback may lead to another machine, beside a daemon of this one
        return next((process for process in here if limits.listens(process, urlsplit(endpoint).port or 0)), None)
    process = _peer(endpoint)
    program = limits.program(process) if process else ""
    if process is not None and program == "dockerd":
        return process if limits.same_files(process) else None
    # systemd and init listen in a daemon's place until it is asked for
    return next(here, None) if program in ("systemd", "init") else None


def _peer(endpoint: str) -> int | None:
    """Return the process that listens at a socket of this machine, None where that is not told."""
    if not endpoint.startswith("unix://"):
        return None
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(CONNECT_SECONDS)
        try:
            asking.connect(endpoint.removeprefix("unix://"))
            peer = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except (OSError, AttributeError):  # AttributeError: not Linux
            return None
    return int(struct.unpack("3i", peer)[0])


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _daemon(said: dict[str, Any], where: Place) -> Daemon:
    kernel, memory = _text(said, "KernelVersion"), int(said.get("MemTotal") or 0)
    process, same_kernel = locate(where, kernel, memory)
    # "name=seccomp,profile=builtin"
    security = (str(option).split(",")[0].removeprefix("name=") for option in said.get("SecurityOptions") or [])
    return Daemon(
        version=str(said["ServerVersion"]),
        default_runtime=_text(said, "DefaultRuntime", "runc"),
        storage_driver=_text(said, "Driver"),
        root=_text(said, "DockerRootDir", ROOT),
        containerd_store=["driver-type", "io.containerd.snapshotter.v1"] in (said.get("DriverStatus") or []),
        kernel=kernel,
        memory=memory,
        cpus=int(said.get("NCPU") or 0),
        architecture=_text(said, "Architecture"),
        system=_text(said, "OperatingSystem"),
        os_type=_text(said, "OSType", "linux"),
        name=_text(said, "Name"),
        cgroup_version=_text(said, "CgroupVersion", "1"),
        cgroup_driver=_text(said, "CgroupDriver"),
        missing_controllers=tuple(dict.fromkeys(CONTROLLERS[key] for key in CONTROLLERS if said.get(key) is False)),
        security=frozenset(security),
        place=where,
        process=process,
        same_kernel=same_kernel,
    )


def _text(said: Mapping[str, Any], key: str, default: str = "") -> str:
    value = said.get(key) or default
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _refuse_others(info: dict[str, Any], version: dict[str, Any], problems: str, where: Place) -> None:
    """Raise where another engine answers to the name, or at the address, of Docker."""
    components = [str(each.get("Name", "")) for each in ((version.get("Server") or {}).get("Components")) or []]
    if (
        "buildahVersion" in (info.get("host") or {})  # podman's own `info`
        or ("podman" in problems.lower() and not info.get("ServerVersion"))  # a path may have it in its name
        or any("podman" in name.lower() for name in components)
        or str(info.get("DockerRootDir") or "").endswith("/containers/storage")
    ):
        by_hand = f"{packages.removal('podman-docker')} && {packages.docker_by_hand()}"
        raise MachineError(
            "podman answers as docker: Docker is the only engine asked for",
            fix=f"{where.away}   # podman is there" if where.set_by else by_hand,
        )
    if "Storage" in (info.get("Plugins") or {}) or (components and "Engine" not in components):
        raise MachineError(
            "containerd answers as docker, through nerdctl: Docker is the only engine asked for",
            fix="type -a docker   # another program of that name; Rancher Desktop: rdctl set "
            "--container-engine.name=moby",
        )


def _refuse(printed: str, problems: str, where: Place) -> None:
    """Raise for a daemon that is there but cannot be used."""
    if match := re.search(r"could not be found in this WSL ([12]) distro", f"{printed}\n{problems}"):
        convert = "wsl --set-version DISTRIBUTION 2, then " if match[1] == "1" else ""
        raise MachineError(
            "Docker Desktop is not integrated with this WSL distribution",
            fix=f"{convert}Docker Desktop, Settings, Resources, WSL integration: turn this distribution on",
        )
    _refuse_by_ssh(problems)
    _refuse_by_tls(problems, where)
    lowered = problems.lower()
    if SOCKET_DENIED.search(problems):
        raise MachineError("this user may not use the Docker daemon", fix=_admission(where), detail=problems)
    if re.search("request returned .*for api route and version", lowered):
        # words of the client's about API versions follow; the daemon's virtual machine is not up
        product = products.find(where.context, where.endpoint, unquote(problems))
        raise MachineError(
            f"the Docker daemon does not get its answer out: {problems.splitlines()[-1]}",
            fix=f"restart {product.name}: {product.start}"
            if product
            else "restart the Docker daemon, then docker info",
            detail=problems,
        )
    if "client version" in lowered or "api version" in lowered:
        raise MachineError(
            "the docker command and the Docker daemon speak different API versions",
            fix="use a docker command of the daemon's release (apt-get install docker.io brings both), "
            "and unset DOCKER_API_VERSION",
            detail=problems,
        )
    if "context not found" in lowered:
        raise MachineError(
            f"docker: {problems.splitlines()[-1]}", fix="docker context use default; unset DOCKER_CONTEXT"
        )
    if problems and not OFF.search(problems):
        fix = f"{where.away}   # or correct it: {where.set_by}" if where.set_by else "docker info"
        raise MachineError(f"docker: {problems.splitlines()[-1]}", fix=fix, detail=problems)


def _admission(where: Place) -> str:
    """Return the command that lets this user use a daemon that is near."""
    if os.geteuid() == 0:
        return "docker run --security-opt label=disable ...   # SELinux keeps a container from a mounted socket"
    if client.own_container():  # its groups are of its own
        try:
            group = str(Path(where.endpoint.removeprefix("unix://")).stat().st_gid)
        except OSError:
            group = "$(stat --format %g /var/run/docker.sock)"
        return f"docker run --group-add {group} ...   # the group of the mounted socket"
    return "sudo usermod -aG docker $USER && newgrp docker"


def _refuse_by_ssh(problems: str) -> None:
    """Raise where ssh gets to the daemon's machine, and no further."""
    match = re.search(r"command \[(ssh .*?)\] has exited", problems)
    if match is None or AWAY.search(problems):
        return
    said = problems.partition("stderr=")[2].strip().splitlines() or problems.splitlines()
    raise MachineError(
        f"ssh gets to no Docker daemon: {said[-1]}",
        fix=f"{match[1].replace('docker system dial-stdio', 'docker info')}   # until that answers",
        detail=problems,
    )


def _refuse_by_tls(problems: str, where: Place) -> None:
    """Raise where the daemon speaks TLS and this client does not, or the other way round, or with other keys."""
    if re.search("server gave HTTP response to HTTPS client", problems):
        fix = "unset DOCKER_TLS_VERIFY DOCKER_TLS   # the daemon speaks no TLS there"
    elif re.search("HTTP request to an HTTPS server|malformed HTTP response|x509: |tls: |remote error: tls", problems):
        fix = (
            "export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER   # with the daemon's ca.pem, cert.pem, key.pem; "
            "GitLab's docker:dind has them in /certs/client"
        )
    else:
        return
    at = f" at {where.endpoint}" if where.endpoint else ""
    said = problems.splitlines()[-1]
    raise MachineError(f"the Docker daemon{at} and its client do not agree on TLS: {said}", fix=fix, detail=problems)
