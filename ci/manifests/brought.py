"""What a project's clusters have of their own, beside the stack: its CRDs, and what judges or limits applications."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ci.manifests import crds, documents
from ci.manifests.documents import Document
from ci.project import FILE, Project
from ci.results import Finding

CHECK = "control-plane"


@dataclass(frozen=True)
class Brought:
    """An object that the clusters have.

    Attributes:
        document: The object.
        file: Its file, from the project's folder.
        line: Where it begins there.
    """

    document: Document
    file: str
    line: int


def objects(root: Path, project: Project) -> list[Brought]:
    """Return the objects in the folders that the project file names, if it does, but for CRDs of the stack.

    Args:
        root: The project's folder.
        project: The project.
    """
    return [
        Brought(document, path, line)
        for folder in (project.paths.crds, project.paths.policies)
        for path, content in crds.files(root, folder)
        for line, document in documents.located(content, path)
        if not crds.is_pinned(document)
    ]


def strays(root: Path, project: Project) -> Iterator[Finding]:
    """Yield what is no manifest in the folder of policies, and a folder that is not there.

    Args:
        root: The project's folder.
        project: The project.
    """
    folder = project.paths.policies
    if folder and not (root / folder).is_dir():
        yield Finding(CHECK, FILE, 0, f"paths.policies: there is no folder {folder}", "make it, or leave the key out")
    for path, content in crds.files(root, folder):
        if documents.of_file(content, path) is None:
            remedy = f"paths.policies of {FILE} is for manifests alone: move it to another folder"
            yield Finding(CHECK, path, 0, "no manifest of Kubernetes", remedy)
