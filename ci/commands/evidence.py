"""`evidence`: what a run of `test` proves, checked offline."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base import files
from ci.base.errors import CheckFailedError, CIError, UsageError
from ci.base.progress import note
from ci.commands import here, writing
from ci.commands.options import PublicKeyOption
from ci.commands.runner import run_async
from ci.evidence import statement
from ci.evidence import verify as verifying
from ci.evidence.envelope import EvidenceError
from ci.evidence.verify import Promotion
from ci.supply import supply
from ci.tree import git, tree
from ci.tree.forge import github
from ci.tree.git import Snapshot

WORKFLOW, ARTIFACT = "pull-request.yaml", "report"
"""Where the green run of a commit leaves its report."""
KEPT = (statement.EVIDENCE, statement.SBOM, statement.REPORT, "report.html")
"""What of the report goes into a release."""

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
    run_async(_fetch, commit, out, here.folder(), remote)


async def _fetch(commit: str, out: Path, repo: Path, remote: str) -> None:
    repository = await git.opened(repo)
    hub = github.of_remote(await git.remote_url(repository, remote), writing.token(), "evidence fetch")
    tested = await repository.commit_of(commit)
    found = await hub.artifact(tested, WORKFLOW, ARTIFACT, KEPT)
    if statement.EVIDENCE not in found:
        raise CheckFailedError(
            f"the report of {tested[:12]} holds no evidence", fix="Look at the run: it says why it wrote none."
        )
    for name, content in found.items():
        files.write(out / name, content)
        typer.echo(out / name)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="evidence.dsse.json of a report folder.")],
    environment: Annotated[str, typer.Option("--env", metavar="ENV", help="Where the set would be promoted to.")],
    public_key: PublicKeyOption = None,
    name: writing.AppOption = None,
) -> None:
    """Check that evidence proves the promotion to an environment, as `promote` would make it at the clone's HEAD."""
    if not public_key:
        raise UsageError("--public-key: nothing to verify it with", fix="--public-key FILE")
    run_async(_verify, file, public_key, environment, name, here.folder())


async def _verify(file: Path, public_keys: list[Path], environment: str, name: str | None, repo: Path) -> None:
    proof = verifying.load(file, public_keys)
    repository = await git.opened(repo)
    branch = await repository.run("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
    snapshot = Snapshot(repository, await repository.commit_of("HEAD"), branch.stdout.strip())
    sources = (await tree.project(snapshot)).evidence_for(environment)
    if not sources:
        raise UsageError(f"--env {environment}: no set is promoted there", fix="bump is how it gets one")
    served = {each.environment for each in proof.statement.predicate.applications}
    refused: list[CIError] = []
    for source in sorted(sources, key=lambda each: each not in served):  # the likeliest is told of
        try:
            promotion = await _promotion(snapshot, source, environment, name)
            lines = await verifying.require(proof, promotion)
        except (EvidenceError, UsageError) as error:
            refused.append(error)
            continue
        for line in lines:
            note(line)
        typer.echo(f"{proof} proves {promotion.source.name} of {source} for {environment}")
        return
    raise refused[0]


async def _promotion(snapshot: Snapshot, source: str, target: str, name: str | None) -> Promotion:
    """Return the promotion from one environment to another, as `promote` would make it."""
    moving = await tree.load(snapshot, source, name)
    into = await tree.destination(snapshot, target, moving)
    commit = await snapshot.resolve(moving.release[tree.CHART[0]])
    moved = into.promoted(moving, {**moving.release, tree.CHART[0]: commit})
    return Promotion(snapshot, moving, moved, commit, supply.installed("helm"))
