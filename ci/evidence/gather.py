"""What a green run can say, gathered: each artefact's digest, and the tree that Argo CD watches, rendered."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import requests
from securesystemslib.signer import CryptoSigner

from ci.base import files, paths
from ci.base.errors import CheckFailedError
from ci.base.progress import note
from ci.evidence import checkout as checkouts
from ci.evidence import envelope, sbom, statement
from ci.evidence.checkout import Checkout
from ci.evidence.statement import Artefact, Deployed, GitCommit, GitTree, Predicate, Source, Statement
from ci.results import Report, Suite
from ci.supply.supply import Supply
from ci.tree import chart_package, git, tree
from ci.tree.git import Repository, Snapshot
from ci.tree.render import render
from ci.tree.tree import Application


@dataclass(frozen=True)
class Facts:
    """What the run itself knows.

    Attributes:
        environment: Whose values were deployed.
        started: When it began.
        finished: When it was over.
        supply: How tools and images were got.
        stages: The stages that passed.
        suites: The tests of each of them that runs tests.
    """

    environment: str
    started: datetime
    finished: datetime
    supply: Literal["upstream", "source"]
    stages: Sequence[str]
    suites: Sequence[Suite]


async def write(
    folder: Path,
    report: Report,
    environment: str,
    served: Mapping[str, str],
    checkout: Checkout,
    supply: Supply,
    signer: CryptoSigner | None,
) -> Path:
    """Write the evidence of a green run beside its report.json, with the chart's package and the supply's SBOM.

    Args:
        folder: The report's; report.json is in it, and will not change any more.
        report: The run.
        environment: Whose values were deployed.
        served: SHA-256 of each file of the models that were served, by its path in the store.
        checkout: The checkout as it was when the run began.
        supply: What the run had.
        signer: Signs it; None leaves it unsigned, which promotions to prod refuse.

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
    facts = Facts(environment, started, datetime.now(UTC), supply.way, passed, report.suites)
    held = await images(supply)
    files.write(folder / statement.SBOM, await sbom.written(supply, held))
    package = await chart_package.write(checkout.repository, helm, checkout.tree, folder)
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
        CheckFailedError: An application does not render.
    """
    repository = checkout.repository
    snapshot = Snapshot(repository, checkout.tree, "")
    chart = await tree.chart(snapshot, checkout.tree)
    pins = await snapshot.read(statement.PINS)
    if chart is None or pins is None:
        missing = statement.PINS if chart else tree.CHART_FOLDER
        raise CheckFailedError(f"{missing} is not in {repository.folder}: there is nothing to make a statement about")
    subject = [*artefacts, statement.artefact(statement.PINS, hashlib.sha256(pins).hexdigest())]
    applications = []
    async for deployed, rendered in _applications(snapshot, helm):
        applications.append(deployed)
        subject += rendered
    predicate = Predicate(
        environment=facts.environment,
        started=facts.started,
        finished=facts.finished,
        supply=facts.supply,
        stages=tuple(facts.stages),
        suites=tuple(statement.Suite(**dataclasses.asdict(suite)) for suite in facts.suites),
        source=Source(
            digest=GitCommit(gitCommit=checkout.commit),
            folders=await checkouts.described(checkout),
        ),
        chart=GitTree(gitTree=chart),
        applications=tuple(applications),
    )
    return statement.made(tuple(subject), predicate)


async def _applications(snapshot: Snapshot, helm: Path) -> AsyncIterator[tuple[Deployed, list[Artefact]]]:
    """Yield each application, and its manifests: as they are, and as the next environment would have them."""
    following = dict(zip(paths.ENVIRONMENTS, paths.ENVIRONMENTS[1:], strict=False))
    for environment in paths.ENVIRONMENTS:
        for name in await tree.names(snapshot, environment):
            application = await tree.load(snapshot, environment, name)
            revision = application.release[tree.CHART[0]]
            commit = revision if git.COMMIT.fullmatch(revision) else snapshot.commit
            chart = await tree.chart(snapshot, commit)
            if chart is None:
                note(f"no evidence for {application.file}: its chart.revision {revision} is not in this clone")
                continue
            rendered = await render(snapshot.repository, helm, application, commit)
            manifests = [
                statement.artefact(statement.manifests(environment, name), statement.manifests_digest(rendered))
            ]
            onward = following.get(environment)
            if onward is not None and name in await tree.names(snapshot, onward):
                target = (await tree.load(snapshot, onward, name)).with_release(application.release)
                manifests += await _onward(snapshot.repository, helm, target, commit)
            yield (
                Deployed(
                    environment=environment,
                    name=name,
                    chart=GitTree(gitTree=chart),
                    release=statement.release(application.release),
                ),
                manifests,
            )


async def _onward(repository: Repository, helm: Path, target: Application, commit: str) -> list[Artefact]:
    """Return the manifests that a promotion would give an application; none where the chart takes no such values."""
    try:
        rendered = await render(repository, helm, target, commit)
    except CheckFailedError as error:
        note(f"no evidence for a promotion to {target.environment}: {error.message}")
        return []
    name = statement.onward(target.environment, target.name)
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
