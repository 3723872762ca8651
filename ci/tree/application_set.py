"""How Argo CD calls Helm for an application: as the ApplicationSet says that a commit has.

It may be another one than the project file makes (patches, or a change by hand, which `lint` tells). What of it decides
nothing about a rendering may be anything; `valueFiles` and `ignoreMissingValueFiles` are carried out here as Argo CD
does; all else is refused by name, for something else would be deployed than is rendered here.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ci import project as projects
from ci.base.errors import UsageError
from ci.base.text import cut
from ci.manifests import documents, kubernetes_yaml, manifests, places
from ci.project import FILE, PATH, Project
from ci.tree import argocd, git, tree
from ci.tree.git import Snapshot
from ci.tree.tree import Application

KIND = ("argoproj.io", "ApplicationSet")
HELM = ("spec", "template", "spec", "source", "helm")
VALUE_FILES = (*HELM, "valueFiles")
IGNORE_MISSING = (*HELM, "ignoreMissingValueFiles")
TEMPLATE = ("spec", "template")
Way = tuple[str | int, ...]
FREE: tuple[Way, ...] = (
    ("metadata", "annotations"),
    ("metadata", "finalizers"),
    ("metadata", "labels"),
    ("spec", "generators", 0, "matrix", "generators", 1, "git", "requeueAfterSeconds"),
    ("spec", "preservedFields"),
    ("spec", "strategy"),
    ("spec", "syncPolicy", "preserveResourcesOnDeletion"),
    (*TEMPLATE, "metadata", "annotations"),
    (*TEMPLATE, "metadata", "finalizers"),
    (*TEMPLATE, "metadata", "labels"),
    (*TEMPLATE, "spec", "ignoreDifferences"),
    (*TEMPLATE, "spec", "info"),
    (*TEMPLATE, "spec", "revisionHistoryLimit"),
    (*TEMPLATE, "spec", "syncPolicy"),
)
"""What decides when and how Argo CD applies what it renders, and not what that is."""
IGNORED = (*TEMPLATE, "spec", "ignoreDifferences")
OPTIONS = (*TEMPLATE, "spec", "syncPolicy", "syncOptions")
KEEPS = "RespectIgnoreDifferences=true"
PRUNES = (*TEMPLATE, "spec", "syncPolicy", "automated", "prune")
NEVER_PRUNES = "Prune=false"
"""What an object's own option says as well."""
PAUSED = (*TEMPLATE, "metadata", "annotations", "argocd.argoproj.io/skip-reconcile")
CACHED = (*TEMPLATE, "metadata", "annotations", "argocd.argoproj.io/manifest-generate-paths")
"""Paths of which one has to change for Argo CD to render again; another commit or values alone do not."""
LABELS = (*TEMPLATE, "spec", "syncPolicy", "managedNamespaceMetadata", "labels")
"""Of the namespace, by which its pods are in the mesh."""
PROVEN = frozenset({
    "InferenceService", "ServingRuntime", "ClusterServingRuntime", "Rollout", "AnalysisTemplate",
    "ClusterAnalysisTemplate", "PrometheusRule", "Service", "VirtualService", "DestinationRule",
})  # fmt: skip
"""Kinds on which what a run proves rests."""
GLOB = frozenset("*?[]{}\\")
"""What makes a pattern of a kind, to Argo CD (util/argo/normalizers/diff_normalizer.go, github.com/gobwas/glob)."""
OTHERS = ("/metadata/", "/spec/replicas", "/status")
"""How the fields begin that controllers write."""
ALSO: Mapping[Way, str] = {("spec", "syncPolicy", "applicationsSync"): "create-update"}
"""A value in place of the project file's that decides no more: an Application whose file is gone stays."""
APPLICATION = 'trimSuffix ".yaml" .path.filename'
EXPRESSIONS = (".environment", ".namespace", APPLICATION)
"""What a value file may be named by: names of lower-case letters, digits and dashes, however Argo CD reads a path."""
EXPRESSION = re.compile(rf"\{{\{{\s*({'|'.join(map(re.escape, EXPRESSIONS))})\s*\}}\}}")
MORE = (".cluster", ".protected", ".chart.revision", ".model.version", ".image.tag", ".path.basename", ".path.filename")
"""What labels, annotations and info may have in them besides: each application has it."""
NAMING: tuple[Way, ...] = (
    (*TEMPLATE, "metadata", "annotations"),
    (*TEMPLATE, "metadata", "labels"),
    (*TEMPLATE, "spec", "info"),
    (*TEMPLATE, "spec", "syncPolicy", "managedNamespaceMetadata"),
)
"""Where texts are for people and other programs."""
FIELD = re.compile(rf"\{{\{{\s*({'|'.join(map(re.escape, (*EXPRESSIONS, *MORE)))})\s*\}}\}}")
SHOWN = 80
SHORT = 12
"""Characters of a commit."""


