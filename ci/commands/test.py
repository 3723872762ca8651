"""`test`: prove a change on a real cluster."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ci import prove
from ci.applications import given
from ci.base import paths, settings
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.commands import here
from ci.commands.options import AskedOption, RemoteOption, SupplyOption
from ci.commands.runner import run_async
from ci.evidence import envelope
from ci.manifests.chart import environment_values
from ci.report import folder
from ci.stages import scope as scopes
from ci.stages.order import MODELS, ORDER, chosen
from ci.stages.run import Options
from ci.supply.supply import Supply, choose
from ci.tree import tree, worktree


def test(
    environment: Annotated[
        str | None,
        typer.Option("--env", help="Whose of the chart's values the platform deploys; as sample.toml says by default."),
    ] = None,
    supply: SupplyOption = "auto",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Run this stage and what it needs; may be repeated. By default what ${settings.ONLY} names."
        ),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this stage out; may be repeated.")] = None,
    base: Annotated[
        str | None, typer.Option("--base", metavar="REF", help="Prove what differs from it; everything by default.")
    ] = None,
    app: AskedOption = None,
    models: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            metavar="DIR",
            help="Take models of applications from this folder: that of s3://BUCKET/PATH is DIR/BUCKET/PATH.",
        ),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Take the image that a set calls REPOSITORY:TAG from the Docker daemon, as it was just built; "
            "may be repeated.",
        ),
    ] = None,
    remote: RemoteOption = "origin",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the cluster running for a look.")] = False,
    report: Annotated[
        Path, typer.Option(help="Folder for report.html, report.json, junit.xml, evidence and logs.")
    ] = Path("report"),
    kubeconfig: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Use this existing cluster instead of kind.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Its context; the file's current one by default.")] = None,
    install_stack: Annotated[
        bool, typer.Option("--install-stack", help="Install what an existing cluster lacks of the stack.")
    ] = False,
    no_install: Annotated[bool, typer.Option("--no-install", help="Never install or start Docker here.")] = False,
) -> None:
    """Prove a change on a real cluster: the platform, and every application with its own model.

    With --base, only what differs from it: `plan --base REF` says beforehand what that is.
    """
    asked = functools.partial(
        Options,
        keep=keep,
        kubeconfig=kubeconfig,
        context=context,
        allow_install=install_stack,
        application=tree.asked(app) if app is not None else None,
        models=models,
        images=tuple(image or ()),
    )
    run_async(_test, asked, environment, report, supply, only or [], skip or [], not no_install, (base, remote))


async def _test(
    asked: Callable[..., Options],
    environment: str | None,
    report: Path,
    way: str,
    only: list[str],
    skip: list[str],
    install: bool,
    since: tuple[str | None, str],
) -> None:
    report = folder.resolved(report)
    if environment is not None and not environment_values(paths.CHART, environment):
        known = ", ".join(sorted(file.stem for file in (paths.CHART / "values").iterdir()))
        said = f"--env {environment}: not one of the environments that the tool's chart has values for"
        raise UsageError(said, fix=f"One of {known}")
    project = here.found()  # a project file that is wrong is told before anything is done
    options = asked(project=here.folder(), environment=environment, report=report)
    folder.require_apart(report, options.project, project)
    if sys.flags.optimize:
        raise UsageError(
            "python -O (PYTHONOPTIMIZE) leaves out what the tests assert",
            fix="env -u PYTHONOPTIMIZE python ci/main.py test",
        )
    if options.application is not None:
        worktree.require_known(options.project, project, options.application)
    only = only or settings.only([stage.name for stage in ORDER])
    taken = _given(options)
    base, remote = since
    scope = await scopes.since(options.project, base, remote) if base is not None else None
    if scope is not None and scope.change.nothing:
        if taken:
            raise UsageError(f"{taken[0]}: nothing differs from {base}, so no application takes it")
        typer.echo(f"nothing differs from {base}: there is nothing to prove")
        return
    for each in scope.change.deleted if scope is not None else ():
        note(f"{each.environment}/{each.name} is deleted: there is nothing to serve")
    platform = (scope is None or scope.change.runs_platform) and options.application is None
    # --app is refused where its application is not served
    served = scope is None or not scope.change.only_deletes or options.application is not None
    stages = chosen(only, skip, existing=options.kubeconfig is not None, platform=platform, served=served)
    if taken and MODELS not in [stage.name for stage in stages]:
        raise UsageError(f"{taken[0]}: the stage that takes it, {MODELS}, is left out")
    supply = Supply(choose(way))
    signer = envelope.signer()
    with folder.taken(options.report):
        await prove.prove(
            options, stages, supply, signer, install=install, scope=scope, platform=platform, served=served
        )


def _given(options: Options) -> list[str]:
    """Return the options that give models and images; what is wrong with their words is told before anything begins."""
    for image in options.images:
        given.name(image)
    if options.images and options.kubeconfig is not None:
        raise UsageError(
            f"--image {options.images[0]}: nodes of a cluster that is there do not get images of this Docker daemon",
            fix="docker push it where they do, and leave --image out",
        )
    return [
        *(f"--image {image}" for image in options.images),
        *([f"--models {options.models}"] if options.models else []),
    ]
