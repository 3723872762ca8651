"""`evidence`: what a run of `test` proves, checked offline."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base.errors import UsageError
from ci.commands import here, writing
from ci.commands.options import PublicKeyOption
from ci.commands.runner import run_async

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What a run of `test` proves, checked offline.",
)


@app.callback()
def evidence() -> None:
    """What a run of `test` proves, checked offline."""


@app.command()
def fetch(
    commit: Annotated[str, typer.Option("--commit", metavar="C", help="The commit that was tested.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that gets it, and what it names.")],
    remote: writing.RemoteOption = "origin",
) -> None:
    """Get the evidence that the green run on a commit left on the remote's GitHub; it is not verified yet."""
    from ci.commands import proofs  # takes a moment to load, and wrong use is told at once

    run_async(proofs.fetch, commit, out, here.folder(), remote)


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="evidence.dsse.json of a report folder, with --env.")
    ] = None,
    environment: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help="Where the set would be promoted to.")
    ] = None,
    public_key: PublicKeyOption = None,
    name: writing.AppOption = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="BRANCH", help="Refuse unless HEAD is on this branch of the remote.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="Instead: is all proven that HEAD makes of protected environments?"),
    ] = None,
    evidence: Annotated[
        list[Path] | None,
        typer.Option("--evidence", metavar="FILE|DIR", help="With --base: of promotions; fetched by default."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FILE|DIR", help="With --base: what `test` wrote in this very workflow run; its report."
        ),
    ] = None,
    remote: writing.RemoteOption = "origin",
) -> None:
    """Check that evidence proves the promotion to an environment, as `promote` would make it at the clone's HEAD.

    With --base, the check of a pull request: is everything proven that the merge result, HEAD, makes of protected
    environments? A set by the evidence of its promotion, which is fetched, or by having run there before; values,
    charts and new files by --run; or break-glass, which a commit says.
    """
    keys = public_key or []
    if base is not None:
        if file is not None or environment is not None or name is not None or on is not None:
            raise UsageError(
                "--base: not with FILE, --env, --app or --on", fix="--evidence FILE and --run FILE go with it."
            )
        from ci.commands import proofs  # takes a moment to load, and wrong use is told at once

        given = proofs.Given(evidence or [], run, keys)
        run_async(proofs.verify_change, here.folder(), base, remote, given)
        return
    if file is None or environment is None:
        raise UsageError("FILE and --env, or --base", fix="evidence verify FILE --env ENV; evidence verify --base REF")
    if evidence or run is not None:
        raise UsageError("--evidence and --run go with --base", fix="evidence verify FILE --env ENV")
    if not keys:
        raise UsageError("--public-key: nothing to verify it with", fix="--public-key FILE")
    from ci.commands import proofs

    run_async(proofs.verify, file, keys, environment, name, on, here.folder(), remote)