@dataclass(frozen=True)
class HelmSource:
    """What an ApplicationSet says of Helm.

    Attributes:
        value_files: Values files, the stronger ones later: paths from the project file's folder, with expressions.
        ignore_missing: Whether one that is not there is left out; else nothing is rendered.
    """

    value_files: tuple[str, ...]
    ignore_missing: bool

    def files(self, application: Application) -> tuple[str, ...]:
        """Return an application's values files; one that is named twice counts where it is first, as to Argo CD."""
        names = (application.environment, application.namespace, application.name)
        said = dict(zip(EXPRESSIONS, names, strict=True))
        return tuple(dict.fromkeys(EXPRESSION.sub(lambda found: said[found[1]], file) for file in self.value_files))

    def later(self, applications: Iterable[Application], branch: str) -> dict[str, str]:
        """Return the values files that are read at other revisions than the branch, each with a line that says by whom.

        Args:
            applications: Those that may read them.
            branch: The one that Argo CD watches.
        """
        readers: dict[str, list[Application]] = {}
        for each in applications:
            if not git.follows(each.release[tree.CHART[0]], branch):
                for file in self.files(each):
                    readers.setdefault(file, []).append(each)
        return {file: _later(several) for file, several in readers.items()}


def _later(readers: Sequence[Application]) -> str:
    first, *more = readers
    revisions = list(dict.fromkeys(each.release[tree.CHART[0]] for each in readers))
    at = f"{revisions[0][:SHORT]}{f' and {len(revisions) - 1} others' if len(revisions) > 1 else ''}"
    who = f"{first.environment}/{first.name} {f'and {len(more)} more read' if more else 'reads'}"
    return f"{who} it at chart.revision {at}: it arrives there once that is raised, as the next promotion does"


async def of(snapshot: Snapshot) -> HelmSource:
    """Return what the ApplicationSet of a commit says; what the project file makes where there is none.

    Raises:
        UsageError: As for `read`.
    """
    found = await _of(snapshot)
    if isinstance(found, UsageError):
        raise UsageError(found.message, fix=found.fix)
    return found


async def left_behind(snapshot: Snapshot) -> tuple[HelmSource, UsageError | None]:
    """Return what `of` does for a commit that a change puts right, and what is wrong with its ApplicationSet.

    Where something is, it is the one that the project file makes.
    """
    found = await _of(snapshot)
    if isinstance(found, UsageError):
        return made(await tree.project(snapshot), snapshot.repository.prefix), found
    return found, None


async def _of(snapshot: Snapshot) -> HelmSource | UsageError:
    project = await tree.project(snapshot)
    said = await snapshot.read(FILE)
    assert said is not None
    try:
        content = await snapshot.read(file_of(project))
    except UsageError as error:  # a link
        return error
    there = snapshot.files(project.paths.argocd)
    files = [each async for each in there if documents.is_applied(each[0])]
    return _read(said, content, tuple(files), snapshot.repository.prefix)


def _require_alone(files: Sequence[tuple[str, bytes]], project: Project) -> None:
    """Refuse a second ApplicationSet of the same name in what a cluster is given, which has the last one alone.

    Raises:
        UsageError: There is one; both files and lines are named.
    """
    own = file_of(project)
    first = ""
    for path, content in sorted(files, key=lambda each: each[0] != own):
        for line, document in _located(content, path):
            group, kind, namespace, name = documents.identity(document)
            ours = namespace in ("", project.argocd.namespace) and name == project.argocd.project
            if (group, kind) != KIND or not ours:
                continue
            if first:
                said = f"{kind} {name}: is there twice, first in {first}: the last one alone counts"
                raise UsageError(f"{path}:{line}: {said}", fix="Remove it, or give it another name.")
            first = f"{path}:{line}"


def _located(content: bytes, path: str) -> Iterator[tuple[int, Any]]:
    """Yield the documents of a file; none of one that kubectl reads no ApplicationSet of, because it reads none."""
    try:
        yield from documents.located(content, path)
    except UsageError:
        if KIND[1].encode() in content:
            raise


