"""CRDs that a project has of its own, for what its charts render beside the APIs of the pinned versions."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ci.manifests import documents
from ci.manifests.documents import Document
from ci.project import FILE, Project
from ci.results import Finding

CHECK = "schema"
KIND = "CustomResourceDefinition"
STACK = (
    ".extensions.istio.io",
    ".networking.istio.io",
    ".security.istio.io",
    ".telemetry.istio.io",
    "clusterstoragecontainers.serving.kserve.io",
    "inferencegraphs.serving.kserve.io",
    "inferenceservices.serving.kserve.io",
    "servingruntimes.serving.kserve.io",
    "trainedmodels.serving.kserve.io",
    "analysisruns.argoproj.io",
    "analysistemplates.argoproj.io",
    "experiments.argoproj.io",
    "rollouts.argoproj.io",
    "podmonitors.monitoring.coreos.com",
    "probes.monitoring.coreos.com",
    "prometheuses.monitoring.coreos.com",
    "prometheusrules.monitoring.coreos.com",
    "servicemonitors.monitoring.coreos.com",
)
"""What the names of CRDs end with that the stack installs; others have CRDs of the same groups."""
REMEDY = f"paths.crds of {FILE} is for CustomResourceDefinitions alone: move it to another folder"


def own(root: Path, project: Project) -> list[Document]:
    """Return the CRDs in the folder that the project file names, but for the stack's; nothing where it names none.

    Args:
        root: The project's folder.
        project: The project.
    """
    found = files(root, project.paths.crds)
    brought = of(document for path, content in found for document in documents.of_file(content, path) or ())
    return [each for each in brought if not is_pinned(each)]


def of(objects: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return the CRDs among objects."""
    return [dict(each) for each in objects if each["kind"] == KIND]


def is_pinned(document: Mapping[str, Any]) -> bool:
    """Tell whether an object is a CRD that the stack itself installs."""
    return document["kind"] == KIND and str(document["metadata"].get("name")).endswith(STACK)


def strays(root: Path, project: Project) -> Iterator[Finding]:
    """Yield what is no CRD of the project's own in the folder of those, and a folder that is not there.

    Args:
        root: The project's folder.
        project: The project.
    """
    if project.paths.crds and not (root / project.paths.crds).is_dir():
        yield Finding(
            CHECK, FILE, 0, f"paths.crds: there is no folder {project.paths.crds}", "make it, or leave the key out"
        )
    for path, content in files(root, project.paths.crds):
        if documents.of_file(content, path) is None:
            yield Finding(CHECK, path, 0, "no manifest of Kubernetes", REMEDY)
        for line, document in documents.located(content, path):
            if not of([document]):
                yield Finding(CHECK, path, line, f"{document['kind']}, and no {KIND}", REMEDY)
            elif is_pinned(document):
                said = f"{KIND} {document['metadata']['name']}: the stack has it, and its pinned version counts"
                yield Finding(CHECK, path, line, said, "remove it")


def files(root: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files that may be manifests.

    Args:
        root: The project's folder.
        folder: A folder from there; empty: none.
    """
    there = sorted(each for each in (root / folder).rglob("*") if each.is_file()) if folder else []
    for file in there:
        if documents.is_applied(file.name):
            yield file.relative_to(root).as_posix(), file.read_bytes()
