"""`promote`: the set that one environment runs well, to the next, by a commit."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ci.base.errors import UsageError
from ci.base.progress import note
from ci.commands import here, writing
from ci.commands.options import PublicKeyOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release import health
from ci.release.health import Health
from ci.release.promote import Promote
from ci.supply import tools
from ci.tree.tree import Application


def promote(
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="The environment that runs it.")],
    target: Annotated[str, typer.Option("--to", metavar="ENV", help="The next one.")],
    app: writing.AppOption = None,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    why: writing.WhyOption = "",
    evidence: Annotated[
        str,
        typer.Option(
            "--evidence", metavar="FILE|URL", help="What `test` wrote, held against the promotion; or where to look."
        ),
    ] = "",
    public_key: PublicKeyOption = None,
    over_revert: writing.OverRevertOption = None,
    break_glass: writing.BreakGlassOption = None,
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Move chart revision, model and image together to the next environment, once they are proven in the earlier.

    To a protected environment, what moves must also be what a run of `test` proved: --evidence FILE --public-key FILE.
    With --break-glass REASON it need not be, and the commit says so; Argo CD is asked all the same.
    """
    destination = Destination(here.folder(), remote, branch, push, pr, dry_run)
    change = functools.partial(Promote, source, target, app, why, over_revert=over_revert, break_glass=break_glass)
    run_async(_promote, change, (kubeconfig, context), (evidence, public_key or []), destination)


async def _promote(
    change: Callable[..., Promote],
    cluster: tuple[Path | None, str | None],
    evidence: tuple[str, list[Path]],
    destination: Destination,
) -> None:
    async def look(application: Application) -> Health:
        return await health.from_argo_cd(await writing.kubectl(*cluster), application)

    where, public_keys = evidence
    if public_keys and not where:
        raise UsageError(f"--public-key {public_keys[0]}: for --evidence FILE, which is not given")
    proof = None
    if public_keys:
        from ci.evidence import verify  # what verifies signatures is for protected environments alone

        proof = verify.load(Path(where), public_keys)
    told = where if proof is None else str(proof)
    promote = change(told, proof, tools.installed("helm"), look, note)
    await writing.write(destination, promote.edit, "promote")
