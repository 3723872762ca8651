"""An application rendered as Argo CD would, before anything is committed."""

import functools
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from ci.base import command
from ci.base.errors import CheckFailedError, CommandError
from ci.manifests import values as helm_values
from ci.project import Environment, Project
from ci.supply import pins
from ci.tree import application_set, contents, dependencies, tree
from ci.tree.application_set import HelmSource
from ci.tree.git import Repository, Snapshot
from ci.tree.tree import Application

RENDER_SECONDS = 60
_last: dict[tuple[object, ...], str] = {}
"""What was rendered last, by chart and application: whoever lost a race to the branch asks for the very same again."""
_objects: dict[tuple[object, ...], tuple[object, ...]] = {}
"""Git's names for a chart and values files, by commit: thousands of applications share theirs."""


class Charts:
    """The charts of a repository with the values files beside them, each written once for all that have the same.

    Args:
        repository: Has them.
        helm: The executable, which builds what they depend on.
        folder: Where they go; an empty one.
    """

    def __init__(self, repository: Repository, helm: Path, folder: Path) -> None:
        self._repository = repository
        self._helm = helm
        self._folder = folder
        self._turn = anyio.Lock()
        self._written: dict[tuple[object, ...], tuple[Path, list[Path]]] = {}

    async def written(
        self, application: Application, revision: str, source: HelmSource, *, plain: bool
    ) -> tuple[Path, list[Path]]:
        """Return an application's chart and its values files.

        Arguments and errors as for `dependencies.laid_out` and `values_files`.
        """
        chart = application.project.paths.chart
        key = (revision, chart, source.files(application), plain)
        async with self._turn:
            if key not in self._written:
                work = Path(tempfile.mkdtemp(dir=self._folder))
                there = await dependencies.laid_out(self._repository, self._helm, revision, chart, work)
                files = await values_files(self._repository, revision, application, source, work, plain=plain)
                self._written[key] = there, files
            return self._written[key]


async def render(
    snapshot: Snapshot,
    helm: Path,
    application: Application,
    revision: str,
    *,
    plain: bool = True,
    charts: Charts | None = None,
) -> str:
    """Return the manifests of an application.

    Args:
        snapshot: Its ApplicationSet counts; its repository has the chart.
        helm: The executable.
        application: What is rendered; its `content` counts, committed or not.
        revision: Commit of the chart, or its whole tree.
        plain: Refuse a chart or values that are more than files, and an ApplicationSet that asks for what is not
            carried out here; what a change leaves behind may do so.
        charts: Where many applications are rendered.

    Raises:
        UsageError: Something is refused; or the chart depends on what no commit has.
        CheckFailedError: Helm refuses: the values do not fit the chart's schema or templates.
    """
    source = await application_set.of(snapshot) if plain else (await application_set.left_behind(snapshot))[0]
    repository = snapshot.repository
    inputs = await given(repository, application, revision, source, plain=plain)
    key = (*inputs, json.dumps(values(application)))
    if key not in _last:
        with tempfile.TemporaryDirectory() as work:
            own = charts or Charts(repository, helm, Path(work))
            rendered = await _render(helm, application, revision, source, own, plain=plain)
        _last.clear()
        _last[key] = rendered
    return _last[key]


async def given(
    repository: Repository, application: Application, revision: str, source: HelmSource, *, plain: bool = True
) -> tuple[object, ...]:
    """Return all that Helm is given for an application but its own values, to tell whether it is the same.

    Args:
        repository: Has the chart.
        application: The application.
        revision: Hash of the chart's commit, or of its whole tree.
        source: What the ApplicationSet says.
        plain: Refuse a chart or values that are more than files.

    Raises:
        UsageError: They are refused.
    """
    chart, files = application.project.paths.chart, source.files(application)
    key = (repository.folder, revision, chart, files, plain)
    if key not in _objects:
        identity = await dependencies.identity(repository, revision, chart)
        if plain and identity is not None:
            await dependencies.require_plain(repository, revision, chart)
        there = await contents.values_files(repository, revision, files, plain=plain)
        _objects[key] = (identity, *((path, there.get(path)) for path in files))
    return (
        *_objects[key],
        source.ignore_missing,
        application.name,
        application.namespace,
        kube_version(application.place),
        application.place.api_versions,
    )


