"""What this machine has: one small function a need, so that `doctor` and the commands themselves say the same."""

import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import requests

from ci import command, settings
from ci.errors import MachineError
from ci.host import docker as docker_host
from ci.host import engine as dagger_engine
from ci.host import oci_runtime, packages

GIB = 1 << 30
PROBE_SECONDS = 3.0
CONTAINERS = Path("/var/lib/docker")
MEMORY_GIB = 6
DISK_GIB = 6
"""The cluster's own copy of the images, and room to work."""
COLD_DISK_GIB = 30
"""Beside that, sources, Go's caches and the images themselves."""
INOTIFY_INSTANCES = 128
"""One node with the whole stack holds some forty, beside what the machine itself has."""


@dataclass(frozen=True)
class Check:
    """How one need is met.

    Attributes:
        need: What is needed.
        outcome: "ok": there; "planned": this tool will see to it; "warning": may hurt; "missing": `test` cannot run.
        how: How it is met, or what is wrong.
        fix: What to do about a warning or a missing thing.
    """

    need: str
    outcome: Literal["ok", "planned", "warning", "missing"]
    how: str
    fix: str = ""


def require(check: Check) -> None:
    """Raise if a check found something missing.

    Raises:
        MachineError: With the check's own words.
    """
    if check.outcome == "missing":
        raise MachineError(f"{check.need}: {check.how}", fix=check.fix)


async def room(cache: Path) -> list[Check]:
    """Check whether the machine itself is large enough for a cluster with the whole stack.

    Args:
        cache: The cache folder.
    """
    return [
        await cgroups(),
        await inotify(),
        await memory(MEMORY_GIB),
        await disk(cache, DISK_GIB, COLD_DISK_GIB),
        await disk(CONTAINERS, DISK_GIB, COLD_DISK_GIB),
    ]


async def docker(*, install: bool = True) -> Check:
    """Check for a Docker daemon that can run privileged containers, or for the means to start one.

    Args:
        install: Whether packages may be installed and a daemon started.
    """
    need = "Docker"
    try:
        daemon = await docker_host.find()
        if daemon is not None:
            docker_host.require_privileged(daemon)
    except MachineError as error:
        return Check(need, "missing", error.message, error.fix or "")
    if daemon is not None:
        return Check(need, "ok", f"{daemon.version}, {daemon.storage_driver}, runtime {daemon.default_runtime}")
    if remote := settings.variable("DOCKER_HOST"):
        return Check(need, "missing", f"no daemon answers at DOCKER_HOST={remote}", "start it, or unset DOCKER_HOST")
    if not install or os.geteuid() != 0:
        return Check(need, "missing", "no daemon answers", docker_host.by_hand())
    if shutil.which("dockerd"):
        return Check(need, "planned", "dockerd will be started")
    if packages.available():
        return Check(need, "planned", "package docker.io will be installed and dockerd started")
    return Check(need, "missing", "no daemon, and no apt-get to install it with", docker_host.by_hand())


async def capabilities() -> Check:
    """Check for the capabilities that privileged containers ask for."""
    need = "capabilities"
    missing = sorted(oci_runtime.missing_here())
    if not missing:
        return Check(need, "ok", "all of the kernel's")
    return Check(need, "planned", f"{', '.join(missing)} missing here: containers get an OCI runtime that does without")


async def cgroups(mount: Path = Path("/sys/fs/cgroup")) -> Check:
    """Check that control groups are mounted.

    Args:
        mount: Where.
    """
    need = "control groups"
    if (mount / "cgroup.controllers").exists():
        return Check(need, "ok", "version 2")
    if (mount / "memory").is_dir() and (mount / "cpu").is_dir():
        return Check(need, "ok", "version 1")
    return Check(need, "missing", f"not mounted at {mount}", packages.by_hand("cgroupfs-mount"))


