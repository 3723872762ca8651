"""Evidence held against what is about to be promoted, with nothing but the repository and the signer's public key.

A run that proves a promotion deployed the values of the environment that is promoted to, or of the one before it. The
target's own prove most; but production's ask for more nodes and longer looks than a throw-away cluster may have, so the
environment before, which has production's shape at a smaller size and has run the very set, counts as well. A run with
the values of any other environment says nothing about this one.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ci.base import files, paths
from ci.base.errors import UsageError
from ci.evidence import checkout, envelope, statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Deployed, Statement
from ci.stages.order import ORDER
from ci.tree import tree
from ci.tree.git import Snapshot
from ci.tree.render import render
from ci.tree.tree import Application

MAX_AGE = timedelta(days=7)
"""How long a run proves anything: the cluster's parts and what the registries hold move on."""
CLOCK_SKEW = timedelta(minutes=5)
STAGES = tuple(stage.name for stage in ORDER)
"""A release is proven by all of them; an existing cluster cannot have each."""
AGAIN = "Run `test` without --only, --skip, ML_SERVING_CI_ONLY and --kubeconfig."
PROTECTED = paths.ENVIRONMENTS[-1]
"""Nothing is promoted there without evidence."""


@dataclass(frozen=True)
class Evidence:
    """A statement whose signature was verified.

    Attributes:
        file: Where it came from.
        sha256: Of that file.
        signer: Id of the key that signed it.
        statement: What it says.
    """

    file: Path
    sha256: str
    signer: str
    statement: Statement

    def __str__(self) -> str:
        return f"{self.file.name} sha256:{self.sha256}, signed by {self.signer}"

    def refusal(self, field: str, said: str, fix: str | None = None) -> EvidenceError:
        """Return the error that names a field and what is wrong with it."""
        return EvidenceError(f"{self.file}: {field}: {said}", fix=fix)

    def digest_of(self, name: str) -> str:
        """Return the digest of an artefact.

        Raises:
            EvidenceError: The statement has none of that name.
        """
        for artefact in self.statement.subject:
            if artefact.name == name:
                return artefact.digest.sha256
        raise self.refusal(f"subject {name}", "missing", "Run `test` again; it says what it leaves out, and why.")


@dataclass(frozen=True)
class Promotion:
    """What is about to move.

    Attributes:
        snapshot: The tree it moves in.
        source: The application where it runs.
        target: The application that gets its set, with the set.
        commit: The chart's commit.
        helm: The executable that renders.
    """

    snapshot: Snapshot
    source: Application
    target: Application
    commit: str
    helm: Path


def load(file: Path, public_key: Path) -> Evidence:
    """Read evidence and verify its signature.

    Args:
        file: The envelope.
        public_key: PEM file with the only key that is trusted.

    Raises:
        UsageError: A file cannot be read, or the key is none.
        EvidenceError: The envelope is not signed by that key, or does not hold a statement of ours.
    """
    key = envelope.public_key(public_key)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"--evidence {file}: {error.strerror}") from error
    payload = envelope.opened(data, key, str(file))
    return Evidence(file, files.sha256(file), key.keyid, statement.read(payload, str(file)))


async def require(evidence: Evidence, promotion: Promotion) -> list[str]:
    """Refuse a promotion that the evidence does not prove.

    Returns:
        A line for each thing that was checked.

    Raises:
        EvidenceError: Something of it is not what the statement says; the message names it.
    """
    checks: tuple[Callable[[Evidence, Promotion], Awaitable[str]], ...] = (
        _environment,
        _fresh,
        _stages,
        _suites,
        _beside,
        _source,
        _pins,
        _chart,
        _release,
        _model,
        _image,
        _manifests,
    )
    return [await check(evidence, promotion) for check in checks]


async def _environment(evidence: Evidence, promotion: Promotion) -> str:
    deployed = evidence.statement.predicate.environment
    allowed = (promotion.source.environment, promotion.target.environment)
    if deployed not in allowed:
        raise evidence.refusal(
            "predicate.environment",
            f"the run deployed the values of {deployed}, which prove nothing about {promotion.target.environment}",
            f"python ci/main.py test --env {' or '.join(allowed)}",
        )
    return f"the run deployed the values of {deployed}"


