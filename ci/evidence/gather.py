"""What a green run can say, gathered: each artefact's digest, and the applications that it served, rendered."""

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import requests
from securesystemslib.signer import CryptoSigner

from ci.base import files
from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.evidence import checkout as checkouts
from ci.evidence import envelope, sbom, statement, tool
from ci.evidence.checkout import Checkout
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Artefact, Digest, GitTree, Golden, Platform, Predicate, Sets, Statement
from ci.results import ExistingCluster, Proof, Report, Served, Suite
from ci.supply import pins
from ci.supply.supply import Supply
from ci.tree import chart_package, tree
from ci.tree.git import Snapshot
from ci.tree.render import render
from ci.tree.tree import Application


@dataclass(frozen=True)
class Facts:
    """What the run itself knows.

    Attributes:
        environment: Whose values the platform part deployed; None where there was no such part.
        started: When it began.
        finished: When it was over.
        supply: How tools and images were got.
        stages: The stages that passed.
        suites: The tests of each of them that runs tests.
        applications: What was proven of each application.
        cluster: Where it ran; None on a throw-away cluster.
    """

    environment: str | None
    started: datetime
    finished: datetime
    supply: Literal["upstream", "source"]
    stages: Sequence[str]
    suites: Sequence[Suite]
    applications: Sequence[Proof]
    cluster: ExistingCluster | None = None


async def write(
    folder: Path,
    report: Report,
    environment: str | None,
    served: Mapping[str, str],
    checkout: Checkout,
    supply: Supply,
    signer: CryptoSigner | None,
) -> Path:
    """Write the evidence of a green run beside its report.json, with the chart's package and the supply's SBOM.

    Args:
        folder: The report's; report.json is in it, and will not change any more.
        report: The run.
        environment: Whose values the platform part deployed; None where there was no such part.
        served: SHA-256 of each file of the models that the platform part served, by its path in the store.
        checkout: The checkout as it was when the run began.
        supply: What the run had.
        signer: Signs it; None leaves it unsigned, which protected environments take nothing by.

    Returns:
        The file.

    Raises:
        EvidenceError: The checkout is not what it was when the run began.
        CheckFailedError: Something cannot be packaged, rendered or looked up.
    """
    await checkouts.require_unchanged(checkout)
    helm = supply.tool("helm")
    started = datetime.fromisoformat(report.started)
    passed = [stage.name for stage in report.stages if stage.outcome == "passed"]
    ended, proven = datetime.now(UTC), report.applications
    facts = Facts(environment, started, ended, supply.way, passed, report.suites, proven, report.cluster)
    held = await images(supply)
    files.write(folder / statement.SBOM, await sbom.written(supply, held))
    project = await tree.project(Snapshot(checkout.repository, checkout.tree, ""))
    package = await chart_package.write(checkout.repository, helm, checkout.tree, project.paths.chart, folder)
    artefacts = [
        *(statement.artefact(file.name, files.sha256(file)) for file in (package, folder / statement.REPORT)),
        statement.artefact(statement.SBOM, files.sha256(folder / statement.SBOM)),
        *(statement.artefact(statement.image(ref), digest.removeprefix("sha256:")) for ref, digest in held.items()),
        *(statement.artefact(statement.model(path), digest) for path, digest in served.items()),
    ]
    gathered = await gather(checkout, helm, facts, artefacts)
    files.write(folder / statement.EVIDENCE, envelope.sealed(statement.written(gathered), signer))
    return folder / statement.EVIDENCE


async def gather(checkout: Checkout, helm: Path, facts: Facts, artefacts: Sequence[Artefact]) -> Statement:
    """Return the statement of a run.

    Args:
        checkout: What was tested.
        helm: The executable that renders.
        facts: What the run itself knows.
        artefacts: What it had and left, besides what git has.

    Raises:
        EvidenceError: The run served something else than the checkout has.
        CheckFailedError: There is no chart, or an application does not render.
    """
    repository = checkout.repository
    snapshot = Snapshot(repository, checkout.tree, "")
    subject = [*artefacts, statement.artefact(statement.PINS, files.sha256(pins.FILE))]
    platform = None
    if facts.environment is not None:
        chart = await tree.chart(snapshot, checkout.tree)
        if chart is None:
            folder = (await tree.project(snapshot)).paths.chart
            raise CheckFailedError(
                f"{folder} is not in {repository.folder}: there is nothing to make a statement about"
            )
        platform = Platform(environment=facts.environment, chart=GitTree(gitTree=chart))
    applications = []
    async for application, rendered in _applications(snapshot, helm, facts.applications):
        applications.append(application)
        subject += rendered
    predicate = Predicate(
        started=facts.started,
        finished=facts.finished,
        supply=facts.supply,
        stages=tuple(facts.stages),
        suites=tuple(statement.Suite(**dataclasses.asdict(suite)) for suite in facts.suites),
        tool=await tool.described(),
        project=await checkouts.described(checkout),
        cluster=statement.Cluster(**dataclasses.asdict(facts.cluster)) if facts.cluster is not None else None,
        platform=platform,
        applications=tuple(applications),
    )
    return statement.made(tuple(subject), predicate)


