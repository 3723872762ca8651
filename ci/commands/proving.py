"""What `test` does; apart from the command's options, for it takes seconds to load."""

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from ci import prove
from ci.applications import given
from ci.base import paths, settings
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.commands import here
from ci.evidence import envelope
from ci.manifests.chart import environment_values
from ci.report import folder
from ci.stages import scope as scopes
from ci.stages.order import MODELS, ORDER, chosen
from ci.stages.run import Options
from ci.supply.supply import Supply
from ci.supply.ways import choose
from ci.tree import worktree


async def test(
    asked: Callable[..., Options],
    environment: str | None,
    report: Path,
    way: str,
    only: list[str],
    skip: list[str],
    install: bool,
    since: tuple[str | None, str],
) -> None:
    """Run the stages that are asked for, and leave report and evidence.

    Args:
        asked: Makes the options, of what is known only here.
        environment: With which values of the tool's chart the platform installs the sample.
        report: Folder for the report.
        way: How tools and images are got.
        only: Stages that are run, with what they need.
        skip: Stages that are left out.
        install: Whether packages may be installed and services started.
        since: What is proven differs from this revision, of this remote; everything where it is None.

    Raises:
        UsageError: Something of it does not fit; nothing was done.
    """
    report = folder.resolved(report)
    if environment is not None and not environment_values(paths.CHART, environment):
        known = ", ".join(sorted(file.stem for file in (paths.CHART / "values").iterdir()))
        said = f"--sample-env {environment}: not one of the environments that the tool's chart has values for"
        raise UsageError(said, fix=f"One of {known}")
    project = here.found()  # a project file that is wrong is told before anything is done
    options = asked(project=here.folder(), environment=environment, report=report)
    folder.require_apart(report, options.project, project)
    if sys.flags.optimize:
        raise UsageError(
            "python -O (PYTHONOPTIMIZE) leaves out what the tests assert",
            fix="env -u PYTHONOPTIMIZE python ci/main.py test",
        )
    if options.snapshot and options.kubeconfig is not None:
        raise UsageError(f"--snapshot: the cluster of {options.kubeconfig} is there", fix="Leave one of both out.")
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
