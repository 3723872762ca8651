"""Images that no pin names, a user's own: out of any registry by digest, or just built in the Docker daemon.

crane copies the former, with the logins that Docker has: the local registry then holds the publisher's own bytes. The
daemon would not do: it packs layers anew when it pushes what it pulled, which gives another digest.
"""

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ci.base import command
from ci.base.errors import CheckFailedError, CommandError, GoneError, MachineError, UsageError, last_words
from ci.base.progress import step
from ci.host import client
from ci.supply import blobs, logins, registry
from ci.supply.pins import architecture
from ci.supply.supply import Supply

HOST = re.compile(r"[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]+)?")
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REST = re.compile(
    rf"(?P<repository>{PART}(?:/{PART})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""After the host (github.com/distribution/reference, the grammar of what a pod may name)."""
HUBS = {logins.HUB, f"index.{logins.HUB}"}
BY_DIGEST = "name it as HOST/REPOSITORY@sha256:DIGEST"
REFUSED = re.compile(r"\b(?:UNAUTHORIZED|DENIED|401 Unauthorized|403 Forbidden)\b")
MISSING = re.compile(r"\b(?:MANIFEST_UNKNOWN|NAME_UNKNOWN|404 Not Found)\b")
"""What a registry answers (opencontainers/distribution-spec, "Error Codes"), as crane hands it on."""
NO_PLATFORM = "no child with platform"
"""crane's words for an index that lacks one."""
BUILD_FOR = (
    "docker buildx build --platform linux/amd64,linux/arm64, or a cluster of yours that has such nodes: --kubeconfig"
)
SEE_DIGEST = "crane digest HOST/REPOSITORY:TAG, or the registry's own pages, say which digests there are"
ASK_SECONDS, COPY_SECONDS = 60, 3600


@dataclass(frozen=True)
class Name:
    """An image's name in full.

    Attributes:
        host: Its registry, with its port where it has one.
        repository: Its name there.
        tag: Empty where it has none.
        digest: Empty where it has none.
    """

    host: str
    repository: str
    tag: str
    digest: str

    @property
    def path(self) -> str:
        """Where nodes look for it in the local registry."""
        return registry.path(self.host, self.repository)

    def at(self, digest: str) -> str:
        """Return the reference of one digest of it: a tag says nothing beside that."""
        return f"{self.host}/{self.repository}@{digest}"


@dataclass(frozen=True)
class Served:
    """An image that nodes get out of the local registry.

    Attributes:
        reference: Its name and digest, as a pod names it.
        digest: Of what they get.
        origin: "registry": what was published under that digest; "local": built on this machine, whatever its name
            says, so that its digest proves nothing of a published image.
    """

    reference: str
    digest: str
    origin: Literal["registry", "local"]


def parse(text: str) -> Name:
    """Read an image's name as a node does: without a registry it is Docker Hub's.

    Raises:
        UsageError: It is not one, or one that crane and containerd read differently.
    """
    first, slash, rest = text.partition("/")
    if slash and first == "localhost":  # for crane a user of Docker Hub's
        raise UsageError(f"{text}: localhost needs a port in an image's name", fix="localhost:443/… is the same")
    if not slash or ("." not in first and ":" not in first):
        first, rest = logins.HUB, text
    found = REST.fullmatch(rest)
    if found is None or HOST.fullmatch(first) is None:
        raise UsageError(f"{text}: not the name of an image", fix=BY_DIGEST)
    host = logins.HUB if first in HUBS else first
    repository = found["repository"]
    if host == logins.HUB and "/" not in repository:
        repository = f"library/{repository}"
    return Name(host, repository, found["tag"] or "", found["digest"] or "")


async def published(supply: Supply, reference: str) -> Served:
    """Have the nodes get an image of any registry, which is copied by its digest unless the local one has it.

    Args:
        supply: With the local registry.
        reference: Its name and digest.

    Raises:
        UsageError: It is not an image's name, or has no digest.
        GoneError: There is no such image.
        CheckFailedError: There is none for this machine's architecture.
        MachineError: Its registry refuses it or does not answer.
    """
    name = parse(reference)
    if not name.digest:
        raise UsageError(f"{reference}: an image without a digest may be another one tomorrow", fix=BY_DIGEST)
    whole, held = name.at(name.digest), f"{name.path}@{name.digest}"
    await supply.open_registry()
    async with supply.exclusive(f"image-{name.digest.partition(':')[2]}", whole):
        if not await _is_held(supply, held):
            with step(f"pull {whole}"):
                await _copy(supply.tool("crane"), name, supply.registry.host_ref(held))
            if not await _is_held(supply, held):
                raise MachineError(
                    f"{whole}: the local registry did not keep it", fix=f"docker logs {registry.CONTAINER}"
                )
    return Served(whole, name.digest, "registry")


async def built(supply: Supply, image: str, repository: str) -> Served:
    """Have the nodes get an image of the local Docker daemon, under the name that it is meant to have.

    Args:
        supply: With the local registry.
        image: Its tag or id in the daemon.
        repository: The name that pods give it, without tag and digest: it may be published there or not.

    Raises:
        UsageError: The daemon has no such image, it is for another platform, or the name is not one.
        MachineError: The daemon cannot push it.
    """
    name = parse(repository)
    await supply.open_registry()
    found = await client.inspect("image", image)
    if found is None:
        raise UsageError(f"--image {image}: the Docker daemon has no such image", fix="docker image ls")
    if said := _other_platform(found["Os"], found["Architecture"]):
        raise UsageError(f"--image {image}: {said}", fix=BUILD_FOR)
    # its own id, so that two runs never push to one tag
    ref = f"{name.path}:{found['Id'].rpartition(':')[2]}"
    target = supply.registry.docker_ref(ref)
    with step(f"push {image} to the local registry"):
        try:
            await command.run(["docker", "image", "tag", found["Id"], target], timeout=60)
            await command.run(["docker", "image", "push", "--quiet", target], timeout=COPY_SECONDS)
        except CommandError as error:
            raise MachineError(
                f"--image {image}: the Docker daemon cannot push it to the local registry: {last_words(error.stderr)}",
                fix=f"docker logs {registry.CONTAINER}",
                detail=error.detail,
            ) from error
    if {*(found.get("RepoTags") or ())} - {target}:  # without another name it would be deleted with this one
        await command.run(["docker", "image", "rm", target], check=False, timeout=60)
    digest = await supply.registry.digest(ref)
    if digest is None:
        raise MachineError(f"{image}: the local registry did not keep it", fix=f"docker logs {registry.CONTAINER}")
    return Served(name.at(digest), digest, "local")


async def _is_held(supply: Supply, ref: str) -> bool:
    try:
        return await blobs.contents(supply.registry.host, ref, verify=False) is not None
    except blobs.LostError as lost:
        container = registry.CONTAINER
        fix = f"docker rm --force {container}; docker volume rm {container}-{supply.way}, and the same again"
        raise MachineError(f"{lost}", fix=fix) from lost


async def _copy(crane: Path, name: Name, target: str) -> None:
    """Copy an image with all its platforms: the digest is that of the whole."""
    whole, platform = name.at(name.digest), f"linux/{architecture()}"
    try:
        asked = await command.run([crane, "config", f"--platform={platform}", whole], timeout=ASK_SECONDS)
        config = _configuration(whole, asked.stdout)
        if said := _other_platform(config.get("os"), config.get("architecture")):
            raise CheckFailedError(f"{whole}: {said}", fix=BUILD_FOR)
        await command.run([crane, "copy", whole, target], timeout=COPY_SECONDS)
    except CommandError as error:
        if NO_PLATFORM in error.stderr:
            raise CheckFailedError(f"{whole}: none for {platform}", fix=BUILD_FOR, detail=error.detail) from error
        if MISSING.search(error.stderr):
            moved = await _moved(crane, name)
            raise GoneError(f"{whole}: not there{moved}", fix=SEE_DIGEST, detail=error.detail) from error
        asked_with = logins.tried(name.host, name.repository)
        if REFUSED.search(error.stderr):
            raise MachineError(
                f"{whole}: refused to this user, or not there; asked with {asked_with}",
                fix=f"docker login {name.host}",
                detail=error.detail,
            ) from error
        said = last_words(error.stderr).removeprefix("Error: ") or error.message
        raise MachineError(
            f"{whole}: cannot be copied: {said}; asked with {asked_with}",
            fix=f"crane manifest {whole} asks in the same way",
            detail=error.detail,
        ) from error


def _configuration(whole: str, text: str) -> dict[str, Any]:
    """Return an image's configuration; what has none of its own is an artefact of another kind."""
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict) and "rootfs" in found:
            return found
    raise CheckFailedError(f"{whole}: not an image of a container", fix=BY_DIGEST)


def _other_platform(system: str | None, machine: str | None) -> str | None:
    """Return what is wrong with the platform of an image; None where it is this machine's."""
    if (system, machine) == ("linux", architecture()):
        return None
    return f"for {system}/{machine}, and this machine is linux/{architecture()}"


async def _moved(crane: Path, name: Name) -> str:
    """Return what a tag stands for by now, where an image has one and its digest is gone."""
    if not name.tag:
        return ""
    try:
        asked = await command.run([crane, "digest", f"{name.host}/{name.repository}:{name.tag}"], timeout=ASK_SECONDS)
    except CommandError:
        return f", nor is its tag {name.tag}"
    return f", its tag {name.tag} is {asked.stdout.strip()} now"
