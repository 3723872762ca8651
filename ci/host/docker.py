"""Docker on this machine: found, or installed and started."""

import dataclasses
import io
import json
import os
import platform
import re
import shutil
import signal
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from ci.base import command, locks, paths, progress, settings, tasks, versions, wait
from ci.base.errors import CheckFailedError, CommandError, MachineError, WaitTimeoutError
from ci.host import daemon, oci_runtime, packages, products, runtime_shim
from ci.host.daemon import Daemon

USER_CONFIG = Path("/etc/docker/daemon.json")
START_SECONDS = 60.0
ANSWER_SECONDS = 15.0
PROBE_SECONDS = 0.3
NETWORK_SECONDS = 60.0
SETTLE_SECONDS = 10.0
MINIMUM = "20.10"
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
"""Those that pins.toml has, by the names that machines give them."""
SERVICE_LABEL = "ml-serving-ci.service"
"""On every container and network that stays after a run; its value is the service's name."""


async def find() -> Daemon | None:
    """Return the daemon the `docker` command reaches, or None where none answers.

    Raises:
        MachineError: What answers cannot be used: it hangs, refuses this user, speaks another API version, is podman.
    """
    if shutil.which("docker") is None:
        return None
    said: dict[str, command.Result] = {}
    questions = {
        "info": ["info", "--format", "{{json .}}"],
        "version": ["version", "--format", "{{json .}}"],  # names podman behind a docker command
        "context": ["context", "inspect", "--format", "{{.Name}} {{.Endpoints.docker.Host}}"],
    }

    async def ask(question: str) -> None:
        words = ["docker", *questions[question]]
        said[question] = await command.run(words, check=False, timeout=ANSWER_SECONDS)

    try:
        async with tasks.group() as asking:
            for question in questions:
                asking.start_soon(ask, question)
    except CommandError as error:
        raise MachineError(
            f"the Docker daemon does not answer within {ANSWER_SECONDS:.0f} s", fix="docker info", detail=error.detail
        ) from error
    info = said["info"]
    if not (info.stdout + info.stderr).strip():  # killed, or it cannot run here: that tells nothing of a daemon
        raise MachineError(
            f"`docker info` ended with exit code {info.returncode} and said nothing", fix="type -a docker; docker info"
        )
    return daemon.parse(info.stdout, info.stderr, said["version"].stdout, _place(said["context"].stdout.split()))


def _place(inspected: list[str]) -> daemon.Place:
    """Return where the `docker` command looked, with the address that it named; podman's names none."""
    place = daemon.place()
    return dataclasses.replace(place, context=inspected[0], endpoint=inspected[1]) if len(inspected) == 2 else place


async def ensure(folder: Path, *, install: bool = True) -> Daemon:
    """Return a Docker daemon that can run privileged containers, installing and starting it if need be.

    A daemon started here runs on after this process ends, as a machine's services do; `stop_services` ends it.

    Args:
        folder: Where the configuration, log and pid file of a daemon started here go.
        install: Whether packages may be installed and a daemon started.

    Returns:
        The daemon.

    Raises:
        MachineError: There is none and none can be started, or it cannot be used; `fix` has the commands.
    """
    async with locks.exclusive(folder / "docker.lock", "Docker"):
        found = await find()
        if found is not None and found.default_runtime == runtime_shim.NAME:
            await runtime_shim.install(folder)  # the daemon needs the file as long as it runs, cache cleaned or not
        if found is None:
            require_startable(install=install)
            if shutil.which("dockerd") is None:
                await packages.install("docker.io")
            if shutil.which("docker") is None:
                await packages.install("docker-cli")  # a package of its own since Debian 13
            found = await find()  # where services start on installation it is up already
        if found is None:
            found = await _start(folder)
    require_usable(found)
    return found


