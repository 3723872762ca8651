"""`bump`: an image or a model to another version, by a commit."""

import functools
from collections.abc import Callable
from typing import Annotated

import typer

from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release.bump import Bump
from ci.supply import tools


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
    version: Annotated[
        str,
        typer.Option("--version", metavar="NAME", help="Of a storageUri that says its version in no place known."),
    ] = "",
    app: writing.AppOption = None,
    why: writing.WhyOption = "",
    evidence: writing.EvidenceOption = "",
    over_revert: writing.OverRevertOption = None,
    break_glass: writing.BreakGlassOption = None,
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Move an image or a model to another version in one environment: the value's bytes change, nothing else.

    The result is rendered and checked before it is committed. A value that is there already is no commit and no error.
    A protected environment takes what `promote` proves, or with --break-glass REASON anything.
    """
    destination = Destination(here.folder(), remote, branch, push, pr, dry_run)
    change = functools.partial(
        Bump,
        component,
        environment,
        to,
        digest,
        app,
        why,
        evidence,
        version=version,
        over_revert=over_revert,
        break_glass=break_glass,
    )
    run_async(_bump, change, component, destination)


async def _bump(change: Callable[..., Bump], component: str, destination: Destination) -> None:
    wanted = change(helm=tools.installed("helm"))
    await writing.write(destination, wanted.edit, component)
