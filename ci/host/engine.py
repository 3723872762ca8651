"""The Dagger engine on this machine: found, or started as a container."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc

from ci.base import command, locks, progress, settings, wait
from ci.base.errors import CheckFailedError, CommandError, MachineError, UsageError
from ci.host import client, dagger_session, docker

VOLUME = "ml-serving-ci-engine"
"""Holds the engine's cache; it outlives the container."""
CONFIG_LABEL = "ml-serving-ci.config"
CONFIG_PATH = "/etc/dagger/engine.json"
STATE_PATH = "/var/lib/dagger"
RUNNER_HOST = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
"""Dagger's own setting for an engine elsewhere."""
START_SECONDS = 60.0
CACHE_BYTES = 20_000_000_000
"""What the engine may keep: each answer of a step, and the files it was made from."""
DIAL_SECONDS = 5.0


def given() -> str | None:
    """Return where the engine comes from if it is not for us to start: a session's, or the user's own setting."""
    if settings.variable(dagger_session.PORT):
        return f"session in {dagger_session.PORT}"
    if host := settings.variable(RUNNER_HOST):
        return f"{RUNNER_HOST}={host}"
    return None


async def require_reachable() -> None:
    """Raise if the engine of the user's own setting is silent; clients would try for ten minutes.

    Raises:
        MachineError: Nothing listens there.
    """
    host = settings.variable(RUNNER_HOST) or ""
    try:
        address = urlsplit(host)
        with anyio.fail_after(DIAL_SECONDS):
            if address.scheme == "tcp":
                stream: anyio.abc.ByteStream = await anyio.connect_tcp(address.hostname or "", address.port or 0)
            elif address.scheme == "unix":
                stream = await anyio.connect_unix(address.path)
            else:
                return  # Docker, ssh and the like have their own errors, and soon
            await stream.aclose()
    except (OSError, TimeoutError, ValueError) as error:
        raise MachineError(
            f"no Dagger engine answers at {RUNNER_HOST}={host}", fix=f"start it, or unset {RUNNER_HOST}"
        ) from error


def container_name(image: str) -> str:
    """Return the name under which every Dagger client of this version looks for the engine.

    Args:
        image: The engine's image with its tag.
    """
    return f"dagger-engine-{image.rpartition(':')[2]}"


def configuration(mirrors: Mapping[str, str]) -> dict[str, Any]:
    """Return the engine's configuration (engine.json).

    Args:
        mirrors: Registry to the mirror that is asked first, as HOST:PORT/PREFIX, in plain HTTP. HOST has a dot:
            the engine's resolver forwards no other names (Docker knows containers as NAME.NETWORK too).
    """
    registries: dict[str, Any] = {registry: {"mirrors": [mirror]} for registry, mirror in mirrors.items()}
    for mirror in mirrors.values():
        registries[mirror.partition("/")[0]] = {"http": True}
    return {
        "registries": registries,
        "security": {"insecureRootCapabilities": True},
        # left to itself it forgets every answer, minutes old, where less than a fifth of the disk is free
        "gc": {"maxUsedSpace": CACHE_BYTES},
    }


async def ensure(image: str, network: str, mirrors: Mapping[str, str], folder: Path) -> str:
    """Return the name of the engine's running container, starting or replacing it if need be.

    An engine that somebody else started under this name is taken as it is, but nothing else that has the name. One
    started here runs on after this process ends; `docker.stop_services` removes it.

    Args:
        image: The engine's image with its tag; Docker has it.
        network: Docker network it joins, made where it is missing.
        mirrors: As in `configuration`.
        folder: Where the lock is.

    Returns:
        The container's name.

    Raises:
        MachineError: It does not start; its last lines are the detail. Or what has its name is no engine.
    """
    name = container_name(image)
    content = json.dumps(configuration(mirrors), indent=2) + "\n"
    async with locks.exclusive(folder / "engine.lock", "the Dagger engine"):
        image_id = (await command.run(["docker", "image", "inspect", "--format", "{{.Id}}", image], timeout=30)).stdout
        wanted = hashlib.sha256(f"{image_id}{network}{content}".encode()).hexdigest()[:16]
        found = await docker.settled(lambda: _inspect(name))
        if found is not None:
            _require_engine(name, found)
            await docker.wake(found)
        if found is not None and await _may_stay(name, found, wanted):
            return name
        with progress.step("start the Dagger engine"):
            await docker.ensure_network(network)
            if found is not None:  # by its id: what has the name by now may be somebody else's
                await command.run(["docker", "rm", "--force", found["Id"]], check=False, timeout=60)
            try:
                await _create(name, image, network, content, wanted)
            except CommandError as error:
                if not docker.name_taken(error):
                    raise
            await _ready(name)
    return name