def require_startable(*, install: bool) -> None:
    """Raise unless a daemon may be started here, where none answers.

    Nothing is installed or started beside a daemon or an engine that somebody chose.

    Args:
        install: Whether packages may be installed and a daemon started.

    Raises:
        MachineError: It may not; `fix` has the commands.
    """
    place = daemon.place()
    if shutil.which("docker") is None and (place.chosen or daemon.listens(place.endpoint)):
        if not place.chosen and install and os.geteuid() == 0 and packages.available():
            return  # the command alone is missing
        raise MachineError(
            f"there is no docker command to ask the Docker daemon at {place.set_by or place.endpoint} with",
            fix=f"{packages.by_hand('docker-cli')}   # docker-ce-cli from Docker's own repository, docker.io before "
            "Debian 13",
        )
    if place.chosen:
        start = products.start(place.context, place.endpoint)
        raise MachineError(
            f"no Docker daemon answers at {place.set_by}",
            fix=f"{start}   # or: {place.away}" if start else f"{place.away}   # or start the daemon there",
        )
    if platform.system() != "Linux":
        raise MachineError(
            "no Docker daemon answers, and none can be installed here but Docker Desktop", fix="docker desktop start"
        )
    if shutil.which("docker") is None and (podman := shutil.which("podman")):
        raise MachineError(
            f"{podman} is here and no Docker: Docker is the only engine asked for, and none is installed beside podman",
            fix=by_hand(),
        )
    if not install:
        raise MachineError("no Docker daemon answers", fix=by_hand())
    if os.geteuid() != 0:
        raise MachineError("no Docker daemon answers, and only root can install or start one", fix=by_hand())
    if lacking := sorted({"CAP_SYS_ADMIN", "CAP_NET_ADMIN"} & oci_runtime.missing_here()):
        raise MachineError(
            f"no Docker daemon answers, and this container may not start one: it lacks {', '.join(lacking)}",
            fix="docker run --volume=/var/run/docker.sock:/var/run/docker.sock IMAGE   # or set DOCKER_HOST",
        )
    if shutil.which("dockerd") is None and not packages.available():
        raise MachineError("no Docker daemon answers, and there is no apt-get to install one with", fix=by_hand())


def require_usable(found: Daemon) -> None:
    """Raise unless a daemon can run what a cluster is made of: Linux containers, some of them privileged.

    Args:
        found: The daemon.

    Raises:
        MachineError: It cannot; `fix` has the commands.
    """
    if found.os_type != "linux":
        raise MachineError(
            f"the Docker daemon runs {found.os_type} containers, not Linux ones",
            fix='"C:\\Program Files\\Docker\\Docker\\DockerCli.exe" -SwitchLinuxEngine',
        )
    version = versions.numbers(found.version)
    if version and version < versions.numbers(MINIMUM):  # one that somebody built himself is called "dev"
        raise MachineError(
            f"Docker {found.version}, {MINIMUM} needed: kind asks for control group namespaces, which came with it",
            fix=found.product.update if found.product else packages.docker_by_hand(),
        )
    if found.architecture and ARCHITECTURES.get(found.architecture) != ARCHITECTURES.get(platform.machine()):
        raise MachineError(
            f"the Docker daemon's machine is {found.architecture}, this one {platform.machine()}: "
            "what is built here does not run there",
            fix="docker context ls   # then: docker context use ONE of this architecture",
        )
    if "userns" in found.security:
        raise MachineError(
            "the Docker daemon remaps users (userns-remap): privileged containers cannot start",
            fix=f'sudo python3 -c \'import json; file = "{USER_CONFIG}"; config = json.load(open(file)); '
            'config.pop("userns-remap"); json.dump(config, open(file, "w"))\' && ' + _service("restart"),
        )
    if "rootless" in found.security and (found.cgroup_driver == "none" or found.cgroup_version == "1"):
        raise MachineError(
            f"the Docker daemon is rootless and controls no resources (cgroup driver {found.cgroup_driver}, "
            f"version {found.cgroup_version})",
            fix="docker context use default   # a daemon of root's; or: https://rootlesscontaine.rs/getting-started"
            "/common/cgroup2",
        )
    if found.snap:
        _require_seen_by_snap(paths.cache())
    require_privileged(found)


def _require_seen_by_snap(cache: Path) -> None:
    """Raise unless a program that snapd confines can read the cache: it lies in the home folder and is not hidden."""
    home = settings.home()
    if not cache.is_relative_to(home) or cache.relative_to(home).parts[0].startswith("."):
        raise MachineError(
            f"Docker from snap sees neither hidden folders nor those outside {home}, so not the cache {cache}",
            fix="mkdir -p ~/ml-serving-ci/tmp && export ML_SERVING_CI_CACHE=~/ml-serving-ci TMPDIR=~/ml-serving-ci/tmp"
            f"   # or: {without_snap()}",
        )


