"""`test`: prove a change on a real cluster."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from ci.base import settings
from ci.commands.options import AskedOption, NoControlPlaneOption, RemoteOption, SupplyOption
from ci.commands.runner import run_async


def test(
    environment: Annotated[
        str | None,
        typer.Option(
            "--sample-env",
            metavar="NAME",
            help="With which values of the tool's own chart the platform's stages install the tool's sample; as "
            "sample.toml says by default. No environment of a project: --app ENV/NAME is for that.",
        ),
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
    no_control_plane: NoControlPlaneOption = False,
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
    snapshot: Annotated[
        bool,
        typer.Option(
            "--snapshot",
            help="Begin from what is kept of a cluster with its stack, made where there is none; no evidence comes of "
            "such a run.",
        ),
    ] = False,
    no_install: Annotated[bool, typer.Option("--no-install", help="Never install or start Docker here.")] = False,
) -> None:
    """Prove a change on a real cluster: the platform, and every application with its own model.

    With --base, only what differs from it: `plan --base REF` says beforehand what that is.
    """
    from ci.commands import proving  # takes seconds to load
    from ci.stages.run import Options
    from ci.tree import tree

    asked = functools.partial(
        Options,
        keep=keep,
        kubeconfig=kubeconfig,
        context=context,
        allow_install=install_stack,
        application=tree.asked(app) if app is not None else None,
        models=models,
        images=tuple(image or ()),
        control_plane=not no_control_plane,
        snapshot=snapshot,
    )
    run_async(proving.test, asked, environment, report, supply, only or [], skip or [], not no_install, (base, remote))
