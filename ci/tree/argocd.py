"""What Argo CD is given: an AppProject for each environment and an ApplicationSet, made of the project file."""

import functools
import json
import re
import sys
import textwrap
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from ci.base import duration, nesting
from ci.base.errors import UsageError
from ci.manifests import documents, kubernetes_yaml
from ci.project import FILE, IN_CLUSTER, PATH, Environment, Kind, Project
from ci.tree import scalars

if TYPE_CHECKING:
    import jinja2

FILES: Mapping[Kind, str] = {"AppProject": "appproject.yaml", "ApplicationSet": "argocd-applications.yaml"}
"""By kind, in the order in which Argo CD should get them."""
HERE = "https://kubernetes.default.svc"
"""Address of the cluster that Argo CD runs in, for what runs there."""
APPLICATIONS = Path(__file__).parent / "templates" / "argocd-applications.yaml.template"
PLACEHOLDER = re.compile(r"\[\[ (\w+) \]\]")
"""How that names what is put in: `{{ }}` and `$` are Argo CD's."""
ENVIRONMENT = "{{ .environment }}"
"""An environment's name, where Argo CD puts it in."""
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
    return _applications(project, prefix) if kind == "ApplicationSet" else _projects(project)


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


def _applications(project: Project, prefix: str) -> str:
    """Return the ApplicationSet, which every command that renders asks for: to load Jinja takes longer than that."""
    tree, chart = (str(PurePosixPath(prefix, path)) for path in (project.paths.tree, project.paths.chart))
    folder = f"{tree}/{ENVIRONMENT}"
    scalar = {
        "project": project.argocd.project,
        "namespace": project.argocd.namespace,
        "project_of_environment": project.argocd.project_of(ENVIRONMENT),
        "repository": project.repository,
        "revision": project.branch,
        "applications": f"{folder}/*.yaml",
        "values": f"{folder}/values.yaml",
        "values_from_top": f"/{folder}/values.yaml",
        "below": f"{folder}/*/*.yaml",
        "chart": chart,
    }
    given = {
        **{name: scalars.written(text) for name, text in scalar.items()},
        "folder": project.paths.tree,
        "branch": project.branch,
        "own": IN_CLUSTER,
        "here": HERE,
        "environments": textwrap.indent("\n".join(map(_element, project.environments)), " " * 16),
    }
    return PLACEHOLDER.sub(lambda found: given[found[1]], APPLICATIONS.read_text("utf-8"))


def _element(environment: Environment) -> str:
    """Return what the ApplicationSet lists of an environment."""
    texts = {
        "environment": environment.name,
        "namespace": environment.namespace,
        "cluster": environment.cluster or IN_CLUSTER,
    }
    lines = [*(f"{key}: {scalars.written(text)}" for key, text in texts.items())]
    return "\n  ".join([f"- {lines[0]}", *lines[1:], f'protected: "{environment.protected}"'.lower()])


def _projects(project: Project) -> str:
    """Return the AppProjects."""
    return _environment().get_template("appproject.yaml.j2").render(project=project, here=HERE)


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2  # a tenth of what a command loads, and only `argocd` and the checks ask for the AppProjects

    environment = jinja2.Environment(  # noqa: S701 - no HTML
        loader=jinja2.PackageLoader("ci.tree"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # as in the ApplicationSet's
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
