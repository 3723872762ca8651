"""An application rendered as Argo CD would, before anything is committed."""

import tempfile
from pathlib import Path
from typing import Any

import yaml

from ci import command
from ci.errors import CheckFailedError, CommandError
from ci.release import tree
from ci.release.git import Repository
from ci.release.tree import Application

RENDER_SECONDS = 60
_last: dict[tuple[str | None, bytes, str, str], str] = {}
"""What was rendered last, by chart and application: whoever lost a race to the branch asks for the very same again."""


async def render(repository: Repository, helm: Path, application: Application, revision: str) -> str:
    """Return the manifests of an application.

    Args:
        repository: Has the chart.
        helm: The executable.
        application: What is rendered; its `content` counts, committed or not.
        revision: Commit of the chart.

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
        index = {"GIT_INDEX_FILE": str(Path(work, "index")), "GIT_WORK_TREE": work}
        folder = tree.CHART_FOLDER
        await repository.run("read-tree", f"--prefix={folder}/", f"{revision}:{folder}", env=index)
        await repository.run("checkout-index", "--all", f"--prefix={work}/", env=index)
        chart = Path(work, folder)
        try:
            rendered = await command.run(
                [
                    helm,
                    "template",
                    application.name,
                    chart,
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


def values(application: Application) -> dict[str, Any]:
    """Return the Helm values that k8s/argocd/argocd-applications.yaml makes of an application's file."""
    own: dict[str, Any] = dict(application.values)
    model = dict(own.get("exampleModel") or {})
    model |= {
        "name": application.name,
        "storageUri": application.release[("model", "storageUri")],
        "image": tree.image(application.release),
    }
    return {**own, "exampleModel": model}
