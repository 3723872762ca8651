"""Every rendered object against the schema that the cluster would hold it to.

kubectl-validate runs the API server's own code over the CRDs as they are published (unknown fields, types, patterns,
CEL rules) and over the OpenAPI of the pinned Kubernetes, so nothing has to be converted and nothing is let through.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagger

from ci.base.errors import CheckFailedError
from ci.checks import tools
from ci.manifests import crds, documents, manifests, places
from ci.manifests.chart import Rendering
from ci.manifests.documents import Document
from ci.results import Finding

CRDS = {
    "kserve": "config/crd/full/*.yaml",
    "argo-rollouts": "manifests/crds/*-crd.yaml",
    "istio": "manifests/charts/base/files/crd-all.gen.yaml",
    "prometheus-operator": "example/prometheus-operator-crd/*.yaml",
}
"""Where each project keeps its CRDs, in its Go module."""

OPENAPI = "api/openapi-spec/v3"
UNKNOWN_FIELD = "value provided for unknown field"
NO_API = "use an API that the pinned versions serve, or put its CRD into the folder that paths.crds names"
# said beside the error that is the reason for it
ECHO = "some validation rules were not checked"


async def validate(
    client: dagger.Client, tool: tools.Tools, renderings: Sequence[Rendering], own: Sequence[Document], folder: Path
) -> list[tuple[str, Finding]]:
    """Validate the objects of renderings.

    Args:
        client: The Dagger session.
        tool: The executables and module folders.
        renderings: Without findings.
        own: CRDs of the project's own.
        folder: An empty one of the host.

    Returns:
        What the schemas refuse, each with its target's name.
    """
    container = tools.static(client, tool.kubectl_validate)
    rendered = {each.target.name: each.objects for each in renderings}
    arguments = [*(f"{name}.yaml" for name in rendered), "--output=json", "--local-schemas=/schemas"]
    brought = {
        documents.identity(each): each for each in crds.of(one.data for each in renderings for one in each.objects)
    }
    if known := {**brought, **{documents.identity(each): each for each in own}}:
        for number, each in enumerate(known.values()):
            file = folder / "crds" / f"{number}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(each))
        container = container.with_mounted_directory("/crds/own", client.host().directory(str(folder / "crds")))
        arguments.append("--local-crds=/crds/own")
    for name, objects in rendered.items():
        file = folder / "src" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("---\n".join(named(manifest).rstrip("\n") + "\n" for manifest in objects))
    for name, pattern in CRDS.items():
        files = tool.crds[name].resolve() / pattern
        pinned = client.host().directory(str(files.parent), include=[files.name], exclude=["kustomization.yaml"])
        container = container.with_mounted_directory(f"/crds/{name}", pinned)
        arguments.append(f"--local-crds=/crds/{name}")
    versions = {str(manifest.data.get("apiVersion")) for objects in rendered.values() for manifest in objects}
    container = container.with_mounted_directory("/schemas", _openapi(client, tool.kubernetes, versions))
    source = client.host().directory(str(folder / "src"))
    output = await tools.execute(container.with_mounted_directory("/src", source), arguments)
    return [(name, finding) for name, found in findings(output, rendered).items() for finding in found]


def named(manifest: manifests.Manifest) -> str:
    """Return an object's YAML; of one that has a generateName, as hooks do, with a name that is made of it."""
    metadata = manifests.mapping(manifest.data.get("metadata"))
    if "name" in metadata or "generateName" not in metadata:
        return manifest.text
    return json.dumps({**manifest.data, "metadata": {**metadata, "name": f"{metadata['generateName']}1"}})


def _openapi(client: dagger.Client, kubernetes: Path, versions: set[str]) -> dagger.Directory:
    """Lay out the OpenAPI of the API versions in use as the API server serves it (/api/v1, /apis/GROUP/VERSION)."""
    directory = client.directory()
    for version in sorted(versions):
        path = f"apis/{version}" if "/" in version else f"api/{version}"
        file = kubernetes.resolve() / OPENAPI / f"{path.replace('/', '__')}_openapi.json"
        if file.is_file():
            directory = directory.with_file(f"{path}.json", client.host().file(str(file)))
    return directory


def findings(output: tools.Output, rendered: Mapping[str, Sequence[manifests.Manifest]]) -> dict[str, list[Finding]]:
    """Read kubectl-validate's JSON.

    Args:
        output: What it printed.
        rendered: The objects it was given, by their target's name, in the same order.

    Returns:
        One finding for each thing it refuses, by the target's name.

    Raises:
        CheckFailedError: It could not do its work at all.
    """
    try:
        results = json.loads(output.stdout)
    except json.JSONDecodeError as error:
        raise CheckFailedError("kubectl-validate did not run", detail=output.stdout + output.stderr) from error
    found: dict[str, list[Finding]] = {}
    for name, objects in rendered.items():
        found[name] = []
        for manifest, status in zip(objects, results[f"{name}.yaml"], strict=True):
            if status["status"] == "Success":
                continue
            causes = manifests.dig(status, "details", "causes") or [{"message": status.get("message", "")}]
            found[name] += [_finding(manifest, cause) for cause in causes if ECHO not in cause["message"]]
    return found


def _finding(manifest: manifests.Manifest, cause: Mapping[str, str]) -> Finding:
    field = cause.get("field", "")
    if field == "<nil>":
        field = ""
    path = places.field_path(field)
    message = " ".join(cause["message"].split())
    if UNKNOWN_FIELD in message:
        what, remedy = "unknown field", f"remove it or correct its name: {manifest.data.get('apiVersion')} has none"
    elif "failed to locate OpenAPI spec" in message:
        what, remedy = f"no such API: {manifest.data.get('apiVersion')}", NO_API
    else:
        what, remedy = message.removeprefix("Invalid value: "), "give the field what its schema asks for"
    if manifest.kind == "Secret" and path[:1] == ("data",):
        what, remedy = "is not base64", "encode it, or write it in stringData; better, keep it out of git"
    key = _quoted(manifests.dig(manifest.data, *path), what)
    return manifest.finding("schema", (*path, *key), f"{field}: {what}" if field else what, remedy)


def _quoted(value: Any, what: str) -> places.Path:
    """Return the way to the entry of labels or annotations whose key or value is said to be wrong; none for others."""
    entries = value.items() if isinstance(value, Mapping) else ()
    return next(((key,) for key, given in entries if what.startswith((f'"{key}": ', f'"{given}": '))), ())