async def _may_stay(name: str, found: dict[str, Any], wanted: str) -> bool:
    """Tell whether the container that is there is taken as it is; somebody else's always is."""
    if CONFIG_LABEL not in found["Config"]["Labels"]:
        if not found["State"]["Running"]:
            await command.run(["docker", "start", name], timeout=60)
        return True
    if not found["State"]["Running"]:
        return False
    if found["Config"]["Labels"][CONFIG_LABEL] != wanted and await _in_use(name):
        progress.note("the Dagger engine is not the newest, but another run uses it: taken as it is")
        return True
    return bool(found["Config"]["Labels"][CONFIG_LABEL] == wanted)


async def runs(name: str) -> bool:
    """Return whether the engine's container runs.

    Args:
        name: The container's.

    Raises:
        MachineError: What has its name is no engine.
    """
    found = await _inspect(name)
    if found is None:
        return False
    _require_engine(name, found)
    return bool(found["State"]["Running"])


def _require_engine(name: str, found: dict[str, Any]) -> None:
    if CONFIG_LABEL not in found["Config"]["Labels"] and "engine" not in found["Config"]["Image"]:
        raise MachineError(
            f"the container {name} is no Dagger engine, and each of Dagger's clients looks for one by that name",
            fix=f"docker rename {name} OTHER-NAME, if nobody needs it there",
            detail=f"docker container inspect {name}",
        )


async def require_unused() -> None:
    """Raise while a client has a session on an engine that this tool started.

    Raises:
        UsageError: One has.
    """
    ours = ["docker", "ps", f"--filter=label={docker.SERVICE_LABEL}=engine", "--format={{.Names}}"]
    for name in (await command.run(ours, timeout=30)).stdout.split():
        if await _in_use(name):
            raise UsageError(f"a run uses the Dagger engine {name}", fix="Wait for its end, or interrupt it.")


async def require_mirrors(image: str, *, pinned: bool) -> None:
    """Raise if the engine on this machine was started by somebody else, and so knows no mirrors.

    `dagger run` starts it that way where it finds the image but no container. An engine elsewhere is not looked at.

    Args:
        image: The engine's image with its tag.
        pinned: Whether that is the version that this tool starts itself.

    Raises:
        MachineError: It was.
    """
    name = container_name(image)
    found = await _inspect(name)
    if found is not None and CONFIG_LABEL not in found["Config"]["Labels"]:
        again = f"docker rm --force {name} && python ci/main.py lint (starts it with the mirror), then the same again"
        raise MachineError(
            f"the Dagger engine {name} was started without the local registry as its mirror",
            fix=again if pinned else dagger_session.WITHOUT,
        )


async def _create(name: str, image: str, network: str, content: str, wanted: str) -> None:
    """Make the container and start it.

    The configuration is copied in, not mounted: the container then starts again after a reboot, cache cleaned or not,
    and on a Docker daemon on another machine too.
    """
    await command.run(
        [
            "docker",
            "create",
            f"--name={name}",
            f"--label={docker.SERVICE_LABEL}=engine",
            f"--label={CONFIG_LABEL}={wanted}",
            "--privileged",
            "--restart=unless-stopped",
            f"--network={network}",
            f"--volume={VOLUME}:{STATE_PATH}",
            "--pull=never",
            image,
        ],
        timeout=120,
    )
    await docker.copy_in(name, {CONFIG_PATH: content})
    await command.run(["docker", "start", name], timeout=60)


async def _ready(name: str) -> None:
    async def probe() -> None:
        found = await _inspect(name)
        if found is None or found["RestartCount"] or found["State"]["Status"] not in ("created", "running"):
            raise CheckFailedError("the Dagger engine ended")
        answer = await command.run(
            ["docker", "exec", name, "test", "-S", "/run/dagger/engine.sock"], check=False, timeout=30
        )
        if answer.returncode != 0:
            raise wait.NotYet("its socket is not there")

    try:
        await wait.until("the Dagger engine listens", probe, timeout=START_SECONDS, interval=0.2)
    except CheckFailedError as error:
        logs = await command.run(["docker", "logs", "--tail=30", name], check=False, timeout=30)
        raise MachineError(
            "the Dagger engine does not start", fix=f"docker logs {name}", detail=logs.stdout + logs.stderr
        ) from error


async def _in_use(name: str) -> bool:
    """Whether a client has a session, which it holds through a program it runs in the container."""
    processes = await command.run(["docker", "top", name, "-eo", "pid,args"], timeout=30)
    return "buildctl dial-stdio" in processes.stdout


async def _inspect(name: str) -> dict[str, Any] | None:
    found = await client.inspect("container", name)
    if found is not None:
        found["Config"]["Labels"] = found["Config"]["Labels"] or {}
    return found
