"""Mirrors of the project file that stand for no model of the project, as one that is misspelled does."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ci import project as projects
from ci.base import fields
from ci.base.errors import UsageError
from ci.models import stores
from ci.project import FILE, Project
from ci.results import Finding
from ci.tree.tree import Application, Key

CHECK = "mirrors"
URI = ("model", "storageUri")


def findings(text: str, project: Project, applications: Mapping[Key, Application | None]) -> Iterator[Finding]:
    """Yield a warning for each mirror that is the beginning of no model's URI: every model is asked for elsewhere.

    Args:
        text: The project file.
        project: The project.
        applications: All of the project, as the work tree has them.
    """
    uris = {each.release[URI] for each in applications.values() if each is not None}
    beginnings = {each for uri in uris for each in _beginnings(uri)}
    for prefix in project.models.mirrors:
        if any(_stands_for(prefix, uri) for uri in uris):
            continue
        way = ("models", "mirrors", prefix)
        near = fields.nearest(prefix, beginnings)
        remedy = f"nearest is {near}" if near else "write what a model's storageUri begins with, or remove it"
        said = f"{projects.dotted(way)}: no model's storageUri begins so, and the mirror is never looked at"
        yield Finding(CHECK, FILE, projects.line_of(text, way), said, remedy, "warning")


def _stands_for(prefix: str, uri: str) -> bool:
    """Tell whether a mirror is asked for a model; one whose URI is refused is so for that, and not for its mirror."""
    try:
        return bool(stores.mirrored(uri, {prefix: Path()}))
    except UsageError:
        return True


def _beginnings(uri: str) -> Iterator[str]:
    """Yield the folders that a URI leads through, the scheme's own left out."""
    parts = uri.split("/")
    for number in range(3, len(parts)):
        yield "/".join((*parts[:number], ""))
