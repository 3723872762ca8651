"""An application rendered as Argo CD would, before anything is committed."""

import functools
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.base import command
from ci.base.errors import CheckFailedError, CommandError
from ci.manifests.chart import environment_values
from ci.project import Environment
from ci.supply import pins
from ci.tree import contents, tree
from ci.tree.git import Repository
from ci.tree.tree import Application

RENDER_SECONDS = 60
_last: dict[tuple[object, ...], str] = {}
"""What was rendered last, by chart and application: whoever lost a race to the branch asks for the very same again."""


async def render(
    repository: Repository, helm: Path, application: Application, revision: str, *, plain: bool = True
) -> str:
    """Return the manifests of an application.

    Args:
        repository: Has the chart.
        helm: The executable.
        application: What is rendered; its `content` counts, committed or not.
        revision: Commit of the chart, or its whole tree.
        plain: Refuse a chart that is more than files; what a change leaves behind may be.

    Raises:
        UsageError: The chart is more than files.
        CheckFailedError: Helm refuses: the values do not fit the chart's schema or templates.
    """
    chart = await repository.object_of(f"{revision}:{repository.at(application.project.paths.chart)}")
    values_file = f"{application.project.paths.tree}/{application.environment}/{tree.VALUES}"
    key = (
        chart,
        await repository.object_of(f"{revision}:{repository.at(values_file)}"),
        json.dumps(values(application)),
        application.environment,
        application.name,
        application.namespace,
        kube_version(application.place),
        application.place.api_versions,
    )
    if plain:
        await contents.require_plain(repository, revision, application.project.paths.chart)
    if key not in _last:
        rendered = await _render(repository, helm, application, revision)
        _last.clear()
        _last[key] = rendered
    return _last[key]


async def _render(repository: Repository, helm: Path, application: Application, revision: str) -> str:
    with tempfile.TemporaryDirectory() as work:
        chart = await chart_files(repository, revision, application.project.paths.chart, Path(work))
        files = await values_files(repository, revision, application, chart, Path(work))
        try:
            return await template(helm, application, chart, files, values(application))
        except CommandError as error:
            raise CheckFailedError(
                f"{application.file}: the chart at {revision[:12]} does not take it: {error.message}",
                detail=error.detail,
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
    # JSON: in YAML, what is text to one writer ("1e3", "0o17") is a number to Helm
    words += ["--include-crds", *(f"--values={file}" for file in files), "--values=-"]
    words += [f"--kube-version={kube_version(application.place)}"]
    words += [f"--api-versions={each}" for each in application.place.api_versions]
    return (await command.run([helm, *words], stdin=json.dumps(over), timeout=RENDER_SECONDS)).stdout


def kube_version(environment: Environment) -> str:
    """Return the version of Kubernetes that charts are told of: the environment's, else a throw-away cluster's."""
    return environment.kube_version or pinned_kubernetes()


@functools.cache
def pinned_kubernetes() -> str:
    """Return the version of a throw-away cluster."""
    return pins.load().modules["kubernetes"].version.removeprefix("v")


async def values_files(
    repository: Repository, revision: str, application: Application, chart: Path, work: Path
) -> list[Path]:
    """Return the values files of an application's environment that are there, the stronger one last.

    As the ApplicationSet names them: the chart's own for the environment, and the tree's, both as the chart's revision
    has them.
    """
    in_tree = f"{application.project.paths.tree}/{application.environment}/{tree.VALUES}"
    found = environment_values(chart, application.environment)
    blob = await repository.run("cat-file", "blob", f"{revision}:{repository.at(in_tree)}", check=False)
    if blob.returncode == 0:
        found.append(work / tree.VALUES)
        found[-1].write_bytes(blob.raw)
    return found


async def chart_files(repository: Repository, revision: str, chart: str, folder: Path) -> Path:
    """Write the chart of a revision below an empty folder, and return its own.

    Args:
        repository: Has the revision.
        revision: A commit, or a whole tree.
        chart: The chart's folder in the project.
        folder: The empty one.
    """
    index = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(folder)}
    await repository.run("read-tree", f"--prefix={chart}/", f"{revision}:{repository.at(chart)}", env=index)
    await repository.run("checkout-index", "--all", f"--prefix={folder}/", env=index)
    return folder / chart


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