async def _applications(
    snapshot: Snapshot, helm: Path, proofs: Sequence[Proof]
) -> AsyncIterator[tuple[statement.Application, list[Artefact]]]:
    """Yield each application, and its manifests: as they are, and as a promotion from here would have them."""
    project = await tree.project(snapshot)
    snapshot = dataclasses.replace(snapshot, branch=project.branch)
    for proof in proofs:
        application = await tree.load(snapshot, proof.environment, proof.name)
        _require_served(application, proof)
        commit = await tree.chart_commit(snapshot, application)
        chart = await tree.chart(snapshot, commit)
        if chart is None:
            note(f"no evidence for {application.file}: there is no chart at {commit[:12]}")
            continue
        rendered = await render(snapshot, helm, application, commit)
        name = statement.manifests(proof.environment, proof.name)
        manifests = [statement.artefact(name, statement.manifests_digest(rendered))]
        for onward in project.targets(proof.environment):
            manifests += await _onward(snapshot, helm, application, onward, commit)
        yield _proven(proof, chart), manifests


def _require_served(application: Application, proof: Proof) -> None:
    """Refuse a proof of another set than the tree has, whose manifests would be none of what was served."""
    said = statement.release(application.release)
    for key in sorted({*said, *proof.candidate.release}):
        if said.get(key) != proof.candidate.release.get(key):
            raise EvidenceError(
                f"{application.file}: {key} is {said.get(key) or 'none'}, but the run served "
                f"{proof.candidate.release.get(key) or 'none'}",
                fix="Run `test` again.",
            )


def _proven(proof: Proof, chart: str) -> statement.Application:
    """Return what was proven of an application as a statement has it."""
    passed = proof.behaviour is not None and not proof.behaviour.failures
    return statement.Application(
        environment=proof.environment,
        name=proof.name,
        chart=GitTree(gitTree=chart),
        served=Sets(
            champion=_served(proof.champion) if proof.champion is not None else None,
            candidate=_served(proof.candidate),
        ),
        golden=Golden(digest=Digest(sha256=proof.golden), passed=passed) if proof.golden else None,
        canary=proof.canary.outcome if proof.canary is not None else None,
        back=proof.back,
        overlay=tuple(proof.overlay),
        rules=tuple(proof.rules),
    )


def _served(served: Served) -> statement.Served:
    return statement.Served(
        release=dict(served.release), model=served.model or None, image=served.image, built=served.built
    )


async def _onward(snapshot: Snapshot, helm: Path, source: Application, environment: str, commit: str) -> list[Artefact]:
    """Return the manifests that a promotion would give an application; none where file or chart do not take it."""
    try:
        target = await tree.destination(snapshot, environment, source)
        rendered = await render(snapshot, helm, target.promoted(source, source.release), commit)
    except (CheckFailedError, UsageError) as error:
        note(f"no evidence for a promotion to {environment}: {error.message}")
        return []
    name = statement.onward(source.environment, environment, source.name)
    return [statement.artefact(name, statement.manifests_digest(rendered))]


async def images(supply: Supply) -> dict[str, str]:
    """Return the digest of every image that the local registry holds, by its full reference.

    Raises:
        CheckFailedError: The registry does not answer.
    """
    try:
        held = {ref: await supply.registry.digest(ref) for ref in map(supply.image, supply.pins.images)}
    except requests.RequestException as error:
        raise CheckFailedError(f"the local registry does not tell its digests: {error}") from error
    return {ref: digest for ref, digest in held.items() if digest is not None}