@functools.lru_cache(maxsize=8)
def _read(
    said: bytes, content: bytes | None, files: tuple[tuple[str, bytes], ...], prefix: str
) -> HelmSource | UsageError:
    """Read all of them; a commit has the same for all of its applications."""
    project = projects.parse(said)
    try:
        _require_alone(files, project)
        return made(project, prefix) if content is None else read(content, project, prefix)
    except UsageError as error:
        return error


def made(project: Project, prefix: str = "") -> HelmSource:
    """Return what the project file makes."""
    return _source(_made(project, prefix), "", project, prefix)


def read(content: bytes, project: Project, prefix: str = "") -> HelmSource:
    """Return what an ApplicationSet says.

    Args:
        content: The file.
        project: The project file that is beside it.
        prefix: The project file's folder in its git repository, "" for the top.

    Raises:
        UsageError: Argo CD would deploy something else by it than is rendered here; file, line and key are named.
    """
    found = kubernetes_yaml.read(content, file_of(project))
    text = content.decode("utf-8-sig")
    wanted = _made(project, prefix)
    for path in manifests.differing(found, wanted):
        if not _is_free(path) and manifests.dig(found, *path) != ALSO.get(path, ...):
            path = _first(found, wanted, path)
            raise _refusal(text, project, path, _said(manifests.dig(found, *path), manifests.dig(wanted, *path)))
    for path, said in (*_templated(found, wanted), *_unapplied(found, wanted)):
        raise _refusal(text, project, path, said)
    return _source(found, text, project, prefix)


def sync_options(content: bytes | None, project: Project) -> tuple[str, ...]:
    """Return the options with which Argo CD applies all that an application renders.

    Args:
        content: The ApplicationSet; None where there is none. One that cannot be read is told elsewhere.
        project: The project file that is beside it.
    """
    try:
        found = kubernetes_yaml.read(content, file_of(project)) if content is not None else _made(project, "")
    except UsageError:
        found = _made(project, "")
    options = map(str, manifests.dig(found, *OPTIONS) or ())
    return (*options, *(() if manifests.dig(found, *PRUNES) else (NEVER_PRUNES,)))


def file_of(project: Project) -> str:
    """Return the path of the ApplicationSet."""
    return f"{project.paths.argocd}/{argocd.FILES['ApplicationSet']}"


def _made(project: Project, prefix: str) -> Any:
    return kubernetes_yaml.read(argocd.made(project, "ApplicationSet", prefix).encode(), file_of(project))


def _source(found: Any, text: str, project: Project, prefix: str) -> HelmSource:
    missing = manifests.dig(found, *IGNORE_MISSING)
    if not isinstance(missing, bool | None):
        raise _refusal(text, project, IGNORE_MISSING, "is neither true nor false")
    named = manifests.dig(found, *VALUE_FILES)
    if not isinstance(named, list | None):
        raise _refusal(text, project, VALUE_FILES, "is no list")
    files = []
    for number, each in enumerate(named or ()):
        try:
            files.append(_value_file(each, project, prefix))
        except ValueError as error:
            raise _refusal(text, project, (*VALUE_FILES, number), str(error)) from None
    return HelmSource(tuple(files), bool(missing))


def _value_file(said: Any, project: Project, prefix: str) -> str:
    """Return a values file's path from the project file's folder.

    Raises:
        ValueError: It is none of the chart or the tree, or Argo CD may read it as something else.
    """
    if not isinstance(said, str):
        raise ValueError("is no text")  # noqa: TRY004 - what is wrong with a file, not with this program
    plain = EXPRESSION.sub("x", said)
    if "{{" in plain:
        known = ", ".join(f"{{{{ {each} }}}}" for each in EXPRESSIONS)
        raise ValueError(f"{said}: an expression that is not carried out here, which are {known}")
    if wrong := sorted(char for char in set(plain) if char in PATH or not char.isprintable()):
        raise ValueError(f"{said}: Argo CD does not take {' '.join(map(repr, wrong))} for what it is")
    path = PurePosixPath(plain)
    if ".." in path.parts or str(path) != plain:
        raise ValueError(f"{said}: is no plain path of a file, such as values/live.yaml")
    folder = "/" if path.is_absolute() else f"/{PurePosixPath(prefix, project.paths.chart)}/"
    whole = f"{folder}{said.lstrip('/')}"
    start = f"/{prefix}/" if prefix else "/"
    own = whole.removeprefix(start)
    within = any(PurePosixPath(own).is_relative_to(each) for each in (project.paths.chart, project.paths.tree))
    if not (whole.startswith(start) and within):
        where = f"{project.paths.chart} and {project.paths.tree}"
        raise ValueError(f"{said}: is outside of {where}, where a change of it would not be seen")
    return own


