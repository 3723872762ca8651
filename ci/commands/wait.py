"""`wait`: until Argo CD runs what git says."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base import duration
from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release import health
from ci.release.health import Health
from ci.tree import tree
from ci.tree.tree import Application


def wait(
    environment: EnvironmentOption,
    app: writing.AppOption = None,
    timeout: Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long at most.")] = "30m",
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
) -> None:
    """Wait until Argo CD shows the set that the remote's branch has as Synced and Healthy, on every ready pod."""
    destination = Destination(here.folder(), remote, branch, push=True, pr=False)
    run_async(_wait, environment, app, timeout, (kubeconfig, context), destination)


async def _wait(
    environment: str,
    app: str | None,
    timeout: str,
    cluster: tuple[Path | None, str | None],
    destination: Destination,
) -> None:
    seconds = duration.seconds(timeout, "--timeout")
    kubectl = await writing.kubectl(*cluster)
    application = await tree.load(await writing.tip(destination), environment, app)

    async def look(application: Application) -> Health:
        return await health.from_argo_cd(kubectl, application)

    seen = await health.settled(application, look, seconds)
    typer.echo(f"{application.argo_name}: {seen.text}")
