"""Kinds that an application's chart renders, and the AppProject of its environment does not let it have.

Argo CD holds each object of a sync to the lists of its project
(https://argo-cd.readthedocs.io/en/stable/user-guide/projects/), and applies none of them where one is refused.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from ci.checks.schema import CRDS, OPENAPI
from ci.manifests import crds, documents, hooks
from ci.manifests.chart import Rendering
from ci.manifests.documents import Document
from ci.manifests.manifests import dig, entries, mapping
from ci.project import FILE, Project
from ci.results import Finding
from ci.tree import argocd

CHECK = "argocd"
PATCH = "patches/appproject.json"
"""Where a first patch may be, below `paths.argocd`."""
UNLIKE = frozenset("[\\")
"""In a pattern, what Go's filepath.Match and Python's fnmatch read differently; the rest they read alike, for neither
groups nor kinds have a slash."""

Spec = Mapping[str, Any]
Scopes = Mapping[tuple[str, str], bool]
"""Whether objects have a namespace, by group and kind."""
Scope = Callable[[str, str], bool | None]
"""Tells of a group and a kind whether its objects have a namespace; None where no API has it."""


def rendered(
    root: Path, prefix: str, project: Project, renderings: Sequence[Rendering], scope: Scope
) -> Iterator[tuple[str, Finding]]:
    """Yield each object that Argo CD would refuse for its kind, with the application's name.

    Args:
        root: The project file's folder.
        prefix: That folder in its git repository, "" for the top.
        project: What it says.
        renderings: Without findings.
        scope: As `scope` returns it.

    Raises:
        UsageError: A patch that the project file names is not there, or does not fit.
    """
    made = argocd.render(project, prefix, argocd.read_patches(root, project))
    text = made[f"{project.paths.argocd}/{argocd.FILES['AppProject']}"]
    specs = {each["metadata"]["name"]: each["spec"] for each in yaml.load_all(text, yaml.CSafeLoader)}
    usual = {_entry(each) for _, each in entries(_usual(project)["namespaceResourceWhitelist"])}
    for rendering in renderings:
        if rendering.target.environment not in project.names:
            continue
        spec = specs[project.argocd.project_of(rendering.target.environment)]
        for manifest in rendering.objects:
            group, kind, _, name = documents.identity(manifest.data)
            if hooks.is_left_out(manifest.data):
                continue
            namespaced = True if (group, kind) in usual else scope(group, kind)
            if namespaced is None or (which := refused(spec, group, kind, name, namespaced=namespaced)) is None:
                continue
            said = f"its AppProject does not allow {kind} of {group or 'the core group'}: Argo CD would refuse the sync"
            wanted = {"group": group, "kind": kind} | ({} if namespaced else {"name": name})
            yield rendering.target.name, manifest.finding(CHECK, (), said, _remedy(project, which, wanted))


def refused(spec: Spec, group: str, kind: str, name: str, *, namespaced: bool) -> str | None:
    """Return the list of an AppProject by which Argo CD refuses an object; None where none does.

    As Argo CD's `AppProject.IsGroupKindNamePermitted`, but that nothing is refused by a pattern which is read otherwise
    here.

    Args:
        spec: The AppProject's.
        group: Of the object's API; empty for the core group.
        kind: The object's.
        name: The object's.
        namespaced: Whether objects of that kind have a namespace.
    """
    scope = "namespace" if namespaced else "cluster"
    white, black = f"{scope}ResourceWhitelist", f"{scope}ResourceBlacklist"
    allowed = spec.get(white)
    asked = (group, kind) if namespaced else (group, kind, name)
    if not (namespaced and allowed is None) and not any(_is_of(each, asked, True) for _, each in entries(allowed)):
        return white
    return black if any(_is_of(each, asked, False) for _, each in entries(spec.get(black))) else None


def scope(own: Sequence[Document], stack: Mapping[str, Path], kubernetes: Path) -> Scope:
    """Return what tells of a kind whether its objects have a namespace.

    Args:
        own: CRDs of the project's own, and of its charts.
        stack: Folder of the Go module of each project whose CRDs are known, by name.
        kubernetes: Folder of the Go module, for its OpenAPI.
    """
    brought = _of_crds(own)

    @functools.cache  # read where no other has the kind, for it takes a second
    def of_stack() -> Scopes:
        files = (file for name, pattern in CRDS.items() for file in stack[name].resolve().glob(pattern))
        read = (each for file in files for each in yaml.load_all(file.read_bytes(), yaml.CSafeLoader))
        return _of_crds(each for each in read if each)

    @functools.cache
    def is_namespaced(group: str, kind: str) -> bool | None:
        sources: tuple[Callable[[], Scopes], ...] = (lambda: brought, lambda: _of_openapi(group, kubernetes), of_stack)
        return next((known[group, kind] for look in sources if (group, kind) in (known := look())), None)

    return is_namespaced


def _of_crds(found: Iterable[Document]) -> Scopes:
    specs = [each.get("spec") for each in crds.of(found)]
    return {
        (str(dig(spec, "group")), str(dig(spec, "names", "kind"))): dig(spec, "scope") == "Namespaced" for spec in specs
    }


def _of_openapi(group: str, kubernetes: Path) -> Scopes:
    found = {}
    api = f"apis__{group}__*" if group else "api__v*"
    for file in (kubernetes.resolve() / OPENAPI).glob(f"{api}_openapi.json"):
        for path, operations in json.loads(file.read_bytes())["paths"].items():
            kind = dig(operations, "post", "x-kubernetes-group-version-kind", "kind")
            if kind and not path.endswith("}"):
                found[group, str(kind)] = "/namespaces/{namespace}/" in path
    return found


def _usual(project: Project) -> Spec:
    """Return what an AppProject has without patches, whose kinds are the chart's."""
    return mapping(next(yaml.load_all(argocd.made(project, "AppProject"), yaml.CSafeLoader))["spec"])


def _entry(entry: Spec) -> tuple[str, str]:
    return str(entry.get("group") or ""), str(entry.get("kind") or "")


def _is_of(entry: Spec, asked: Sequence[str], unlike: bool) -> bool:
    """Tell whether an entry of a list is about an object.

    Args:
        entry: The entry; one without a name is about any.
        asked: Group and kind of the object, and its name where that counts.
        unlike: What is said where a pattern is read otherwise here.
    """
    patterns = (*_entry(entry), str(entry.get("name") or "*"))
    for pattern, text in zip(patterns, asked, strict=False):
        if UNLIKE.isdisjoint(pattern):
            if not fnmatchcase(text, pattern):
                return False
        elif not unlike:
            return False
    return True


def _remedy(project: Project, which: str, wanted: Mapping[str, str]) -> str:
    file = project.argocd.patches.get("AppProject")
    path = f"{project.paths.argocd}/{file or PATCH}"
    if which.endswith("Blacklist"):
        return f"take {json.dumps(wanted)} out of /spec/{which} in {path}, then python ci/main.py argocd render"
    operation = json.dumps({"op": "add", "path": f"/spec/{which}/-", "value": wanted})
    if file is not None:
        return f"add to {path}: {operation}; then python ci/main.py argocd render"
    return (
        f'write [{operation}] into {path}, argocd.patches.AppProject = "{PATCH}" into {FILE}, '
        "then python ci/main.py argocd render"
    )
