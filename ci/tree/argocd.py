"""What Argo CD is given: an AppProject for each environment and an ApplicationSet, made of the project file."""

import functools
import json
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from ci.base import duration, nesting
from ci.base.errors import UsageError
from ci.manifests import documents, kubernetes_yaml
from ci.project import FILE, IN_CLUSTER, PATH, Kind, Project
from ci.tree import scalars

if TYPE_CHECKING:
    import jinja2

FILES: Mapping[Kind, str] = {"AppProject": "appproject.yaml", "ApplicationSet": "argocd-applications.yaml"}
"""By kind, in the order in which Argo CD should get them."""
HERE = "https://kubernetes.default.svc"
"""Address of the cluster that Argo CD runs in, for what runs there."""
NOT_GO = re.compile(r"d|[0-9]$")
"""What Go's durations do not have of the project file's: days, and numbers without a unit
(https://pkg.go.dev/time#ParseDuration)."""


def render(project: Project, prefix: str = "", patches: Mapping[Kind, bytes] | None = None) -> dict[str, bytes]:
    """Return the files of `paths.argocd`, by their paths from the project file's folder.

    Args:
        project: What the project file says.
        prefix: The project file's folder in its git repository, "" for the top.
        patches: What `read_patches` returned; none by default.

    Raises:
        UsageError: The folder's name has characters that stand for something else in Argo CD, or a patch does not fit.
    """
    rendered = {}
    for kind, name in FILES.items():
        text = made(project, kind, prefix)
        if patches and kind in patches:
            text = _patched(text, patches[kind], f"{project.paths.argocd}/{project.argocd.patches[kind]}")
        rendered[f"{project.paths.argocd}/{name}"] = text.encode()
    return rendered


def prepare(kind: Kind) -> None:
    """Load what making a file takes, which is most of the time that making it once takes."""
    _template(kind)


def made(project: Project, kind: Kind, prefix: str = "") -> str:
    """Return one of the files of `paths.argocd`, without patches.

    Args:
        project: What the project file says.
        kind: Which.
        prefix: As for `render`.

    Raises:
        UsageError: As for `render`.
    """
    if wrong := sorted(PATH & set(prefix)):
        raise UsageError(f"{prefix}: Argo CD cannot watch a folder with {' '.join(wrong)} in its name")
    tree, chart = (str(PurePosixPath(prefix, path)) for path in (project.paths.tree, project.paths.chart))
    return _template(kind).render(project=project, tree=tree, chart=chart, own=IN_CLUSTER, here=HERE)


def read_patches(folder: Path, project: Project) -> dict[Kind, bytes]:
    """Return the patches that a project file names, by kind.

    Raises:
        UsageError: One is not there.
    """
    found = {}
    for kind, name in project.argocd.patches.items():
        path = f"{project.paths.argocd}/{name}"
        try:
            found[kind] = (folder / path).read_bytes()
        except OSError as error:
            raise UsageError(f"{FILE}: argocd.patches.{kind}: {path}: {error.strerror}") from error
    return found


def _patched(text: str, patch: bytes, name: str) -> str:
    """Return manifests with a patch applied to each; their comments are gone."""
    import jsonpatch  # few projects have patches, and every command that renders would load it

    before: list[documents.Document] = list(yaml.load_all(text, yaml.CSafeLoader))
    try:
        parsed = jsonpatch.JsonPatch(nesting.read(lambda: json.loads(patch), name))
        changed = nesting.read(lambda: [parsed.apply(each) for each in before], name)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name}:{error.lineno}: no JSON: {error.msg}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{name}: {said}", fix="https://www.rfc-editor.org/rfc/rfc6902 is how it is written"
        ) from error
    for was, now in zip(before, changed, strict=True):
        _require_same_object(was, now, name)
    made = f"# Made of {FILE} and {name} by `python ci/main.py argocd render`: change those, not this one.\n"
    made += yaml.dump_all(changed, Dumper=scalars.Dumper, sort_keys=False, width=sys.maxsize, allow_unicode=True)
    try:
        kubernetes_yaml.stream(made, "what it makes")
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", fix="Patch in what YAML and Kubernetes can carry.") from error
    return made


def _require_same_object(was: documents.Document, now: Any, name: str) -> None:
    """Refuse what a patch makes of an object where it is that object no more."""
    same = isinstance(now, dict) and now.get("apiVersion") == was["apiVersion"] and isinstance(now.get("spec"), dict)
    if not (same and documents.identity(now) == documents.identity(was)):
        raise UsageError(
            f"{name}: {was['kind']} {was['metadata']['name']} is none any more, or another one",
            fix="Leave it its apiVersion, kind, name, namespace, and a mapping for its spec.",
        )


def _template(kind: Kind) -> "jinja2.Template":
    return _environment().get_template(f"{FILES[kind]}.j2")


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2  # a tenth of what a command loads, and many of those that may render do not

    environment = jinja2.Environment(  # noqa: S701 - no HTML
        loader=jinja2.PackageLoader("ci.tree"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # {{ }} is the ApplicationSet's own
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    environment.filters |= {"scalar": scalars.written, "go": go_duration}
    return environment


def go_duration(text: str) -> str:
    """Return a duration as Go writes it."""
    return text if NOT_GO.search(text) is None else f"{Decimal(str(duration.seconds(text))):f}s"
