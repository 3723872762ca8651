"""The local registry: holds every image under its upstream name, for Docker, kind's nodes and the Dagger engine."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import requests

from ci.base import command, settings
from ci.base.errors import CommandError, MachineError, WaitTimeoutError
from ci.base.progress import note
from ci.base.wait import NotYet, until
from ci.host import client, docker
from ci.supply import pins
from ci.supply.source import layers

CONTAINER = "ml-serving-ci-registry"
NETWORK = "ml-serving-ci"
IMAGE = "docker.io/library/registry"
PORT = 5000
CONFIG_PATH = "/etc/distribution/config.yml"
STATE_PATH = "/var/lib/registry"
START_SECONDS = 30.0
LABEL = f"{docker.SERVICE_LABEL}=registry"
CONFIG_LABEL = "ml-serving-ci.config"
MIRRORED = {
    "docker.io": "https://registry-1.docker.io",
    "gcr.io": "https://gcr.io",
    "ghcr.io": "https://ghcr.io",
    "public.ecr.aws": "https://public.ecr.aws",
    "quay.io": "https://quay.io",
    "registry.k8s.io": "https://registry.k8s.io",
}
"""The registries whose images it holds under their own names, and where they really are."""
OTHERS = "others"
"""The folder of every other registry's images, which are asked for by digest alone: nodes ask a mirror by the path of
an image, without the name of its registry."""
MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


def host_port() -> int:
    """Return the port that is published for a new one, `$ML_SERVING_CI_REGISTRY_PORT` or 5001."""
    return settings.registry_port()


def path(host: str, repository: str) -> str:
    """Return where a node looks for an image in the local registry.

    Args:
        host: The registry that publishes it, with its port where it has one.
        repository: Its name there.
    """
    return f"{host if host in MIRRORED else OTHERS}/{repository}"


@dataclass(frozen=True)
class Registry:
    """The running registry; inside Docker networks it is `CONTAINER` at `PORT`.

    Attributes:
        host: Where this process finds it, for crane ("127.0.0.1:5001").
        published: Its port on the loopback of the daemon's host, for Docker itself.
    """

    host: str
    published: int

    def host_ref(self, ref: str) -> str:
        """Return where this process finds the image of an upstream reference."""
        return f"{self.host}/{ref}"

    def docker_ref(self, ref: str) -> str:
        """Return where the Docker daemon finds it."""
        return f"{client.LOOPBACK}:{self.published}/{ref}"

    async def digest(self, ref: str) -> str | None:
        """Return the digest of an image it holds, or None."""
        name, _, tag = ref.rpartition(":")
        return await anyio.to_thread.run_sync(self._digest, name, tag)

    def _digest(self, name: str, tag: str) -> str | None:
        answer = requests.head(
            f"http://{self.host}/v2/{name}/manifests/{tag}", headers={"Accept": MANIFESTS}, timeout=10
        )
        return answer.headers.get("Docker-Content-Digest") if answer.status_code == requests.codes.ok else None

    async def put(self, ref: str, manifest: bytes, kind: str) -> None:
        """Give it a manifest under a tag.

        Args:
            ref: The image's name, with the tag.
            manifest: Its bytes.
            kind: Its media type.

        Raises:
            MachineError: It does not take it.
        """
        name, _, tag = ref.rpartition(":")
        url = f"http://{self.host}/v2/{name}/manifests/{tag}"

        def put() -> requests.Response:
            return requests.put(url, manifest, headers={"Content-Type": kind}, timeout=60)

        answer = await anyio.to_thread.run_sync(put)
        if not answer.ok:
            raise MachineError(
                f"{ref}: the local registry answers {answer.status_code}: {answer.text.strip()}",
                fix=f"docker logs {CONTAINER}; a run that uses an older one has to end first",
            )


async def image_from(binary: Path, ref: str) -> None:
    """Give Docker a registry image that is nothing but the registry's own static executable."""
    with tempfile.TemporaryDirectory() as work:
        tar = Path(work, "registry.tar")
        layers.from_files({"/bin/registry": binary}, {}, (STATE_PATH, "/tmp"), tar, None)  # noqa: S108
        await command.run(["docker", "import", "--change", 'ENTRYPOINT ["/bin/registry"]', tar, ref], timeout=120)


