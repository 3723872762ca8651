"""`bump`: an image or a model to another version, by a commit."""

from typing import Annotated

import typer

from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release.bump import Bump
from ci.supply import supply


def bump(
    component: Annotated[str, typer.Argument(metavar="image|model", help="What moves.")],
    environment: EnvironmentOption,
    to: Annotated[
        str, typer.Option("--to", metavar="VALUE", help="image: TAG@sha256:DIGEST; model: a version or a storageUri.")
    ],
    digest: Annotated[
        str,
        typer.Option("--digest", metavar="DIGEST", help="sha256:HEX of the model's files; others are not served."),
    ] = "",
    app: writing.AppOption = None,
    why: writing.WhyOption = "",
    evidence: writing.EvidenceOption = "",
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Move an image or a model to another version in one environment: the value's bytes change, nothing else.

    The result is rendered and checked before it is committed. A value that is there already is no commit and no error.
    """
    destination = Destination(here.folder(), remote, branch, push, pr, dry_run)
    run_async(_bump, component, environment, to, digest, app, why, evidence, destination)


async def _bump(
    component: str,
    environment: str,
    to: str,
    digest: str,
    app: str | None,
    why: str,
    evidence: str,
    destination: Destination,
) -> None:
    change = Bump(component, environment, to, digest, app, why, evidence, supply.installed("helm"))
    await writing.write(destination, change.edit, "/".join([environment, *([app] if app else []), component]))
