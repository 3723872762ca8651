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
REMEDY = f"paths.crds of {FILE} is for CustomResourceDefinitions alone: move it to another folder"


def own(root: Path, project: Project) -> list[Document]:
    """Return the CRDs in the folder that the project file names; nothing where it names none.

    Args:
        root: The project's folder.
        project: The project.
    """
    found = files(root, project.paths.crds)
    return of(document for path, content in found for document in documents.of_file(content, path) or ())


def of(objects: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Return the CRDs among objects."""
    return [dict(each) for each in objects if each["kind"] == KIND]


def strays(root: Path, project: Project) -> Iterator[Finding]:
    """Yield what is no CRD in the folder of those, and a folder that is not there.

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
