"""A second Docker daemon, as GitLab's `docker:dind` is one: in the network of a container of the first."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from ci.host import docker, oci_runtime, runtime_shim
from ci.supply import registry

START_SECONDS = 60
HOST = "tcp://docker:2375"
SETUP = 'mount -t tmpfs tmpfs /run && exec "$@"'


@dataclass(frozen=True)
class Daemon:
    """The second daemon.

    Attributes:
        network: Network of the first daemon on which it is `docker`.
        socket: Its address for this machine.
    """

    network: str
    socket: str


def ask(*args: str | Path, host: str | None = None) -> str:
    """Ask a daemon: the machine's own, or the one at an address."""
    where = ["--host", host] if host else []
    done = subprocess.run(["docker", *where, *args], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"docker {args}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def second_daemon(image: str, way: str, folder: Path) -> Iterator[Daemon]:
    """Have a second daemon for as long as a block runs.

    Args:
        image: An image of the first one's, with `sleep`.
        way: How images are got: what the first daemon's registry holds, the second's holds too.
        folder: For everything that is its own.
    """
    name = f"client-{secrets.token_hex(4)}"
    ask("network", "create", name)
    try:
        ask("run", "--detach", f"--name={name}", f"--network={name}", "--network-alias=docker",
            "--entrypoint=sleep", image, "infinity")  # fmt: skip
        pid = ask("inspect", "--format={{.State.Pid}}", name)
        socket = f"unix://{folder}/docker.sock"
        process = _start(pid, folder, socket)
        try:
            _answers(process, socket, folder)
            _fill(f"{registry.CONTAINER}-{way}", socket)
            yield Daemon(name, socket)
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)
            shutil.rmtree(folder / "data", ignore_errors=True)
    finally:
        ask("rm", "--force", name)
        ask("network", "rm", name)


def _start(pid: str, folder: Path, socket: str) -> subprocess.Popen[bytes]:
    runtime = anyio.run(runtime_shim.install, folder) if oci_runtime.missing_here() else None
    config = folder / "daemon.json"
    config.write_text(json.dumps(docker.configuration({}, folder / "dockerd.pid", runtime)))
    own = ["dockerd", "--config-file", config, "--data-root", folder / "data", "--host", socket,
           "--host", "tcp://0.0.0.0:2375", "--tls=false"]  # fmt: skip
    # its network is the container's, its /run its own: the two daemons never meet
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "unshare", "--mount", "sh", "-c", SETUP, "sh", *own]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
    with (folder / "dockerd.log").open("wb") as log:
        return subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)


def _answers(process: subprocess.Popen[bytes], socket: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        asked = subprocess.run(["docker", "--host", socket, "version"], capture_output=True, timeout=30, check=False)
        if asked.returncode == 0:
            return
        log = (folder / "dockerd.log").read_text(errors="replace")
        assert process.poll() is None, log
        assert time.monotonic() < deadline, log
        time.sleep(0.2)


def _fill(volume: str, socket: str) -> None:
    """Copy the first daemon's images, which took minutes to make."""
    mounted = "--format={{.Mountpoint}}"
    target = ask("volume", "create", volume, host=socket) and ask("volume", "inspect", mounted, volume, host=socket)
    shutil.copytree(ask("volume", "inspect", mounted, volume), target, dirs_exist_ok=True)