def _templated(found: Any, wanted: Any) -> Iterator[tuple[Way, str]]:
    """Yield where Argo CD would put in what is not looked at here: it reads expressions in keys and values alike."""
    for path, text, is_key in _texts(manifests.dig(found, *TEMPLATE), TEMPLATE):
        if "{{" not in text or path[: len(VALUE_FILES)] == VALUE_FILES:
            continue
        if is_key:
            if manifests.dig(wanted, *path) is None:
                yield path, "an expression in a key: only Argo CD knows which key that is"
        elif manifests.dig(wanted, *path) != text:
            named = any(path[: len(each)] == each for each in NAMING) and "{{" not in FIELD.sub("", text)
            if not named:
                where = f"labels, annotations and info alone may name {', '.join((*EXPRESSIONS, *MORE))}"
                yield path, f"{_shown(text)}: an expression that is not carried out here; {where}"


def _texts(value: Any, path: Way) -> Iterator[tuple[Way, str, bool]]:
    """Yield each text of a document with the way to it, and whether it is a key."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield (*path, key), str(key), True
            yield from _texts(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, (*path, number))
    elif isinstance(value, str):
        yield path, value, False


def _unapplied(found: Any, wanted: Any) -> Iterator[tuple[Way, str]]:
    """Yield what has Argo CD leave a cluster as it is where it renders something else, with what is wrong with it.

    Of an object that is out of sync by what is ignored alone nothing is applied (ApplyOutOfSyncOnly).
    """
    if manifests.dig(found, *PAUSED) not in (None, "false"):
        yield PAUSED, "has Argo CD apply nothing"
    if manifests.dig(found, *CACHED) is not None:
        yield CACHED, "has Argo CD keep what it rendered of another commit where none of these paths changes"
    for name, value in (manifests.dig(wanted, *LABELS) or {}).items():
        if (said := manifests.dig(found, *LABELS, name)) != value:
            yield (*LABELS, name), f"is {_shown(said)}, and {FILE} makes it {_shown(value)}: a run has it so"
    for number, option in enumerate(manifests.dig(found, *OPTIONS) or ()):
        if option == KEEPS:
            yield (*OPTIONS, number), f"{KEEPS} has Argo CD keep fields that it renders otherwise"
    known = manifests.dig(wanted, *IGNORED) or ()
    for number, each in enumerate(manifests.dig(found, *IGNORED) or ()):
        if each in known or not isinstance(each, Mapping):
            continue
        kind = str(each.get("kind"))
        if kind not in PROVEN and not GLOB & set(kind):
            continue
        pointers = each.get("jsonPointers") or ()
        apart = each.get("jqPathExpressions") or each.get("managedFieldsManagers")
        if apart or not all(str(pointer).startswith(OTHERS) for pointer in pointers):
            whose = kind if kind in PROVEN else f"every kind like {kind}"
            where = ", ".join(OTHERS)
            yield (*IGNORED, number), f"has Argo CD not apply fields of {whose} that a run proves; free are {where}"


def _is_free(path: Way) -> bool:
    return any(path[: len(each)] == each for each in (*FREE, VALUE_FILES, IGNORE_MISSING))


def _first(found: Any, wanted: Any, path: Way) -> Way:
    """Return the way to the first value that differs below one that does: lists may be of two lengths."""
    lists = manifests.dig(found, *path), manifests.dig(wanted, *path)
    if not all(isinstance(each, list) for each in lists):
        return path
    for number, (mine, its) in enumerate(zip(*lists, strict=False)):
        within = manifests.differing(mine, its, (*path, number))
        if first := next((each for each in within if not _is_free(each)), None):
            return _first(found, wanted, first)
    return (*path, min(map(len, lists)))


def _said(found: Any, wanted: Any) -> str:
    if wanted is None:
        return "is not carried out here, and Argo CD would deploy something else by it than is rendered"
    return f"is {_shown(found)}, and {FILE} makes it {_shown(wanted)}"


def _shown(value: Any) -> str:
    return "not there" if value is None else cut(repr(value), SHOWN)


def _refusal(text: str, project: Project, path: Way, said: str) -> UsageError:
    line = places.nearest_line(text, path)
    patch = project.argocd.patches.get("ApplicationSet")
    fix = "python ci/main.py argocd render; docs/project.md says what a patch may change."
    if patch is not None:
        fix = f"Take it out of {project.paths.argocd}/{patch} if it has it, then {fix}"
    return UsageError(f"{file_of(project)}:{line}: {projects.dotted(path) or 'all of it'}: {said}", fix=fix)
