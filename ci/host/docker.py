"""Docker on this machine: found, or installed and started."""

import json
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import AsyncFileLock

from ci import command, progress, settings, wait
from ci.errors import CheckFailedError, CommandError, MachineError, WaitTimeoutError
from ci.host import oci_runtime, packages, runtime_shim

USER_CONFIG = Path("/etc/docker/daemon.json")
START_SECONDS = 60.0
ANSWER_SECONDS = 15.0
PROBE_SECONDS = 0.3
NETWORK_SECONDS = 60.0
SETTLE_SECONDS = 10.0
SERVICE_LABEL = "ml-serving-ci.service"
"""On every container and network that stays after a run; its value is the service's name."""


@dataclass(frozen=True)
class Daemon:
    """A Docker daemon that answers.

    Attributes:
        version: Its version.
        default_runtime: The OCI runtime its containers get.
        storage_driver: How it stores layers.
        cgroup_version: "1" or "2".
        root: Where it keeps images and volumes.
    """

    version: str
    default_runtime: str
    storage_driver: str
    cgroup_version: str
    root: str


async def find() -> Daemon | None:
    """Return the daemon the `docker` command reaches, or None where none answers.

    Raises:
        MachineError: A daemon is there but cannot be used: it hangs, refuses this user, or speaks another API version.
    """
    if shutil.which("docker") is None:
        return None
    try:
        result = await command.run(["docker", "info", "--format", "{{json .}}"], check=False, timeout=ANSWER_SECONDS)
    except CommandError as error:
        raise MachineError(
            f"the Docker daemon does not answer within {ANSWER_SECONDS:.0f} s", fix="docker info", detail=error.detail
        ) from error
    return parse_info(result.stdout, result.stderr)


def parse_info(stdout: str, stderr: str) -> Daemon | None:
    """Read what `docker info --format '{{json .}}'` said.

    Args:
        stdout: Its output.
        stderr: Its errors.

    Returns:
        The daemon, or None where none answers.

    Raises:
        MachineError: A daemon is there but cannot be used.
    """
    try:
        info: dict[str, Any] = json.loads(stdout) or {}
    except ValueError:
        info = {}
    problems = "\n".join([*(info.get("ServerErrors") or []), stderr]).strip()
    if info.get("ServerVersion"):
        return Daemon(
            version=info["ServerVersion"],
            default_runtime=info.get("DefaultRuntime") or "runc",
            storage_driver=info.get("Driver", ""),
            cgroup_version=info.get("CgroupVersion") or "1",
            root=info.get("DockerRootDir", "/var/lib/docker"),
        )
    lowered = problems.lower()
    if "permission denied" in lowered:
        raise MachineError(
            "this user may not use the Docker daemon",
            fix="sudo usermod -aG docker $USER && newgrp docker",
            detail=problems,
        )
    if "client version" in lowered or "api version" in lowered:
        raise MachineError(
            "the docker command and the Docker daemon speak different API versions",
            fix="use a docker command of the daemon's release (apt-get install docker.io brings both), "
            "and unset DOCKER_API_VERSION",
            detail=problems,
        )
    return None


async def ensure(folder: Path, *, install: bool = True) -> Daemon:
    """Return a Docker daemon that can run privileged containers, installing and starting it if need be.

    A daemon started here runs on after this process ends, as a machine's services do; `stop_services` ends it.

    Args:
        folder: Where the configuration, log and pid file of a daemon started here go.
        install: Whether packages may be installed and a daemon started.

    Returns:
        The daemon.

    Raises:
        MachineError: There is none and none can be started; `fix` has the commands.
    """
    async with AsyncFileLock(_prepared(folder) / "docker.lock"):
        daemon = await find()
        if daemon is not None and daemon.default_runtime == runtime_shim.NAME:
            await runtime_shim.install(folder)  # the daemon needs the file as long as it runs, cache cleaned or not
        if daemon is None:
            _require_local()
            if not install:
                raise MachineError("no Docker daemon answers", fix=by_hand())
            _require_root()
            if shutil.which("dockerd") is None:
                await packages.install("docker.io")
                daemon = await find()  # where services start on installation it is up already
        if daemon is None:
            daemon = await _start(folder)
    require_privileged(daemon)
    return daemon