async def disk(folder: Path, gib: int, cold_gib: int) -> Check:
    """Check for free disk space.

    Args:
        folder: Where it is needed; it need not exist yet.
        gib: How much a run takes that has everything cached, GiB.
        cold_gib: How much the first one takes, GiB.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / GIB
    need = f"disk space at {folder}"
    fix = "free some space; docker system prune removes what Docker holds and nothing uses"
    if free < gib:
        return Check(need, "missing", f"{free:.1f} GiB free, {gib} GiB needed", fix)
    if free < cold_gib:
        return Check(need, "warning", f"{free:.1f} GiB free, a first run takes up to {cold_gib} GiB", fix)
    return Check(need, "ok", f"{free:.0f} GiB free")


async def memory(gib: int, meminfo: Path = Path("/proc/meminfo")) -> Check:
    """Check for available memory.

    Args:
        gib: How much, GiB.
        meminfo: Where the kernel says how much there is.
    """
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024 / GIB
    if available >= gib:
        return Check("memory", "ok", f"{available:.0f} GiB available")
    return Check("memory", "missing", f"{available:.1f} GiB available, {gib} GiB needed", "end something that uses it")


async def port(number: int, container: str, variable: str) -> Check:
    """Check that a port is free, or taken by our own container.

    Args:
        number: The port on 127.0.0.1.
        container: The container that may have it.
        variable: Environment variable that chooses another.
    """
    need = f"port {number}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            taken = error.strerror
        else:
            return Check(need, "ok", f"free, for {container}")
    if await _running(container):
        return Check(need, "ok", f"{container} has it")
    return Check(need, "missing", f"{taken} ({container} needs it)", f"export {variable}=PORT with a free one")


async def inotify(limit: Path = Path("/proc/sys/fs/inotify/max_user_instances")) -> Check:
    """Check for enough inotify instances, which a node of many containers uses up.

    Args:
        limit: Where the kernel has the limit.
    """
    instances = int(limit.read_text())
    if instances >= INOTIFY_INSTANCES:
        return Check("inotify instances", "ok", str(instances))
    fix = f"sysctl -w fs.inotify.max_user_instances={4 * INOTIFY_INSTANCES}"
    return Check("inotify instances", "warning", f"{instances}: “too many open files” may come up", fix)


async def engine(image: str) -> Check:
    """Check for a Dagger session or engine.

    Args:
        image: The engine's image with its tag.
    """
    need = "Dagger engine"
    if (origin := dagger_engine.given()) is not None:
        try:
            await dagger_engine.require_reachable()
        except MachineError as error:
            return Check(need, "missing", error.message, error.fix or "")
        return Check(need, "ok", origin)
    name = dagger_engine.container_name(image)
    if await _running(name):
        return Check(need, "ok", f"container {name} runs")
    return Check(need, "planned", f"container {name} will be started")


async def registries(addresses: Sequence[str]) -> Check:
    """Check which upstream registries answer; where one does not, everything is built from source.

    Args:
        addresses: Their API addresses.
    """
    need = "image registries"
    silent: list[str] = []

    def ask(address: str) -> None:
        try:
            requests.get(address, timeout=PROBE_SECONDS)
        except requests.RequestException:
            silent.append(address.split("/")[2])

    async with anyio.create_task_group() as group:
        for address in addresses:
            group.start_soon(anyio.to_thread.run_sync, ask, address)
    if not silent:
        return Check(need, "ok", "answer: images are pulled")
    return Check(need, "planned", f"no answer from {', '.join(sorted(silent))}: images and tools are built from source")


async def go(minimum: str) -> Check:
    """Check for the Go toolchain that source builds take.

    Args:
        minimum: The oldest that will do.
    """
    found = shutil.which("go")
    if found is None:
        return Check("Go", "planned", "none here: taken from its wheel for source builds")
    said = await command.run([found, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, check=False, timeout=30)
    version = said.stdout.strip().removeprefix("go")
    if said.returncode == 0 and _numbers(version) >= _numbers(minimum):
        return Check("Go", "ok", version)
    return Check(
        "Go", "planned", f"{version or 'broken'} here, {minimum} needed: taken from its wheel for source builds"
    )


async def mmdebstrap(*, install: bool = True) -> Check:
    """Check for mmdebstrap, which makes the Debian parts of images built from source.

    Args:
        install: Whether packages may be installed.
    """
    need = "mmdebstrap"
    if found := shutil.which("mmdebstrap"):
        return Check(need, "ok", found)
    if install and os.geteuid() == 0 and packages.available():
        return Check(need, "planned", "will be installed for source builds")
    return Check(need, "warning", "not here: images with Debian parts cannot be built", packages.by_hand(need))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


async def _running(container: str) -> bool:
    if shutil.which("docker") is None:
        return False
    asked = ["docker", "container", "inspect", "--format", "{{.State.Running}}", container]
    return (await command.run(asked, check=False, timeout=docker_host.ANSWER_SECONDS)).stdout.strip() == "true"
