"""What a run needs: one small function a need, so that `doctor` and the commands themselves say the same."""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import anyio
import requests

from ci.base import settings
from ci.base.errors import MachineError
from ci.host import dagger_session, machine, packages
from ci.host import docker as docker_host
from ci.host import engine as dagger_engine
from ci.host.daemon import Daemon
from ci.host.machine import Check

PROBE_SECONDS = 3.0


def require(check: Check) -> None:
    """Raise if a check found something missing.

    Raises:
        MachineError: With the check's own words.
    """
    if check.outcome == "missing":
        raise MachineError(f"{check.need}: {check.how}", fix=check.fix)


async def room(cache: Path) -> list[Check]:
    """Check whether a cluster with the whole stack fits where it will run.

    Args:
        cache: The cache folder.

    Raises:
        MachineError: What answers as Docker cannot be used.
    """
    return machine.checks(cache, await docker_host.find())


async def docker(*, install: bool = True) -> tuple[Check, Daemon | None]:
    """Check for a Docker daemon that can run a cluster, or for the means to start one.

    Args:
        install: Whether packages may be installed and a daemon started.

    Returns:
        The check, and the daemon if one answers.
    """
    need = "Docker"
    daemon = None
    try:
        daemon = await docker_host.find()
        if daemon is None:
            docker_host.require_startable(install=install)
        else:
            docker_host.require_usable(daemon)
    except MachineError as error:
        return Check(need, "missing", error.message, error.fix or ""), daemon
    if daemon is None:
        first = "" if shutil.which("dockerd") else "package docker.io will be installed and "
        return Check(need, "planned", f"{first}dockerd {'' if first else 'will be '}started"), None
    how = _described(daemon)
    if daemon.snap:
        return Check(need, "warning", f"{how}, from snap: not tried", docker_host.without_snap()), daemon
    if "rootless" in daemon.security:
        return Check(need, "warning", f"{how}: not tried", "docker context use default   # a daemon of root's"), daemon
    return Check(need, "ok", how), daemon


PLACES = {
    "here": "on this machine",
    "this kernel": "on this machine, seen from a container",
    "elsewhere": "on another machine",
}


def _described(daemon: Daemon) -> str:
    """Say in one line which daemon answers, where, and as what."""
    where = daemon.product.name if daemon.product else PLACES[daemon.where]
    special = sorted(daemon.security & {"rootless", "selinux", "userns"})
    return ", ".join(
        [
            daemon.version,
            daemon.storage_driver,
            f"runtime {daemon.default_runtime}",
            *special,
            f"at {daemon.place.endpoint or daemon.place.context} ({where})",
        ]
    )


async def port(number: int, container: str, variable: str, *, daemon: bool = True) -> Check:
    """Check that a port is free, or taken by our own container, whose name nobody else has.

    Args:
        number: The port on 127.0.0.1.
        container: The container that may have it.
        variable: Environment variable that chooses another.
        daemon: Whether a Docker daemon answers, to be asked who has it.
    """
    need = f"port {number}"
    try:
        ours = await docker_host.ours("container", container) if daemon else None
    except MachineError as error:
        return Check(need, "missing", error.message, error.fix or "")
    if ours is not None and ours["State"]["Running"]:
        return Check(need, "ok", f"{container} runs")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError as error:
            taken = error.strerror
        else:
            return Check(need, "ok", f"free, for {container}")
    return Check(need, "missing", f"{taken} ({container} needs it)", f"export {variable}=PORT with a free one")


async def engine(image: str, *, daemon: bool = True) -> Check:
    """Check for a Dagger session or engine.

    Args:
        image: The engine's image with its tag.
        daemon: Whether a Docker daemon answers, to be asked for one that runs.
    """
    need = "Dagger engine"
    if (origin := dagger_engine.given()) is not None:
        try:
            if version := await dagger_session.version():
                return Check(need, "ok", f"{version}, {origin}")
            await dagger_engine.require_reachable()
        except MachineError as error:
            return Check(need, "missing", error.message, error.fix or "")
        return Check(need, "ok", origin)
    name = dagger_engine.container_name(image)
    try:
        if daemon and await dagger_engine.runs(name):
            return Check(need, "ok", f"container {name} runs")
    except MachineError as error:
        return Check(need, "missing", error.message, error.fix or "")
    return Check(need, "planned", f"container {name} will be started")


async def registries(addresses: Sequence[str]) -> Check:
    """Check which upstream registries answer; where one does not, everything is built from source.

    Args:
        addresses: Their API addresses.
    """
    need = "image registries"
    silent: list[str] = []
    refused: list[str] = []

    def ask(address: str) -> None:
        try:
            requests.get(address, timeout=PROBE_SECONDS)
        except requests.RequestException:
            silent.append(address.split("/")[2])
        except OSError as error:  # before anything was asked: the certificates' file is not there
            refused.append(str(error))

    async with anyio.create_task_group() as group:
        for address in addresses:
            group.start_soon(anyio.to_thread.run_sync, ask, address)
    if refused:
        return Check(
            need, "missing", refused[0], "unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE   # or name a file that is there"
        )
    if not silent:
        return Check(need, "ok", "answer: images are pulled")
    set_here = [name for name in settings.PROXIES if settings.variable(name)]
    asked = [name for name in set_here if name.lower() != "http_proxy"]  # which is not for https
    through = f" through {asked[0]}" if asked else ""
    said = f"no answer from {', '.join(sorted(silent))}{through}: images and tools are built from source"
    return Check(need, "planned", said)


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