async def _fresh(evidence: Evidence, promotion: Promotion) -> str:
    said, now = evidence.statement.predicate, datetime.now(UTC)
    if said.started > said.finished:
        raise evidence.refusal("predicate.started", f"{said.started.isoformat()} is after predicate.finished")
    if said.finished > now + CLOCK_SKEW:
        raise evidence.refusal(
            "predicate.finished", f"{said.finished.isoformat()} has not come yet", "Set the clocks of both machines."
        )
    if now - said.finished > MAX_AGE:
        raise evidence.refusal(
            "predicate.finished",
            f"{said.finished.isoformat()} is {(now - said.finished).days} days ago, more than {MAX_AGE.days}",
            "Run `test` again.",
        )
    return f"the run ended at {said.finished.isoformat()}, which is less than {MAX_AGE.days} days ago"


async def _stages(evidence: Evidence, promotion: Promotion) -> str:
    missing = [name for name in STAGES if name not in evidence.statement.predicate.stages]
    if missing:
        raise evidence.refusal(
            "predicate.stages",
            f"{', '.join(missing)} did not run, or did not pass",
            AGAIN,
        )
    return f"stages that passed: {', '.join(evidence.statement.predicate.stages)}"


async def _suites(evidence: Evidence, promotion: Promotion) -> str:
    """Ask of each stage that runs tests for tests: one that ran none passes as well."""
    suites = evidence.statement.predicate.suites
    counted = [suite.stage for suite in suites]
    for stage in ORDER:
        if stage.tests and counted.count(stage.name) != 1:
            said = "there twice" if stage.name in counted else "missing, so nobody knows whether a test ran"
            raise evidence.refusal(f"predicate.suites {stage.name}", said, AGAIN)
    declared = {stage.name: stage.skips for stage in ORDER}
    for suite in suites:
        field = f"predicate.suites {suite.stage}"
        for test, reason in suite.skipped.items():
            if declared.get(suite.stage, {}).get(test) != reason:
                raise evidence.refusal(f"{field} skipped {test}", f"a skip that is not declared: {reason}", AGAIN)
        if suite.failed:
            raise evidence.refusal(f"{field} failed", f"{suite.failed} of {suite.expected} tests failed", AGAIN)
        if not suite.passed or suite.passed + len(suite.skipped) != suite.expected:
            said = f"{suite.passed} of {suite.expected} tests, and {len(suite.skipped)} skipped"
            raise evidence.refusal(f"{field} passed", said, AGAIN)
    return f"tests that passed: {', '.join(f'{suite.passed} of {suite.stage}' for suite in suites)}"


async def _beside(evidence: Evidence, promotion: Promotion) -> str:
    """Hold the files that lie beside the statement against it: the report, the SBOM, the chart's package."""
    compared = []
    for artefact in evidence.statement.subject:
        file = evidence.file.parent / artefact.name
        if "/" in artefact.name or not file.is_file():
            continue
        if (found := files.sha256(file)) != artefact.digest.sha256:
            raise evidence.refusal(
                f"subject {artefact.name}",
                f"the file beside it has sha256:{found}, not sha256:{artefact.digest.sha256}",
            )
        compared.append(artefact.name)
    evidence.digest_of(statement.REPORT)
    evidence.digest_of(statement.SBOM)
    return f"compared with the files beside it: {', '.join(compared) or 'none is there'}"


async def _source(evidence: Evidence, promotion: Promotion) -> str:
    """Only tests that are on the branch count: whoever may weaken them may do so only by a reviewed commit."""
    snapshot, source = promotion.snapshot, evidence.statement.predicate.source
    commit = source.digest.git_commit
    merged = await snapshot.repository.run("merge-base", "--is-ancestor", commit, snapshot.commit, check=False)
    if merged.returncode != 0:
        raise evidence.refusal(
            "predicate.source.digest.gitCommit",
            f"{commit} is not in the history of {snapshot.commit[:12]}",
            "Test a commit of that branch; in a shallow clone: git fetch --unshallow",
        )
    committed = await checkout.folders(snapshot.repository, commit)
    tested = {folder.name: folder.digest.git_tree for folder in source.folders}
    if name := _difference(committed, tested):
        raise evidence.refusal(
            f"predicate.source.folders {name}",
            f"tested {tested.get(name, 'nothing')}, but {commit[:12]} has {committed.get(name, 'none')}",
            "Commit what is to be proven, then run `test`.",
        )
    return f"tested as committed: {await snapshot.repository.who(commit)}"


