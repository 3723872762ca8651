"""An application rendered as Argo CD would, before anything is committed."""

import tempfile
from pathlib import Path
from typing import Any

import yaml

from ci.base import command
from ci.base.errors import CheckFailedError, CommandError
from ci.tree import tree
from ci.tree.git import Repository
from ci.tree.tree import Application

RENDER_SECONDS = 60
_last: dict[tuple[str | None, bytes, str, str], str] = {}
"""What was rendered last, by chart and application: whoever lost a race to the branch asks for the very same again."""


async def render(repository: Repository, helm: Path, application: Application, revision: str) -> str:
    """Return the manifests of an application.

    Args:
        repository: Has the chart.
        helm: The executable.
        application: What is rendered; its `content` counts, committed or not.
        revision: Commit of the chart, or its whole tree.

    Raises:
        CheckFailedError: Helm refuses: the values do not fit the chart's schema or templates.
    """
    chart = await repository.object_of(f"{revision}:{tree.CHART_FOLDER}")
    key = (chart, application.content, application.environment, application.name)
    if key not in _last:
        rendered = await _render(repository, helm, application, revision)
        _last.clear()
        _last[key] = rendered
    return _last[key]


async def _render(repository: Repository, helm: Path, application: Application, revision: str) -> str:
    with tempfile.TemporaryDirectory() as work:
        chart = await chart_files(repository, revision, Path(work))
        try:
            rendered = await command.run(
                [
                    helm,
                    "template",
                    application.name,
                    chart,
                    "--include-crds",
                    f"--namespace={application.namespace}",
                    f"--values={chart / 'values' / f'{application.environment}.yaml'}",
                    "--values=-",
                ],
                stdin=yaml.safe_dump(values(application)),
                timeout=RENDER_SECONDS,
            )
        except CommandError as error:
            raise CheckFailedError(
                f"{application.file}: the chart at {revision[:12]} does not take it: {error.message}",
                detail=error.detail,
            ) from error
    return rendered.stdout


async def chart_files(repository: Repository, revision: str, folder: Path) -> Path:
    """Write the chart of a revision below an empty folder, and return its own."""
    index = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(folder)}
    chart = tree.CHART_FOLDER
    await repository.run("read-tree", f"--prefix={chart}/", f"{revision}:{chart}", env=index)
    await repository.run("checkout-index", "--all", f"--prefix={folder}/", env=index)
    return folder / chart


def values(application: Application) -> dict[str, Any]:
    """Return the Helm values that k8s/argocd/argocd-applications.yaml makes of an application's file."""
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