def require_privileged(found: Daemon) -> None:
    """Raise unless `docker run --privileged` can work with the capabilities that a daemon on this machine has.

    What a daemon elsewhere may do cannot be told from here, least of all from what this process may do.

    Args:
        found: The daemon.

    Raises:
        MachineError: It lacks capabilities and uses plain runc, which does not cope.
    """
    if found.process is None or "rootless" in found.security or found.default_runtime != "runc":
        return
    missing = oci_runtime.missing_here(found.process)
    if missing:
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
    async with locks.exclusive(folder / "docker.lock", "Docker"):
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


async def wake(found: dict[str, Any]) -> None:
    """Have a container go on that somebody paused: it counts as running, and answers nobody.

    Args:
        found: As `docker inspect` shows it.
    """
    if found["State"].get("Paused"):
        progress.note(f"the container {found['Name'].removeprefix('/')} is paused: it goes on")
        await command.run(["docker", "unpause", found["Id"]], check=False, timeout=60)


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


async def empty_network(name: str) -> None:
    """Take every container off a network, which can then go: the registry, the container that a client runs in."""
    guests = "--format={{range $id, $guest := .Containers}}{{$id}} {{end}}"
    shown = await command.run(["docker", "network", "inspect", name, guests], check=False, timeout=30)
    for guest in shown.stdout.split():
        await command.run(["docker", "network", "disconnect", "--force", name, guest], check=False, timeout=60)


async def copy_in(container: str, files: Mapping[str, str]) -> None:
    """Write files into a container, with the folders that they need.

    What is mounted has to lie on the daemon's own machine, and to stay there; this process may be on another one.

    Args:
        container: Its name or id; it need not run yet.
        files: Path in the container to content.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in files.items():
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size = len(content.encode())
            tar.addfile(info, io.BytesIO(content.encode()))
    await command.run(["docker", "cp", "-", f"{container}:/"], stdin=archive.getvalue(), timeout=60)


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
        try:
            with progress.step("start Docker (systemctl start docker)"):
                await command.run(["systemctl", "start", "docker"], timeout=START_SECONDS)
                return await _answering()
        except (CommandError, CheckFailedError) as error:
            raise MachineError(
                f"the Docker daemon did not start: {error.message}", fix="journalctl -xeu docker", detail=error.detail
            ) from error
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
        found = await find()
        if found is not None:
            return found
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
    except PermissionError as error:
        raise MachineError(
            f"{USER_CONFIG}: this user may not read it", fix=f"sudo chmod a+r {USER_CONFIG}   # or run this as root"
        ) from error
    except ValueError as error:
        raise MachineError(f"{USER_CONFIG}: not JSON: {error}", fix=f"correct or remove {USER_CONFIG}") from error
    if not isinstance(user, dict):
        raise MachineError(f"{USER_CONFIG}: not a JSON object", fix=f"correct or remove {USER_CONFIG}")
    return user


def data_root() -> Path:
    """Return where a daemon started here keeps images and containers."""
    root = _user_configuration().get("data-root")
    return Path(root if isinstance(root, str) else daemon.ROOT)


def _forget_unless(pid_file: Path, program: str) -> None:
    """Delete a pid file unless it names a running process of `program`."""
    try:
        name = Path(f"/proc/{int(pid_file.read_text())}/comm").read_text().strip()
    except (OSError, ValueError):
        name = ""
    if name != program:
        pid_file.unlink(missing_ok=True)


def by_hand() -> str:
    """Return the commands that install and start Docker, as far as each is missing."""
    if shutil.which("dockerd"):
        return _service("start")
    return f"{packages.docker_by_hand()} && {_service('start')}"


def without_snap() -> str:
    """Return the command that replaces snap's Docker."""
    return f"sudo snap remove docker && {packages.docker_by_hand()}"


def _service(action: str) -> str:
    """Return the command that starts or restarts the daemon, by this machine's init system."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    if Path("/run/systemd/system").is_dir():
        return f"{sudo}systemctl {action} docker"
    if shutil.which("rc-service"):
        return f"{sudo}rc-service docker {action}"
    if Path("/etc/init.d/docker").exists():
        return f"{sudo}service docker {action}"
    return f"{sudo}dockerd --storage-driver=overlay2 &"
