"""`promote`: the set that one environment runs well, to the next, by a commit."""

from pathlib import Path
from typing import Annotated

import typer

from ci.commands import writing
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.progress import note
from ci.release import health
from ci.release.health import Health
from ci.release.promote import Promote
from ci.release.tree import Application
from ci.supply import supply


def promote(
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="The environment that runs it.")],
    target: Annotated[str, typer.Option("--to", metavar="ENV", help="The next one.")],
    app: writing.AppOption = None,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    why: writing.WhyOption = "",
    evidence: writing.EvidenceOption = "",
    repo: writing.RepoOption = Path(),
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Move chart revision, model and image together to the next environment, once they are proven in the earlier."""
    destination = Destination(repo, remote, branch, push, pr, dry_run)
    run_async(_promote, source, target, app, (kubeconfig, context), why, evidence, destination)


async def _promote(
    source: str,
    target: str,
    app: str | None,
    cluster: tuple[Path | None, str | None],
    why: str,
    evidence: str,
    destination: Destination,
) -> None:
    async def look(application: Application) -> Health:
        return await health.from_argo_cd(await writing.kubectl(*cluster), application)

    change = Promote(source, target, app, why, evidence, supply.installed("helm"), look, note)
    await writing.write(destination, change.edit, "/".join([target, *([app] if app else []), "promote"]))