async def _render(
    helm: Path, application: Application, revision: str, source: HelmSource, charts: Charts, *, plain: bool
) -> str:
    chart, files = await charts.written(application, revision, source, plain=plain)
    try:
        return await template(helm, application, chart, files, values(application))
    except CommandError as error:
        raise CheckFailedError(
            f"{application.file}: the chart at {revision[:12]} does not take it: {error.message}", detail=error.detail
        ) from error


async def template(
    helm: Path, application: Application, chart: Path, files: Sequence[Path], over: Mapping[str, Any]
) -> str:
    """Return what Helm makes of an application.

    Args:
        helm: The executable.
        application: Names release and namespace, and the cluster that the chart is told of.
        chart: The chart's folder.
        files: Helm values files, the stronger ones later.
        over: Helm values over them.

    Raises:
        CommandError: Helm refuses: the values do not fit the chart's schema or templates.
    """
    words: list[str | Path] = ["template", application.name, chart, f"--namespace={application.namespace}"]
    words += ["--include-crds", *(f"--values={file}" for file in files), "--values=-"]
    words += [f"--kube-version={kube_version(application.place)}"]
    words += [f"--api-versions={each}" for each in application.place.api_versions]
    return (await command.run([helm, *words], stdin=helm_values.written(over), timeout=RENDER_SECONDS)).stdout


def kube_version(environment: Environment) -> str:
    """Return the version of Kubernetes that charts are told of: the environment's, else a throw-away cluster's."""
    return environment.kube_version or pinned_kubernetes()


@functools.cache
def pinned_kubernetes() -> str:
    """Return the version of a throw-away cluster."""
    return pins.load().modules["kubernetes"].version.removeprefix("v")


async def values_files(
    repository: Repository,
    revision: str,
    application: Application,
    source: HelmSource,
    work: Path,
    *,
    plain: bool = True,
) -> list[Path]:
    """Return the values files that the ApplicationSet names, as the chart's revision has them, the stronger ones later.

    Args:
        repository: Has the revision.
        revision: Commit of the chart, or its whole tree.
        application: The application.
        source: What the ApplicationSet says.
        work: Where `dependencies.laid_out` put the chart; other files are put beside it.
        plain: As for `contents.values_files`.

    Raises:
        UsageError: One is refused.
        CheckFailedError: One is not there, and the ApplicationSet does not let it be left out.
    """
    there = await contents.values_files(repository, revision, source.files(application), plain=plain)
    found = []
    for path in source.files(application):
        if path in there:
            file = work / repository.at(path)
            if not file.exists():  # what is in the chart is there
                file.parent.mkdir(parents=True, exist_ok=True)
                (content,) = await repository.contents_of(there[path])
                file.write_bytes(content)
            found.append(file)
        elif not source.ignore_missing:
            raise CheckFailedError(f"{application.file}: {missing(application.project, path)} at {revision[:12]}")
    return found


def missing(project: Project, path: str) -> str:
    """Return what is wrong where a values file must be there and is not."""
    return f"there is no {path}, and ignoreMissingValueFiles is not true in {application_set.file_of(project)}"


def values(application: Application) -> dict[str, Any]:
    """Return the Helm values that the ApplicationSet makes of an application's file (ci/tree/argocd.py)."""
    own: dict[str, Any] = dict(application.values)
    model = dict(own.get("exampleModel") or {})
    model |= {
        "name": application.name,
        "storageUri": application.release[("model", "storageUri")],
        "image": tree.image(application.release),
    }
    if digest := application.release[tree.MODEL_DIGEST]:  # not in every chart that a revision may name
        model["digest"] = digest
    return {**own, "exampleModel": model}
