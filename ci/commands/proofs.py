"""`evidence`: how it is got and checked; apart from the command's options, for it takes a moment to load."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ci.base import files
from ci.base.errors import CheckFailedError, CIError, UsageError
from ci.base.progress import note
from ci.base.text import one_line
from ci.commands import writing
from ci.evidence import merge, statement, touched
from ci.evidence import verify as verifying
from ci.evidence.envelope import EvidenceError
from ci.evidence.verify import Evidence, Promotion
from ci.release import promote
from ci.supply import tools
from ci.tree import git, merge_base, tree
from ci.tree.forge import github
from ci.tree.git import Repository, Snapshot

WORKFLOW, ARTIFACT = "pull-request.yaml", "report"
"""Where the green run of a commit leaves its report."""
KEPT = (statement.EVIDENCE, statement.SBOM, statement.REPORT, "report.html")
"""What of the report goes into a release."""


@dataclass(frozen=True)
class Given:
    """What the check of a change goes by.

    Attributes:
        evidence: Files, or folders that have one, of the commits whose sets were promoted.
        run: Of the workflow run that asks.
        keys: Whose signatures count.
    """

    evidence: Sequence[Path]
    run: Path | None
    keys: Sequence[Path]


async def fetch(commit: str, out: Path, repo: Path, remote: str) -> None:
    """Write what the green run on a commit left of its report, evidence among it, to a folder.

    Args:
        commit: The commit.
        out: The folder.
        repo: The project's.
        remote: Whose forge has it.
    """
    repository = await git.opened(repo)
    for name, content in (await _left_by(repository, remote, await repository.commit_of(commit))).items():
        files.write(out / name, content)
        typer.echo(out / name)


async def _left_by(repository: Repository, remote: str, commit: str) -> Mapping[str, bytes]:
    """Return what the green run on a commit left of its report, evidence among it."""
    hub = github.of_remote(await git.remote_url(repository, remote), writing.token(), "evidence")
    found = await hub.artifact(commit, WORKFLOW, ARTIFACT, KEPT)
    if statement.EVIDENCE not in found:
        raise CheckFailedError(
            f"the report of {commit[:12]} holds no evidence", fix="Look at the run: it says why it wrote none."
        )
    return found


async def verify_change(folder: Path, base: str, remote: str, given: Given) -> None:
    """Check that all is proven that the clone's HEAD makes of protected environments, and print each verdict.

    Args:
        folder: The project's.
        base: Where HEAD is to be merged into.
        remote: Whose forge has the evidence of promotions.
        given: What it goes by.

    Raises:
        CheckFailedError: Something is not proven.
    """
    repository = await git.opened(folder)
    sides = await touched.sides(*await merge_base.sides(repository, base, remote))
    run = _of_run(given.run) if given.run is not None else None
    with tempfile.TemporaryDirectory() as work:
        fetched: dict[str, Evidence] = {}

        async def signed(commit: str) -> Evidence:
            if commit not in fetched:
                fetched[commit] = await _signed(repository, remote, given, commit, Path(work, commit))
            return fetched[commit]

        verdicts = await merge.Check(sides, tools.installed("helm"), run, signed).verdicts()
    for verdict in verdicts:
        typer.echo(one_line(str(verdict)))
    if not verdicts:
        typer.echo("nothing of a protected environment is touched")
    if refused := [verdict.place for verdict in verdicts if not verdict.proven]:
        raise CheckFailedError(
            f"not proven: {', '.join(refused)}", fix="each line above has its way out; docs/release.md has all of them"
        )


def _of_run(path: Path) -> Evidence | None:
    """Return the evidence of this workflow run; none where its `test` had nothing to prove, and so wrote none."""
    if path.is_dir() and not (path / statement.EVIDENCE).is_file():
        note(f"{path}: no evidence, so the test of this run proves nothing")
        return None
    return verifying.load_of_run(path / statement.EVIDENCE if path.is_dir() else path)


async def _signed(repository: Repository, remote: str, given: Given, commit: str, into: Path) -> Evidence:
    """Return the evidence of a commit, as it is given or fetched, verified."""
    if not given.keys:
        raise UsageError(f"no --public-key to verify the evidence of {commit[:12]} with", fix="--public-key FILE")
    for path in given.evidence:
        found = verifying.load(path / statement.EVIDENCE if path.is_dir() else path, given.keys)
        if found.commit == commit:
            return found
    if given.evidence:
        raise CheckFailedError(
            f"no --evidence is of {commit[:12]}, which the promotion names",
            fix="--evidence FILE of that commit's run; without any, it is fetched",
        )
    for name, content in (await _left_by(repository, remote, commit)).items():
        files.write(into / name, content)
    return verifying.load(into / statement.EVIDENCE, given.keys)


async def verify(
    file: Path, keys: list[Path], environment: str, name: str | None, on: str | None, repo: Path, remote: str
) -> None:
    """Check that evidence proves the promotion to an environment, as `promote` would make it, and print that.

    Args:
        file: The evidence.
        keys: Whose signatures count.
        environment: Where the set would be promoted to.
        name: The application; may be left out where there is one only.
        on: Branch that HEAD has to be on.
        repo: The project's folder.
        remote: Whose branches count.

    Raises:
        EvidenceError: It does not.
    """
    proof = verifying.load(file, keys)
    repository = await git.opened(repo)
    if on is not None:
        await _require_on(repository, remote, on)
    branch = (await repository.head() or "").removeprefix(git.HEADS)
    snapshot = Snapshot(repository, await repository.commit_of("HEAD"), branch)
    project = await tree.project(snapshot)
    sources = project.evidence_for(environment)
    if not sources:
        raise UsageError(f"--env {environment}: no set is promoted there", fix=promote.unpromoted(project, environment))
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


async def _require_on(repository: Repository, remote: str, branch: str) -> None:
    """Refuse a HEAD, a tag's say, that is not in the history of a remote's branch as this clone knows it."""
    head = await repository.commit_of("HEAD")
    tip = await repository.followed(f"{git.HEADS}{branch}", remote)
    if tip is None:
        raise UsageError(f"--on {branch}: no such branch of {remote} here", fix=f"git fetch {remote} {branch}")
    merged = await repository.run("merge-base", "--is-ancestor", head, tip, check=False)
    if merged.returncode != 0:
        raise CheckFailedError(
            f"{head[:12]} is not on {branch} of {remote}, and only what was merged there is released",
            fix=f"Merge it, and tag a commit of {branch}; in a shallow clone: git fetch --unshallow",
        )


async def _promotion(snapshot: Snapshot, source: str, target: str, name: str | None) -> Promotion:
    """Return the promotion from one environment to another, as `promote` would make it."""
    await _require_there(snapshot, source, target, name)
    moving = await tree.load(snapshot, source, name)
    into = await tree.destination(snapshot, target, moving)
    commit = await snapshot.resolve(moving.release[tree.CHART[0]])
    moved = into.promoted(moving, {**moving.release, tree.CHART[0]: commit})
    return Promotion(snapshot, moving, moved, commit, tools.installed("helm"))


async def _require_there(snapshot: Snapshot, source: str, target: str, name: str | None) -> None:
    """Refuse a promotion of what its source has not, with how it gets there."""
    if name is not None:
        tree.require_name(name)
    known = await tree.names(snapshot, source)
    if known if name is None else name in known:
        return
    project = await tree.project(snapshot)
    said = f"{source} has no {name or 'application'} at {snapshot.commit[:12]} that could be promoted to {target}"
    fix = f"Add {project.paths.tree}/{source}/{name or 'NAME'}.yaml"
    for each in project.evidence_for(source):
        there = await tree.names(snapshot, each)
        if there if name is None else name in there:
            own = f"promote --from {each} --to {source} --app {name or there[0]}"
            fix = f"{own} comes first; the evidence for {target} is of the `test` that proves what {source} has then"
            break
    raise UsageError(said, fix=fix)
