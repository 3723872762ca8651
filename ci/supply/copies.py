"""Images of registries, put into the local one: by digest, of this machine's platform alone, each blob once.

crane speaks with both. What it brings lies in an OCI layout (github.com/opencontainers/image-spec, image-layout.md)
until all images are where they belong, so that what was interrupted goes on where it was.
"""

import json
import re
from collections import defaultdict
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio

from ci.base import command, files, settings, tasks
from ci.base.errors import CommandError, MachineError, last_words
from ci.supply import blobs, causes, logins, partial
from ci.supply.arriving import Arrivals
from ci.supply.pins import architecture, runs_here
from ci.supply.registry import CONTAINER, Registry

AT_ONCE = 4
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
"""What those are that do not say it."""
EVENT = re.compile(r"^\S+ \S+ (?:--> [A-Z]+|<-- (?P<status>\d{3})|<-- .* [A-Z]+) (?P<url>https?://\S+)", re.MULTILINE)
"""How crane's log (-v) tells that a host is asked, answers, or does not (go-containerregistry, transport/logger.go)."""
RETRY_AFTER = re.compile(r"(?im)^Retry-After: *(.+?)\r?$")
PUSH_SECONDS = 600


class Copies:
    """Copies images until all of them are there.

    Args:
        crane: The program.
        layout: Folder for what is on its way.
        registry: The local one.
        arrivals: Counts what comes.
    """

    def __init__(self, crane: Path, layout: Path, registry: Registry, arrivals: Arrivals) -> None:
        self.crane, self.layout, self.registry, self.arrivals = crane, layout, registry, arrivals
        self._lines = anyio.CapacityLimiter(AT_ONCE)
        self._turns: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._path("").mkdir(parents=True, exist_ok=True)

    async def copy(self, repository: str, reference: str, target: str) -> str:
        """Put this machine's platform of an image into the local registry, and return the digest of the whole.

        Args:
            repository: The image's name, with its registry.
            reference: "@" and its digest, or ":" and its tag.
            target: Its name in the local registry, with a tag.

        Raises:
            MachineError: It cannot be had, told by its cause.
        """
        whole, held = f"{repository}{reference}", target.rpartition(":")[0]
        try:
            digest = await self._manifest(repository, reference)
            here = self._of_platform(whole, digest)
            manifest = self._parsed(await self._manifest(repository, f"@{here['digest']}"))
            parts = [manifest["config"]]  # which crane reads in any case
            parts += [
                part for part in manifest["layers"] if not await blobs.held(self.registry.host, held, part["digest"])
            ]
            self.arrivals.expect(sum(part["size"] for part in parts))
            async with tasks.group() as group:
                for part in parts:
                    group.start_soon(self._blob, repository, part)
        except causes.Failed as failed:
            raise failed.told(whole, logins.tried(*repository.split("/", 1))) from failed
        of_index = digest != here["digest"]
        await self._push(here, f"{held}@{here['digest']}" if of_index else target, parts)
        if of_index:  # the publisher's own index, so that the image has its digest here as well
            kind = self._parsed(digest).get("mediaType", INDEX)
            await self.registry.put(target, self._path(digest).read_bytes(), kind)
        return digest

    async def _manifest(self, repository: str, reference: str) -> str:
        """Have a manifest here, and return its digest."""
        digest = reference.removeprefix("@")
        if reference == digest or not self._path(digest).exists():
            with partial.scratch(self.layout) as work:
                await self._fetch("manifest", f"{repository}{reference}", work / "manifest")
                digest = f"sha256:{files.sha256(work / 'manifest')}"
                (work / "manifest").replace(self._path(digest))
        return digest

    def _of_platform(self, whole: str, digest: str) -> dict[str, Any]:
        """Return the descriptor of what an image is on this machine: itself, or one of its platforms."""
        manifest = self._parsed(digest)
        if "manifests" not in manifest:
            kind = manifest.get("mediaType", MANIFEST)
            return {"mediaType": kind, "digest": digest, "size": self._path(digest).stat().st_size}
        for each in manifest["manifests"]:
            if runs_here(each.get("platform", {})):
                return {name: each[name] for name in ("mediaType", "digest", "size")}
        raise MachineError(f"{whole}: none for linux/{architecture()}", fix="--supply source builds it")

    async def _blob(self, repository: str, part: dict[str, Any]) -> None:
        path = self._path(part["digest"])
        async with self._turns[part["digest"]]:  # images share layers
            if path.exists():
                self.arrivals.came(part["size"])
                return
            with partial.scratch(self.layout) as work:
                await self._fetch("blob", f"{repository}@{part['digest']}", work / "blob")
                (work / "blob").replace(path)

    async def _fetch(self, kind: str, reference: str, file: Path) -> None:
        """Have crane write something into a file, as often as that may help; it checks digests itself."""

        async def attempt() -> None:
            stall, came = settings.stall(), 0

            def take(data: bytes) -> None:
                nonlocal came
                out.write(data)
                came += len(data)
                if kind == "blob":
                    self.arrivals.came(len(data))

            async with self._lines:
                with file.open("wb") as out:
                    try:
                        await command.pour([self.crane, "-v", kind, reference], take, stall=stall)
                    except CommandError as error:
                        if kind == "blob":
                            self.arrivals.came(-came)
                        raise failed(reference.partition("/")[0], error, stall) from error

        await causes.patiently(reference, attempt)

    async def _push(self, manifest: dict[str, Any], target: str, parts: list[dict[str, Any]]) -> None:
        with partial.scratch(self.layout) as work:
            (work / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
            (work / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
            (work / "blobs").symlink_to(self.layout / "blobs")
            try:
                await command.run([self.crane, "push", work, self.registry.host_ref(target)], timeout=PUSH_SECONDS)
            except CommandError as error:
                for part in (manifest, *parts):  # the disk may have lost some of it: it is fetched again
                    self._path(part["digest"]).unlink(missing_ok=True)
                raise MachineError(
                    f"{target}: the local registry does not take it: {last_words(error.stderr)}",
                    fix=f"docker logs {CONTAINER}, and the same command again",
                    detail=error.detail,
                ) from error

    def _parsed(self, digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._path(digest).read_bytes())
        return found

    def _path(self, digest: str) -> Path:
        return self.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


async def digest(crane: Path, ref: str) -> str:
    """Return the digest that a registry has for a tag.

    Args:
        crane: The program.
        ref: The image, with its registry and tag.

    Raises:
        MachineError: It cannot be had, told by its cause.
    """
    host, _, repository = ref.rpartition(":")[0].partition("/")

    async def ask() -> str:
        stall = settings.stall()
        try:
            return (await command.run([crane, "-v", "digest", ref], timeout=stall)).stdout.strip()
        except CommandError as error:
            raise failed(host, error, stall) from error

    try:
        return await causes.patiently(ref, ask)
    except causes.Failed as refused:
        raise refused.told(ref, logins.tried(host, repository)) from refused


def failed(host: str, error: CommandError, stall: float) -> causes.Failed:
    """Return why crane failed, out of its log, of which nothing else is handed on: it has headers of logins.

    Args:
        host: The registry that it was to ask.
        error: What it ended with, called with -v.
        stall: Seconds after which it was stopped.
    """
    log, _, said = f"\n{error.stderr.strip()}".rpartition("\nError: ") if error.returncode else (error.stderr, "", "")
    last = None
    for last in EVENT.finditer(log):
        host = urlsplit(last["url"]).hostname or host
    if error.returncode is None:
        return causes.Failed(host, stalled=stall)
    if last is None or int(last["status"] or 0) < HTTPStatus.BAD_REQUEST:
        return causes.Failed(host, said)
    wait = RETRY_AFTER.search(log, last.end())
    return causes.Failed(host, said, status=int(last["status"]), retry_after=causes.seconds(wait[1] if wait else None))