def require_privileged(daemon: Daemon) -> None:
    """Raise unless `docker run --privileged` can work with the machine's capabilities.

    Raises:
        MachineError: Capabilities are missing and the daemon uses plain runc, which does not cope.
    """
    missing = oci_runtime.missing_here()
    if missing and daemon.default_runtime == "runc":
        raise MachineError(
            f"this machine lacks {', '.join(sorted(missing))}, and its Docker daemon has no runtime that copes: "
            "privileged containers cannot start",
            fix="stop that daemon and run again: a daemon with the runtime shim is then started; or add "
            f'"default-runtime": "{runtime_shim.NAME}" and the runtime to {USER_CONFIG}',
        )


async def stop_services(folder: Path) -> list[str]:
    """Remove the services this tool left running, then stop the daemon if this tool started it.

    Volumes stay, as cache; so does a network that somebody else's container is on, and a daemon that runs one.

    Args:
        folder: As given to `ensure`.

    Returns:
        What was stopped, in words.
    """
    stopped: list[str] = []
    guests: list[str] = []
    if await find() is not None:
        chosen = ["--filter", f"label={SERVICE_LABEL}", "--format", "{{.Names}}"]
        containers = (await command.run(["docker", "ps", "--all", *chosen], timeout=30)).stdout.split()
        if containers:
            await command.run(["docker", "rm", "--force", *containers], timeout=120)
        stopped += [f"container {name}" for name in containers]
        chosen[-1] = "{{.Name}}"
        for name in (await command.run(["docker", "network", "ls", *chosen], timeout=30)).stdout.split():
            removal = await command.run(["docker", "network", "rm", name], check=False, timeout=60)
            if removal.returncode == 0:
                stopped.append(f"network {name}")
            else:
                progress.note(f"network {name} stays: {removal.stderr.strip()}")
        guests = (await command.run(["docker", "ps", "--format={{.Names}}"], timeout=30)).stdout.split()
    async with AsyncFileLock(_prepared(folder) / "docker.lock"):
        config = folder / "daemon.json"
        pid = started_with(config)
        if pid is not None and guests:
            progress.note(f"the Docker that was started here stays, it runs what is not ours: {', '.join(guests)}")
        elif pid is not None:
            os.kill(pid, signal.SIGTERM)

            async def gone() -> None:
                if started_with(config) is not None:
                    raise wait.NotYet(f"process {pid} still runs")

            await wait.until("the Docker daemon ends", gone, timeout=START_SECONDS)
            stopped.append("dockerd")
    return stopped


def started_with(config: Path, processes: Path = Path("/proc")) -> int | None:
    """Return the process id of the daemon that runs with a configuration file, if one does.

    The process table is asked, not a pid file: that may be gone with the cache, or name a process of another program.

    Args:
        config: The configuration file.
        processes: Where the process table is.
    """
    for folder in processes.glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # ended meanwhile
        if Path(words[0]).name == "dockerd" and str(config) in words:
            return int(folder.name)
    return None


async def ours(kind: Literal["container", "network"], name: str) -> dict[str, Any] | None:
    """Return what `docker inspect` shows of a thing with a name of our choice, or None where there is none.

    Args:
        kind: What it is.
        name: Its name, which is the same on every machine.

    Raises:
        MachineError: Somebody else has a thing of this name.
    """
    found = await _named(kind, name)
    for thing in found:
        labels = (thing["Config"] if kind == "container" else thing)["Labels"] or {}
        if SERVICE_LABEL not in labels:
            away = f"docker rename {name} OTHER-NAME" if kind == "container" else f"docker network rm {name}"
            raise MachineError(
                f"there is a {kind} {name} that this tool did not make, and it needs the name",
                fix=f"{away}, if nobody needs it there",
                detail=f"docker {kind} inspect {name}",
            )
    return found[0] if found else None


