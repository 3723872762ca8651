"""`rollback`: an environment back to a set that it ran, by a commit that also quarantines what failed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release import rollback as rolling
from ci.release import serving
from ci.release.rollback import Rollback
from ci.release.serving import Serving
from ci.tree.tree import Application


def rollback(
    environment: EnvironmentOption,
    app: writing.AppOption = None,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="COMMIT", help="One that `history` lists; by default the last set known as healthy."
        ),
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="image|model", help="Stays as it is, and is not quarantined."),
    ] = None,
    no_quarantine: Annotated[bool, typer.Option("--no-quarantine", help="What is left is not refused.")] = False,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    why: writing.WhyOption = "rolled back by hand",
    evidence: writing.EvidenceOption = "",
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Return an environment to a set it ran before; bump and promote refuse the failed one until it is lifted.

    Without --to it is the last set that a promotion has proven, or that its Rollout serves as stable where --kubeconfig
    or --context names a cluster. Where a rollback is what brought the present set, nothing is done.
    """
    destination = Destination(here.folder(), remote, branch, push, pr, dry_run)
    change = functools.partial(
        Rollback, environment, app, why, evidence, to=to, keep=rolling.parts(keep or ()), quarantine=not no_quarantine
    )
    run_async(_rollback, change, (kubeconfig, context), destination)


async def _rollback(
    change: Callable[..., Rollback], cluster: tuple[Path | None, str | None], destination: Destination
) -> None:
    async def look(application: Application) -> Serving:
        return await serving.known(await writing.kubectl(*cluster), application)

    await writing.write(destination, change(look=look if any(cluster) else None).edit, "rollback")
