"""The local registry: holds every image under its upstream name, for Docker, kind's nodes and the Dagger engine."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import requests

from ci import command, settings
from ci.errors import CommandError, MachineError
from ci.host import docker
from ci.supply.source import layers
from ci.wait import NotYet, until

CONTAINER = "ml-serving-ci-registry"
NETWORK = "ml-serving-ci"
IMAGE = "docker.io/library/registry"
PORT = 5000
LABEL = f"{docker.SERVICE_LABEL}=registry"
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def host_port() -> int:
    """Return the port on this host, `$ML_SERVING_CI_REGISTRY_PORT` or 5001."""
    return settings.registry_port()


@dataclass(frozen=True)
class Registry:
    """The running registry.

    Attributes:
        host: Its address on this machine, for Docker and crane.
        container: Its container, which is also its name inside Docker networks (port 5000).
    """

    host: str
    container: str = CONTAINER

    def host_ref(self, ref: str) -> str:
        """Return where this host finds the image of an upstream reference."""
        return f"{self.host}/{ref}"

    async def digest(self, ref: str) -> str | None:
        """Return the digest of an image it holds, or None."""
        name, _, tag = ref.rpartition(":")
        return await anyio.to_thread.run_sync(self._digest, name, tag)

    def _digest(self, name: str, tag: str) -> str | None:
        answer = requests.head(
            f"http://{self.host}/v2/{name}/manifests/{tag}", headers={"Accept": MANIFESTS}, timeout=10
        )
        return answer.headers.get("Docker-Content-Digest") if answer.status_code == requests.codes.ok else None


async def image_from(binary: Path, ref: str) -> None:
    """Give Docker a registry image that is nothing but the registry's own static executable."""
    with tempfile.TemporaryDirectory() as work:
        tar = Path(work, "registry.tar")
        layers.from_files({"/bin/registry": binary}, {}, ("/var/lib/registry", "/etc/distribution", "/tmp"), tar, None)  # noqa: S108
        await command.run(["docker", "import", "--change", 'ENTRYPOINT ["/bin/registry"]', tar, ref], timeout=120)


CONFIG = """\
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /var/lib/registry}
  cache: {blobdescriptor: inmemory}
  delete: {enabled: true}
http: {addr: ':5000'}
"""
"""The same for upstream's image and for the one made from the executable."""


async def published() -> str | None:
    """Return the address on the daemon's own host of the registry that runs, or None where none does.

    The container says it, not the variable: the registry may have been started with another port.

    Raises:
        MachineError: The container of its name is somebody else's.
    """
    found = await docker.ours("container", CONTAINER)
    if found is None or not found["State"]["Running"]:
        return None
    ends = found["NetworkSettings"]["Ports"].get(f"{PORT}/tcp")
    return f"127.0.0.1:{ends[0]['HostPort']}" if ends else None


async def start(image: str, state: Path) -> Registry:
    """Find the registry running, or start it.

    Args:
        image: Its image, already in Docker.
        state: Folder that keeps what it holds.

    Raises:
        MachineError: Its port or its name is taken by something else, or it does not answer.
    """
    stopped = await docker.settled(lambda: docker.ours("container", CONTAINER))
    if await published() is None:
        if stopped is not None:
            await command.run(["docker", "rm", "--force", stopped["Id"]], check=False, timeout=60)
        await _run(image, state)
    return await until("the local registry answers", _answering, timeout=30, interval=0.1)


async def _run(image: str, state: Path) -> None:
    await docker.ensure_network(NETWORK)
    state.mkdir(parents=True, exist_ok=True)
    config = state.with_name("registry.yml")
    config.write_text(CONFIG)
    try:
        await command.run(
            ["docker", "run", "--detach", "--name", CONTAINER, "--label", LABEL, "--network", NETWORK,
             "--restart", "unless-stopped", "--publish", f"127.0.0.1:{host_port()}:{PORT}",
             "--volume", f"{state}:/var/lib/registry", "--volume", f"{config}:/etc/distribution/config.yml:ro",
             image, "serve", "/etc/distribution/config.yml"],
            timeout=120,
        )  # fmt: skip
    except CommandError as error:
        if docker.name_taken(error):
            return  # another run was faster
        if "already allocated" in error.stderr or "address already in use" in error.stderr:
            raise MachineError(
                f"port {host_port()} is in use, the local registry needs it",
                fix="Set ML_SERVING_CI_REGISTRY_PORT to a free port, or end what listens there.",
                detail=error.detail,
            ) from error
        raise


async def _answering() -> Registry:
    address = await published()
    if address is None:
        raise NotYet(f"the container {CONTAINER} does not run")

    def look() -> int:
        return requests.get(f"http://{address}/v2/", timeout=5).status_code

    try:
        status = await anyio.to_thread.run_sync(look)
    except requests.RequestException as error:
        raise NotYet(str(error)) from error
    if status != requests.codes.ok:
        raise NotYet(f"HTTP {status}")
    return Registry(address)