async def _named(kind: Literal["container", "network"], name: str) -> list[dict[str, Any]]:
    """Return what has a name, the oldest first: Docker makes two networks of one name for two who ask at once."""
    listing = ["ls", "--quiet", "--no-trunc", *(["--all"] if kind == "container" else [])]
    listed = await command.run(["docker", kind, *listing, f"--filter=name=^/?{name}$"], timeout=30)
    ids = listed.stdout.split()
    if not ids:
        return []
    shown = await command.run(["docker", kind, "inspect", *ids], check=False, timeout=30)  # without what went since
    return sorted(json.loads(shown.stdout or "[]"), key=lambda thing: (thing["Created"], thing["Id"]))


async def settled(look: Callable[[], Awaitable[dict[str, Any] | None]]) -> dict[str, Any] | None:
    """Return a container with a fixed name once no other run is in the midst of making it: created, not yet started.

    Args:
        look: Returns what `docker inspect` shows of it, or None where it is not there.
    """

    async def probe() -> dict[str, Any] | None:
        found = await look()
        if found is not None and found["State"]["Status"] == "created":
            raise wait.NotYet("it is not started")
        return found

    try:
        return await wait.until("the container is started", probe, timeout=SETTLE_SECONDS, interval=0.2)
    except WaitTimeoutError:
        return await look()  # its run was killed in between


def name_taken(error: CommandError) -> bool:
    """Tell whether a container could not be made because somebody else was faster with its name."""
    return "already in use by" in error.stderr.lower() and "name" in error.stderr.lower()


NO_ADDRESSES = re.compile(
    "overlap(s|ping)"  # Docker from 17.06 to 26; and where its ranges meet the machine's own routes or another network
    "|address pools have been fully subnetted"  # from 27 on
    "|available predefined network"  # before 17.06
    "|no available (ipv[46] )?(address|subnet)"  # in a range of its own that is too small
    "|free subnet",  # Podman
    re.IGNORECASE,
)
"""What engines say where they have no address range left for a network."""


async def create_network(name: str, *options: str) -> str:
    """Make a network.

    Args:
        name: Its name.
        options: Of `docker network create`.

    Returns:
        Its id.

    Raises:
        MachineError: Docker has no addresses for it.
        CommandError: It cannot be made, or there is one.
    """
    try:
        made = await command.run(["docker", "network", "create", *options, name], timeout=60)
    except CommandError as error:
        if NO_ADDRESSES.search(error.stderr):
            raise MachineError(
                "Docker has no address range left for another network",
                fix="python ci/main.py cluster clean; or docker network prune",
                detail=error.detail,
            ) from error
        raise
    return made.stdout.strip()


async def ensure_network(name: str) -> None:
    """Make sure that Docker has one network of this name, for the services this tool leaves running.

    Args:
        name: Its name.

    Raises:
        MachineError: Somebody else has a network of this name, or Docker has no addresses for it.
    """

    async def one() -> None:
        if await ours("network", name) is None:
            try:
                await create_network(name, f"--label={SERVICE_LABEL}=network")
            except CommandError as error:
                if "already exists" not in error.stderr:
                    raise
            raise wait.NotYet("it was not there")
        for another in (await _named("network", name))[1:]:
            await command.run(["docker", "network", "rm", another["Id"]], check=False, timeout=60)
            raise wait.NotYet("another run made one too")

    if await ours("network", name) is None or len(await _named("network", name)) > 1:
        await wait.until(f"the network {name} is there", one, timeout=NETWORK_SECONDS, interval=0.2, successes=2)


def configuration(user: dict[str, Any], pid_file: Path, runtime: Path | None) -> dict[str, Any]:
    """Return the configuration of a daemon started here: the user's own, and what this tool needs.

    Args:
        user: What the user's daemon.json says.
        pid_file: Where the daemon writes its process id.
        runtime: The runtime shim, where the machine needs it.
    """
    config = {"storage-driver": "overlay2", "log-opts": {"max-size": "10m", "max-file": "2"}, **user}
    if "log-driver" in user and "log-opts" not in user:
        del config["log-opts"]  # they are json-file's, and mean nothing to another driver
    config["pidfile"] = str(pid_file)
    if runtime is not None:
        config["runtimes"] = {**user.get("runtimes", {}), runtime_shim.NAME: {"path": str(runtime)}}
        config["default-runtime"] = runtime_shim.NAME
    return config


