"""Objects that are there twice under one name: a cluster has one of them, whichever came last."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.manifests import documents, hooks
from ci.manifests.chart import Rendering
from ci.manifests.documents import Identity
from ci.manifests.manifests import Manifest
from ci.project import Project
from ci.results import Finding
from ci.tree import application_set

CHECK = "repeated"
REMEDY = "give one of them another name, or remove it"
KUSTOMIZATION = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""A folder with one may have an object, and a patch of it under the same name."""


def rendered(renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each object that an application has already, with the application's name.

    Args:
        renderings: Without findings.
    """
    for rendering in renderings:
        first: dict[Identity, Manifest] = {}
        for manifest in rendering.objects:
            group, kind, namespace, name = documents.identity(manifest.data)
            if not name or hooks.is_hook(manifest.data):
                continue
            before = first.setdefault((group, kind, namespace or rendering.target.namespace, name), manifest)
            if before is not manifest:
                place = f"{before.file}:{before.line()}" if before.line() else before.file
                said = f"is there twice, first by {place}: Argo CD deploys the last one alone"
                yield rendering.target.name, manifest.finding(CHECK, ("metadata", "name"), said, REMEDY)


def files(root: Path, project: Project) -> Iterator[Finding]:
    """Yield each object of Argo CD's plain manifests that the same folder has already; ApplicationSets of any folder.

    Args:
        root: The project's folder.
        project: The project.
    """
    first: dict[tuple[str, Identity], str] = {}
    for file in sorted(file for file in (root / project.paths.argocd).rglob("*") if file.is_file()):
        path = file.relative_to(root).as_posix()
        patched = any((file.parent / name).exists() for name in KUSTOMIZATION)
        for line, document in documents.located(file.read_bytes(), path):
            identity = documents.identity(document)
            if not identity[3]:
                continue
            everywhere = identity[:2] == application_set.KIND  # it is refused wherever a commit has it twice
            folder = "" if everywhere else path if patched else str(file.parent)
            key, place = (folder, identity), f"{path}:{line}"
            if key in first:
                said = f"{identity[1]} {identity[3]}: is there twice, first in {first[key]}: the last one alone counts"
                yield Finding(CHECK, path, line, said, REMEDY)
            first.setdefault(key, place)