CONFIG = f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {STATE_PATH}}}
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
validation: {{manifests: {{indexes: {{platforms: none}}}}}}
http: {{addr: ':{PORT}'}}
"""
"""The same for upstream's image and for the one made from the executable. Of a publisher's image it has what runs here,
below the publisher's own index, whose digest is the image's."""


async def start(image: str, way: str) -> Registry:
    """Find the registry running, or start it.

    Args:
        image: Its image, already in Docker.
        way: Which way fills it; each has a volume of its own.

    Returns:
        Where it is.

    Raises:
        MachineError: Its name or port is in use by something else, it serves another run otherwise than this one needs
            it, or it does not answer.
    """
    here = await client.find()
    settings.direct(CONTAINER)  # kind's nodes are given what kind has
    volume = f"{CONTAINER}-{way}"
    wanted = pins.key(image, volume, here.published, CONFIG)
    await docker.ensure_network(NETWORK)
    found = await docker.settled(lambda: docker.ours("container", CONTAINER))
    if found is not None:
        await docker.wake(found)
    if found is None or not serves(found, volume, here) or found["Config"]["Labels"].get(CONFIG_LABEL) != wanted:
        runs = sorted(set(found["NetworkSettings"]["Networks"]) - {NETWORK}) if found is not None else []
        if found is not None and runs and serves(found, volume, here):
            note(f"the local registry is not the newest, but {', '.join(runs)} uses it: taken as it is")
        elif runs:
            raise MachineError(
                f"the local registry serves {', '.join(runs)}, with other images or at an address that is not reached "
                "from here",
                fix="wait until that has ended; python ci/main.py cluster status lists what there is",
            )
        else:
            if found is not None:
                await command.run(["docker", "rm", "--force", found["Id"]], check=False, timeout=60)
            await _create(image, volume, here, wanted)
    await here.join(NETWORK)
    try:
        registry = await until("the local registry is there", lambda: _find(here), timeout=START_SECONDS, interval=0.1)
        answers = f"the local registry answers at {registry.host}"
        await until(answers, lambda: _answers(registry), timeout=START_SECONDS, interval=0.1)
    except WaitTimeoutError as error:
        raise MachineError(error.message, fix=f"docker logs {CONTAINER}") from error
    return registry


async def find() -> Registry | None:
    """Return the registry where one runs that is reached from here."""
    here = await client.find()
    try:
        registry = await _find(here)
        await _answers(registry)
    except NotYet:
        return None
    return registry


async def empty(way: str) -> None:
    """Remove the registry with all that it holds.

    Args:
        way: As given to `start`.

    Raises:
        MachineError: A cluster gets its images from it, or somebody else's volume has the name of ours.
    """
    volume = f"{CONTAINER}-{way}"
    there = await client.inspect("volume", volume)
    if there is not None and docker.SERVICE_LABEL not in (there["Labels"] or {}):
        raise MachineError(
            f"the local registry has to be filled again, and its volume {volume} bears no label of this tool's",
            fix=f"docker rm --force {CONTAINER}; docker volume rm {volume}, if nobody needs what is in it",
            detail=f"docker volume inspect {volume}",
        )
    found = await docker.ours("container", CONTAINER)
    if found is not None:
        if used := sorted(set(found["NetworkSettings"]["Networks"]) - {NETWORK}):
            raise MachineError(
                f"the local registry has to be filled again, and {', '.join(used)} uses it",
                fix="Wait until that has ended, or remove it: python ci/main.py cluster status",
            )
        await command.run(["docker", "rm", "--force", found["Id"]], check=False, timeout=60)
    await command.run(["docker", "volume", "rm", "--force", volume], timeout=60)


def serves(found: dict[str, Any], volume: str, here: client.Client) -> bool:
    """Tell whether a registry is what a run needs.

    Args:
        found: Its container, as `docker inspect` shows it.
        volume: The volume with the run's images.
        here: Where the run's process stands to it.
    """
    mounted = any(mount.get("Name") == volume for mount in found["Mounts"])
    return bool(found["State"]["Running"]) and mounted and here.reaches(found, PORT, NETWORK) is not None


async def _create(image: str, volume: str, here: client.Client, wanted: str) -> None:
    """Make the container and start it; if another process is faster, that one's is taken."""
    await command.run(["docker", "volume", "create", f"--label={LABEL}", volume], timeout=60)
    try:
        await command.run(
            ["docker", "create", f"--name={CONTAINER}", f"--label={LABEL}", f"--label={CONFIG_LABEL}={wanted}",
             f"--network={NETWORK}", "--restart=unless-stopped", f"--publish={here.published}:{host_port()}:{PORT}",
             f"--volume={volume}:{STATE_PATH}", "--pull=never", image, "serve", CONFIG_PATH],
            timeout=120,
        )  # fmt: skip
        await docker.copy_in(CONTAINER, {CONFIG_PATH: CONFIG})
        await command.run(["docker", "start", CONTAINER], timeout=60)
    except CommandError as error:
        if docker.name_taken(error):
            return
        if "already allocated" in error.stderr or "address already in use" in error.stderr:
            await command.run(["docker", "rm", "--force", CONTAINER], check=False, timeout=60)
            raise MachineError(
                f"port {host_port()} is in use, the local registry needs it",
                fix="Set ML_SERVING_CI_REGISTRY_PORT to a free port, or end what listens there.",
                detail=error.detail,
            ) from error
        raise


async def _find(here: client.Client) -> Registry:
    """Return where it is, by its container's own word."""
    found = await docker.ours("container", CONTAINER)
    address = here.reaches(found, PORT, NETWORK) if found is not None else None
    if found is None or address is None:
        raise NotYet(f"no container {CONTAINER} runs where this process reaches it")
    return Registry(address, int(found["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]["HostPort"]))


async def _answers(registry: Registry) -> None:
    def look() -> int:
        return requests.get(f"http://{registry.host}/v2/", timeout=5).status_code

    try:
        status = await anyio.to_thread.run_sync(look)
    except requests.RequestException as error:
        raise NotYet(str(error)) from error
    if status != requests.codes.ok:
        raise NotYet(f"HTTP {status}")