async def _start(folder: Path) -> Daemon:
    """Start a daemon that outlives this process."""
    if Path("/run/systemd/system").is_dir() and not oci_runtime.missing_here():
        with progress.step("start Docker (systemctl start docker)"):
            await command.run(["systemctl", "start", "docker"], timeout=START_SECONDS)
            return await _answering()
    runtime = None
    missing = oci_runtime.missing_here()
    if missing:
        progress.note(f"this machine lacks {', '.join(sorted(missing))}: Docker gets a runtime that does without")
        runtime = await runtime_shim.install(folder)
    pid_file = folder / "dockerd.pid"
    config = folder / "daemon.json"
    config.write_text(json.dumps(configuration(_user_configuration(), pid_file, runtime), indent=2) + "\n")
    # Files a killed daemon left: if another program has the number by now, dockerd takes that for a daemon of its own
    # and refuses to start, or waits for a containerd that never answers.
    pid_file.unlink(missing_ok=True)
    _forget_unless(Path("/run/docker/containerd/containerd.pid"), "containerd")
    log = folder / "dockerd.log"
    with progress.step(f"start Docker (log: {log})"):
        # setsid --fork hands the daemon to init, so that it survives this run and leaves no zombie
        await command.run(["setsid", "--fork", "dockerd", "--config-file", config], log=log, timeout=START_SECONDS)

        try:
            return await _answering(config)
        except CheckFailedError as error:
            raise MachineError("the Docker daemon did not start", fix=f"see {log}", detail=command.tail(log)) from error


async def _answering(config: Path | None = None) -> Daemon:
    """Wait for the daemon; with its configuration file, only as long as its process runs."""
    missed = 0

    async def probe() -> Daemon:
        nonlocal missed
        daemon = await find()
        if daemon is not None:
            return daemon
        if config is not None:
            missed = 0 if started_with(config) is not None else missed + 1
            if missed * PROBE_SECONDS > 2:  # it has had time to become dockerd
                raise CheckFailedError("the Docker daemon ended")
        raise wait.NotYet("no answer")

    return await wait.until("the Docker daemon answers", probe, timeout=START_SECONDS, interval=PROBE_SECONDS)


def _user_configuration() -> dict[str, Any]:
    if not USER_CONFIG.is_file():
        return {}
    try:
        user = json.loads(USER_CONFIG.read_text())
    except ValueError as error:
        raise MachineError(f"{USER_CONFIG}: not JSON: {error}", fix=f"mend or remove {USER_CONFIG}") from error
    if not isinstance(user, dict):
        raise MachineError(f"{USER_CONFIG}: not a JSON object", fix=f"mend or remove {USER_CONFIG}")
    return user


def _forget_unless(pid_file: Path, program: str) -> None:
    """Delete a pid file unless it names a running process of `program`."""
    try:
        name = Path(f"/proc/{int(pid_file.read_text())}/comm").read_text().strip()
    except (OSError, ValueError):
        name = ""
    if name != program:
        pid_file.unlink(missing_ok=True)


def _require_local() -> None:
    host = settings.variable("DOCKER_HOST")
    if host:
        raise MachineError(
            f"no Docker daemon answers at DOCKER_HOST={host}", fix="start it, or unset DOCKER_HOST to use this machine"
        )


def _require_root() -> None:
    if os.geteuid() != 0:
        raise MachineError("no Docker daemon answers, and only root can install or start one", fix=by_hand())


def by_hand() -> str:
    """Return the commands that install and start Docker, as far as each is missing."""
    if not packages.available() and shutil.which("dockerd") is None:
        return "install Docker: https://docs.docker.com/engine/install"
    sudo = "" if os.geteuid() == 0 else "sudo "
    install = "" if shutil.which("dockerd") else f"{packages.by_hand('docker.io')} && "
    systemd = Path("/run/systemd/system").is_dir()
    return install + sudo + ("systemctl start docker" if systemd else "dockerd --storage-driver=overlay2 &")


def _prepared(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