async def _pins(evidence: Evidence, promotion: Promotion) -> str:
    commit = evidence.statement.predicate.source.digest.git_commit
    name = f"{commit}:{statement.PINS}"
    content = await replace(promotion.snapshot, commit=commit).read(statement.PINS)
    found = hashlib.sha256(content).hexdigest() if content is not None else None
    _require_same(evidence, f"subject {statement.PINS}", evidence.digest_of(statement.PINS), found, name)
    return f"pins: {statement.PINS} of {commit[:12]}"


async def _chart(evidence: Evidence, promotion: Promotion) -> str:
    found = await tree.chart(promotion.snapshot, promotion.commit)
    tested = evidence.statement.predicate.chart.git_tree
    what = f"the chart of {promotion.commit[:12]}, which is about to be promoted,"
    _require_same(evidence, "predicate.chart.gitTree", tested, found, what)
    recorded = _recorded(evidence, promotion).chart.git_tree
    _require_same(evidence, f"predicate.applications {_name(promotion)} chart.gitTree", recorded, found, what)
    return f"chart: {tested}"


async def _release(evidence: Evidence, promotion: Promotion) -> str:
    proven = _recorded(evidence, promotion).release
    moving = statement.release(promotion.source.release)
    if key := _difference(proven, moving):
        raise evidence.refusal(
            f"predicate.applications {_name(promotion)} release {key}",
            f"the run had {proven.get(key) or 'none'}; {moving.get(key) or 'none'} is about to be promoted",
            "Run `test` on a commit that has the set.",
        )
    return f"set: model {moving['model.version']} from {moving['model.storageUri']}"


async def _model(evidence: Evidence, promotion: Promotion) -> str:
    digest = promotion.source.release[tree.MODEL_DIGEST]
    if not digest:
        uri = promotion.source.release["model", "storageUri"]
        raise evidence.refusal(
            f"predicate.applications {_name(promotion)} release model.digest",
            f"{uri} is not pinned, and what lies there can be replaced",
            f"python ci/main.py bump model --env {paths.ENVIRONMENTS[0]} --to VERSION --digest sha256:HEX, and promote "
            "that",
        )
    return f"model: its pods start with {digest} or not at all"


async def _image(evidence: Evidence, promotion: Promotion) -> str:
    reference = tree.image(promotion.source.release)
    pinned, _, digest = reference.partition("@")
    if not digest:
        raise evidence.refusal(
            f"predicate.applications {_name(promotion)} release image.digest",
            f"{pinned} is not pinned, and a tag can be moved",
            f"python ci/main.py bump image --env {paths.ENVIRONMENTS[0]} --to TAG@sha256:DIGEST, and promote that",
        )
    if evidence.statement.predicate.supply == "upstream":  # what is built from source has a digest of its own
        names = {artefact.name for artefact in evidence.statement.subject}
        if (name := statement.image(pinned)) in names:
            _require_same(evidence, f"subject {name}", f"sha256:{evidence.digest_of(name)}", digest, reference)
    return f"image: {reference}"


async def _manifests(evidence: Evidence, promotion: Promotion) -> str:
    """Render what runs and what will run, as Argo CD would, and compare."""
    rendered = (
        (statement.manifests(promotion.source.environment, promotion.source.name), promotion.source),
        (statement.onward(promotion.target.environment, promotion.target.name), promotion.target),
    )
    for name, application in rendered:
        text = await render(promotion.snapshot.repository, promotion.helm, application, promotion.commit)
        found = statement.manifests_digest(text)
        what = f"{application.file}, rendered again,"
        _require_same(evidence, f"subject {name}", evidence.digest_of(name), found, what)
    return f"manifests rendered again and compared: {', '.join(application.file for _, application in rendered)}"


def _recorded(evidence: Evidence, promotion: Promotion) -> Deployed:
    for deployed in evidence.statement.predicate.applications:
        if (deployed.environment, deployed.name) == (promotion.source.environment, promotion.source.name):
            return deployed
    raise evidence.refusal(f"predicate.applications {_name(promotion)}", "missing", "Run `test` again.")


def _name(promotion: Promotion) -> str:
    return f"{promotion.source.environment}/{promotion.source.name}"


def _require_same(evidence: Evidence, field: str, recorded: str, found: str | None, what: str) -> None:
    if recorded != found:
        raise evidence.refusal(
            field, f"{recorded}, but {what} has {found or 'none'}", "Run `test` on what is to be promoted."
        )


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """Return the first key that differs."""
    return next((key for key in sorted({*one, *other}) if one.get(key) != other.get(key)), None)
