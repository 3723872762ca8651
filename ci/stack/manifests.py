"""From upstream's charts and manifests at the pinned version to objects on the cluster."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread

from ci.base import paths, wait
from ci.base.errors import CommandError
from ci.manifests import documents, kubernetes_yaml
from ci.manifests.documents import Document
from ci.stack import probes
from ci.stack.component import Source, StackContext
from ci.supply import partial, pins
from ci.supply.records import Kept

APPLY_SECONDS = 120.0
READ = "manifests"
"""Folder of the cache with upstream's manifests as read; see `_read`."""


async def from_chart(
    source: Source, release: str, chart: Path, namespace: str, values: Mapping[str, Any] | None = None
) -> list[Document]:
    """Render one of upstream's charts.

    Charts are rendered and applied, not installed as releases: what comes out is edited as documents where a chart
    has no value for it, a stopped installation is simply applied again, and all parts are handled alike.
    """

    async def rendered() -> str:
        return await source.helm.template(release, chart, namespace, values=values)

    return await _read(source, f"the chart {release}", rendered, release, str(chart), namespace, values)


async def from_files(source: Source, *files: Path) -> list[Document]:
    """Read upstream's plain manifests."""

    async def text() -> str:
        return "\n---\n".join([await anyio.Path(file).read_text() for file in files])

    return await _read(source, f"the manifest {files[0].name}", text, *map(str, files))


async def _read(source: Source, what: str, text: Callable[[], Awaitable[str]], *made_of: object) -> list[Document]:
    """Return the documents of a text, from the cache where it was read before.

    Helm and YAML's rules take seconds for some megabytes of CRDs, and in the meantime nothing reaches the cluster.

    Args:
        source: The supply.
        what: What it is, for people.
        text: Makes it.
        made_of: All that it depends on beside the pins.
    """
    supply = source.supply
    if not paths.writable(supply.cache):
        return await anyio.to_thread.run_sync(documents.parse, await text(), what)
    key = pins.key(pins.FILE, Path(documents.__file__), Path(kubernetes_yaml.__file__), *made_of)
    kept = Kept(what, supply.cache / READ / f"{key}.json", anywhere=True)
    async with supply.exclusive(f"{READ}-{key}", what):
        if await supply.lacks(kept):
            found = await anyio.to_thread.run_sync(documents.parse, await text(), what)
            with partial.file(kept.path) as aside:
                aside.write_text(json.dumps(found))
            await supply.keep(kept)
        content = await anyio.Path(kept.path).read_text()
    objects: list[Document] = json.loads(content)
    return objects


async def namespace(context: StackContext, name: str) -> list[Document]:
    """Return a Namespace to be applied; nothing where somebody else has it, for what is applied is labelled as ours."""
    found = await context.kubectl.get("namespace", name)
    return [] if found is not None and not documents.is_owned(found) else [documents.namespace(name)]


async def apply(context: StackContext, objects: Sequence[Document]) -> None:
    """Put objects on the cluster, each labelled as ours: CRDs first.

    CRDs that somebody else has put there stay as they are.
    """
    crds, rest = documents.split(objects)
    if crds:
        foreign = await context.kubectl.run(
            "get", "crd", "--output=name", f"--selector={documents.MANAGED_BY}!={documents.OWNER}"
        )
        there = {line.partition("/")[2] for line in foreign.stdout.split()}
        crds = [crd for crd in crds if crd["metadata"]["name"] not in there]
        if crds:
            await _apply(context, crds)
        # Established, because a controller that starts before its API is served ends, and is restarted only 10 s later.
        names = [f"crd/{crd['metadata']['name']}" for crd in documents.split(objects)[0]]
        await wait.until("CRDs established", lambda: _established(context, names), timeout=APPLY_SECONDS)
    await _apply(context, rest)


async def _established(context: StackContext, names: Sequence[str]) -> None:
    """One watch; it ends with an error where a CRD has no condition at all yet."""
    try:
        await context.kubectl.run("wait", "--for=condition=Established", f"--timeout={APPLY_SECONDS:.0f}s", *names)
    except CommandError as error:
        raise wait.NotYet(error.message) from error


async def apply_aggregated(context: StackContext, objects: Sequence[Document], deployment: str, namespace: str) -> None:
    """Put an aggregated API on the cluster: its server first, its APIService once the server is available.

    The API server keeps its first connection to the Service. One made before kube-proxy knows the Service leaves the
    node, and whoever answers out there answers from then on; and while an APIService has no server, every look at the
    cluster's APIs by any client fails in part.
    """
    await apply(context, [document for document in objects if document["kind"] != "APIService"])
    await probes.available(context, f"deployment/{deployment}", namespace)
    await apply(context, [document for document in objects if document["kind"] == "APIService"])


async def _apply(context: StackContext, objects: Iterable[Document]) -> None:
    await context.kubectl.apply(documents.owned(objects), validate=False, timeout=APPLY_SECONDS)
