"""What an image consists of in the registry, and whether all of it can still be read there.

A registry answers for a manifest, and for the size of a blob, out of what it remembers: only bytes that it sends show
that it has them.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

import anyio
import requests

from ci.base.errors import MachineError
from ci.supply import pins
from ci.supply.registry import CONTAINER, MANIFESTS

SECONDS = 60


@dataclass(frozen=True)
class Contents:
    """What an image consists of.

    Attributes:
        digest: Of its manifest, or of the index of its manifests.
        manifests: Digests of that and of all it lists and the registry has, which it must of this machine's platform.
        blobs: Digest of each layer and configuration to its size.
        size: Of all blobs.
    """

    digest: str
    manifests: tuple[str, ...]
    blobs: dict[str, int]
    size: int


class LostError(Exception):
    """The registry has an image under its name, and cannot give all of it; its text says what."""


async def contents(host: str, ref: str, *, verify: bool) -> Contents | None:
    """Return what an image consists of, or None where the registry has none of that name.

    Args:
        host: The registry's address.
        ref: The image's path in it, which is its upstream reference, with its tag or its digest.
        verify: Hash each blob; otherwise its last byte is asked for.

    Raises:
        LostError: The registry knows the name, and cannot give all of it.
        MachineError: It does not answer.
    """
    try:
        return await anyio.to_thread.run_sync(_contents, host, ref, verify)
    except requests.RequestException as error:
        raise MachineError(
            f"the local registry at {host} does not answer: {error}", fix=f"docker logs {CONTAINER}"
        ) from error


async def annotation(host: str, ref: str, name: str) -> str | None:
    """Return an annotation of an image's manifest, or None where it has none of that name.

    Args:
        host: The registry's address.
        ref: The image's upstream reference; the registry has it.
        name: Of the annotation.
    """
    repository, _, tag = ref.rpartition(":")

    def read() -> str | None:
        with requests.Session() as session:
            manifest = json.loads(_manifest(session, f"http://{host}/v2/{repository}", tag))
        return cast(str | None, (manifest.get("annotations") or {}).get(name))

    return await anyio.to_thread.run_sync(read)


async def held(host: str, repository: str, digest: str) -> bool:
    """Return whether a registry says that it has a blob.

    Args:
        host: The registry's address.
        repository: The image's path in it.
        digest: Of the blob.
    """

    def ask() -> bool:
        return requests.head(f"http://{host}/v2/{repository}/blobs/{digest}", timeout=SECONDS).ok

    return await anyio.to_thread.run_sync(ask)


def _contents(host: str, ref: str, verify: bool) -> Contents | None:
    name, _, tag = ref.partition("@") if "@" in ref else ref.rpartition(":")
    repository = f"http://{host}/v2/{name}"
    with requests.Session() as session:
        manifests: list[str] = []
        blobs: dict[str, int] = {}
        elsewhere: set[str] = set()  # manifests of other platforms, which are here only if the image was built or given
        try:
            wanted = [tag]
            for reference in wanted:
                try:
                    data = _manifest(session, repository, reference)
                except LostError:
                    if reference in elsewhere:
                        continue
                    raise
                manifests.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
                manifest: dict[str, Any] = json.loads(data)
                parts = [*manifest.get("layers", ()), *([manifest["config"]] if "config" in manifest else [])]
                blobs |= {part["digest"]: part["size"] for part in parts}
                platforms = {part["digest"]: part.get("platform", {}) for part in manifest.get("manifests", ())}
                elsewhere |= {digest for digest, platform in platforms.items() if not pins.runs_here(platform)}
                wanted += platforms
            for digest, size in blobs.items():
                _require(session, f"{repository}/blobs/{digest}", digest, size, verify)
        except LostError as lost:
            if not manifests and not _listed(session, repository, tag):
                return None
            raise LostError(f"{ref} in the local registry is not what was put there ({lost})") from None
        return Contents(manifests[0], tuple(manifests), blobs, sum(blobs.values()))


def _listed(session: requests.Session, repository: str, tag: str) -> bool:
    """Return whether a registry knows a tag, be it that its manifest is gone."""
    answer = session.get(f"{repository}/tags/list", timeout=SECONDS)
    return answer.status_code == requests.codes.ok and tag in (answer.json().get("tags") or ())


def _manifest(session: requests.Session, repository: str, reference: str) -> bytes:
    answer = session.get(f"{repository}/manifests/{reference}", headers={"Accept": MANIFESTS}, timeout=SECONDS)
    if answer.status_code != requests.codes.ok:
        raise LostError(f"its manifest {reference}: HTTP {answer.status_code}")
    digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if digest != answer.headers.get("Docker-Content-Digest", digest):
        raise LostError(f"its manifest {reference}: {len(answer.content)} other bytes")
    return answer.content


def _require(session: requests.Session, address: str, digest: str, size: int, verify: bool) -> None:
    """Raise unless a blob comes, all of it or at least its last byte."""
    if size == 0:
        return
    read, length = hashlib.sha256(), 0
    try:
        headers = {} if verify else {"Range": f"bytes={size - 1}-"}
        with session.get(address, headers=headers, stream=True, timeout=SECONDS) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_content(1 << 20):
                read.update(chunk)
                length += len(chunk)
    except (requests.HTTPError, requests.exceptions.ChunkedEncodingError) as error:  # or it has less than it announced
        raise LostError(f"{digest}: {type(error).__name__} after {length} of its {size} bytes") from error
    if length != (size if verify else 1) or (verify and f"sha256:{read.hexdigest()}" != digest):
        raise LostError(f"{digest}: other bytes")
