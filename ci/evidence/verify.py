"""Evidence held against what is about to be promoted, with nothing but the repository and the signer's public key.

A run that proves a promotion served the very set, with the values of the environment that it is promoted from, or of
the one that it is promoted to. The target's own prove most; but production's ask for more nodes and longer looks than a
throw-away cluster may have, so the environment before, which has production's shape at a smaller size and has run the
very set, counts as well. What was served with the values of any other environment says nothing about this one.

Whether the platform part was in the same run says nothing about the set but something about the tool, whose commit and
digest the evidence has. So a run of applications alone counts, and that it is one is told.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ci import project as projects
from ci.applications import subjects
from ci.base import files
from ci.base.errors import UsageError
from ci.diff import canary as effects
from ci.evidence import checkout, envelope, servers, statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Artefact, Statement
from ci.manifests import documents, overlay
from ci.stages.order import ORDER, suite_of
from ci.tree import earlier, tree
from ci.tree.earlier import Earlier
from ci.tree.git import Snapshot
from ci.tree.render import render
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application

MAX_AGE = timedelta(days=7)
"""How long a run proves anything: the cluster's parts and what the registries hold move on."""
CLOCK_SKEW = timedelta(minutes=5)
UNTESTED = "missing, so nobody knows whether a test ran"
STAGES = tuple(stage.name for stage in ORDER)
"""The platform is proven by all of them; an existing cluster cannot have each."""
BUILT = ("source",)
"""Ways of the supply in which an image that was built for the run stands for the published one, which is told: in that
way no published image is had. In any other, it is not the image that would be promoted, and what a person built is in
none."""
HEALTHY = "Healthy"
"""Last phase of a Rollout that went all the way."""
AGAIN = "Run `test` without --only, --skip and ML_SERVING_CI_ONLY; on a cluster of its own where the platform is in it."


@dataclass(frozen=True)
class Evidence:
    """A statement whose signature was verified, or that needs none.

    Attributes:
        file: Where it came from.
        sha256: Of that file.
        signer: Id of the key that signed it; empty where the place that it came from is trusted.
        statement: What it says.
    """

    file: Path
    sha256: str
    signer: str
    statement: Statement

    def __str__(self) -> str:
        signed = f"signed by {self.signer}" if self.signer else "not signed"
        return f"{self.file.name} sha256:{self.sha256}, {signed}"

    @property
    def commit(self) -> str:
        """The commit that was tested."""
        return self.statement.predicate.project.digest.git_commit

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
        history: Commit in whose history what was tested has to be; the snapshot's by default.
        result: The tree that comes of it, by whose ApplicationSet it is rendered; the snapshot by default.
    """

    snapshot: Snapshot
    source: Application
    target: Application
    commit: str
    helm: Path
    history: str | None = None
    result: Snapshot | None = None

    async def rendered(self, application: Application) -> str:
        """Return the manifests of an application, as Argo CD will render them."""
        return await render(self.result or self.snapshot, self.helm, application, self.commit)


def load(file: Path, public_keys: Sequence[Path]) -> Evidence:
    """Read evidence and verify its signature.

    Args:
        file: The envelope.
        public_keys: PEM files with the keys that are trusted: one, or two while a key is being replaced.

    Raises:
        UsageError: A file cannot be read, or the key is none.
        EvidenceError: The envelope is signed by none of them, or does not hold a statement of ours.
    """
    keys = [envelope.public_key(each) for each in public_keys]
    payload, signer = envelope.opened(_bytes(file, "--evidence"), keys, str(file))
    return Evidence(file, files.sha256(file), signer, statement.read(payload, str(file)))


def load_of_run(file: Path) -> Evidence:
    """Read evidence that need not be signed, for it comes from the very workflow run that reads it.

    Args:
        file: The envelope.

    Raises:
        UsageError: The file cannot be read.
        EvidenceError: It does not hold a statement of ours.
    """
    payload = envelope.unverified(_bytes(file, "--run"), str(file))
    return Evidence(file, files.sha256(file), "", statement.read(payload, str(file)))


def _bytes(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {file}: {error.strerror}") from error


async def require(evidence: Evidence, promotion: Promotion) -> list[str]:
    """Refuse a promotion that the evidence does not prove.

    Returns:
        A line for each thing that was checked.

    Raises:
        EvidenceError: Something of it is not what the statement says; the message names it.
    """
    return [*await require_set(evidence, promotion), await require_manifests(evidence, promotion)]


async def require_set(evidence: Evidence, promotion: Promotion) -> list[str]:
    """Refuse a set that the evidence does not prove, whatever values it gets where it goes.

    Returns:
        A line for each thing that was checked.

    Raises:
        EvidenceError: Something of it is not what the statement says; the message names it.
    """
    checks: tuple[Callable[[Evidence, Promotion], Awaitable[str]], ...] = (
        _fresh,
        _tool,
        _cluster,
        _platform,
        _suites,
        _beside,
        _project,
        _served,
        _tested,
        _chart,
        _model,
        _image,
        _golden,
        _canary,
        _overlay,
    )
    return [await check(evidence, promotion) for check in checks]


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


async def _tool(evidence: Evidence, promotion: Promotion) -> str:
    tool, pins = evidence.statement.predicate.tool, evidence.digest_of(statement.PINS)
    commit = f" of {tool.commit.git_commit}" if tool.commit is not None else ""
    return f"tool: {tool.name} {tool.version}{commit}, sha256:{tool.digest.sha256}; its pins: sha256:{pins}"


async def _cluster(evidence: Evidence, promotion: Promotion) -> str:
    """Ask the project file, as it is where the set is promoted, whether runs on an existing cluster count."""
    found = evidence.statement.predicate.cluster
    if found is None:
        return "cluster: a throw-away one"
    name = (await tree.project(promotion.snapshot)).cluster.named(found.uid)
    if name is None:
        raise evidence.refusal(
            "predicate.cluster.uid",
            f"{found.uid} (context {found.context}, {found.server}) is not under [cluster.evidence] of {projects.FILE} "
            f"at {promotion.snapshot.commit[:12]}",
            "Name it there by a reviewed commit, or run `test` without --kubeconfig.",
        )
    return f"cluster: {name}, {found.uid}, which was there (context {found.context}, {found.server})"


async def _platform(evidence: Evidence, promotion: Promotion) -> str:
    said = evidence.statement.predicate
    if said.platform is None:
        return f"platform: not part of this run; stages that passed: {', '.join(said.stages) or 'none'}"
    missing = [name for name in STAGES if name not in said.stages]
    if missing:
        raise evidence.refusal(
            "predicate.stages",
            f"{', '.join(missing)} did not run, or did not pass",
            AGAIN,
        )
    return f"platform: with the values of {said.platform.environment}; stages that passed: {', '.join(said.stages)}"


async def _suites(evidence: Evidence, promotion: Promotion) -> str:
    """Ask of each stage of the platform part that runs tests for tests: one that ran none passes as well."""
    suites = evidence.statement.predicate.suites
    counted = [suite.stage for suite in suites]
    for stage in ORDER if evidence.statement.predicate.platform is not None else ():
        if stage.tests and stage.name not in counted:
            raise evidence.refusal(f"predicate.suites {stage.name}", UNTESTED, AGAIN)
    if twice := next((name for name in counted if counted.count(name) > 1), None):
        raise evidence.refusal(f"predicate.suites {twice}", "there twice", AGAIN)
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


async def _project(evidence: Evidence, promotion: Promotion) -> str:
    """Only what is on the branch counts: whoever may change what is tested may do so only by a reviewed commit."""
    repository, project = promotion.snapshot.repository, evidence.statement.predicate.project
    commit, history = project.digest.git_commit, promotion.history or promotion.snapshot.commit
    merged = await repository.run("merge-base", "--is-ancestor", commit, history, check=False)
    if merged.returncode != 0:
        raise evidence.refusal(
            "predicate.project.digest.gitCommit",
            f"{commit} is not in the history of {history[:12]}",
            "Test a commit of that branch; in a shallow clone: git fetch --unshallow",
        )
    snapshot = replace(promotion.snapshot, commit=commit)
    file = await checkout.project_file(snapshot)
    if file != project.file:
        raise evidence.refusal(
            "predicate.project.file",
            f"tested {_shown(project.file)}, but {commit[:12]} has {_shown(file) if file else 'none'}",
            "Commit what is to be proven, then run `test`.",
        )
    tested = {folder.name: folder.digest.git_tree for folder in project.folders}
    committed = await checkout.objects(repository, commit, {*await checkout.folders_of(snapshot), *tested})
    if name := _difference(committed, tested):
        raise evidence.refusal(
            f"predicate.project.folders {name}",
            f"tested {tested.get(name, 'nothing')}, but {commit[:12]} has {committed.get(name, 'none')}",
            "Commit what is to be proven, then run `test`.",
        )
    return f"tested as committed: {await repository.who(commit)}"


async def _served(evidence: Evidence, promotion: Promotion) -> str:
    proven = _proven(evidence, promotion)
    had, moving = proven.served.candidate.release, statement.release(promotion.source.release)
    if key := _differing(proven, promotion):
        raise evidence.refusal(
            f"{_field(proven)} served.candidate.release {key}",
            f"the run had {had.get(key) or 'none'}; {moving.get(key) or 'none'} is about to be promoted",
            "Run `test` on a commit that has the set.",
        )
    uri, called = moving["model.storageUri"], tree.called(promotion.source.release)
    return f"set: {called}{f' from {uri}' if uri else ''}, served with the values of {proven.environment}"


async def _tested(evidence: Evidence, promotion: Promotion) -> str:
    """Ask for the application's own tests; what came of them is asked of every suite."""
    proven = _proven(evidence, promotion)
    name = suite_of(proven.environment, proven.name)
    for suite in evidence.statement.predicate.suites:
        if suite.stage == name:
            return f"tests of the set as it was installed: {suite.passed} passed"
    raise evidence.refusal(f"predicate.suites {name}", UNTESTED, AGAIN)


async def _chart(evidence: Evidence, promotion: Promotion) -> str:
    proven, found = _proven(evidence, promotion), await tree.chart(promotion.snapshot, promotion.commit)
    what = f"the chart of {promotion.commit[:12]}, which is about to be promoted,"
    _require_same(evidence, f"{_field(proven)} chart.gitTree", proven.chart.git_tree, found, what)
    return f"chart: {found}"


async def _model(evidence: Evidence, promotion: Promotion) -> str:
    proven, release = _proven(evidence, promotion), promotion.source.release
    served, digest = proven.served.candidate.model, release[tree.MODEL_DIGEST]
    _require_pinned(evidence, promotion, tree.MODEL_DIGEST)
    if (served or "") != digest:
        raise evidence.refusal(
            f"{_field(proven)} served.candidate.model",
            f"the run served {served or 'no files'}, not {digest or 'none'}, which is about to be promoted",
            "Run `test` on what is to be promoted.",
        )
    return f"model: {digest} was served, and pods start with it or not at all" if digest else "model: in its image"


async def _image(evidence: Evidence, promotion: Promotion) -> str:
    proven, way = _proven(evidence, promotion), evidence.statement.predicate.supply
    served, reference = proven.served.candidate, tree.image(promotion.source.release)
    _require_pinned(evidence, promotion, tree.IMAGE[2])
    if served.built and not (way in BUILT and _is_of_supply(evidence, served.image)):
        raise evidence.refusal(
            f"{_field(proven)} served.candidate.built",
            f"{served.image} was built for the run, so {reference} was never served",
            "Publish the image, pin its digest, and run `test` on that.",
        )
    if served.built:
        return f"image: built here, not the published bytes: {served.image} was served for {reference}"
    what = f"{reference}, which is about to be promoted,"
    digest = reference.partition("@")[2]
    _require_same(evidence, f"{_field(proven)} served.candidate.image", served.image, digest, what)
    return f"image: {reference} was served"


def _is_of_supply(evidence: Evidence, digest: str) -> bool:
    """Whether the supply had an image of that digest; one that a person built, it had not."""
    sha256, kind = digest.removeprefix("sha256:"), statement.image("")
    return any(each.name.startswith(kind) and each.digest.sha256 == sha256 for each in evidence.statement.subject)


async def _golden(evidence: Evidence, promotion: Promotion) -> str:
    """Hold the questions that were asked against those of the commit that was tested."""
    proven, commit = _proven(evidence, promotion), evidence.statement.predicate.project.digest.git_commit
    snapshot = replace(promotion.snapshot, commit=commit)
    file = (await tree.project(snapshot)).paths.golden_file(proven.name)
    content = await snapshot.read(file)
    found = hashlib.sha256(content).hexdigest() if content is not None else None
    asked = proven.golden.digest.sha256 if proven.golden is not None else None
    if asked != found:
        raise evidence.refusal(
            f"{_field(proven)} golden.digest",
            f"the run had {asked or 'no questions'}, but {file} of {commit[:12]} is {found or 'not there'}",
            "Commit what is to be proven, then run `test`.",
        )
    if proven.golden is None:
        return "golden file: the application has none"
    if not proven.golden.passed:
        raise evidence.refusal(f"{_field(proven)} golden.passed", "the answers are not what the golden file asks for")
    if (now := await _asked_now(promotion)) not in (None, asked):
        raise evidence.refusal(
            f"{_field(proven)} golden.digest",
            f"the run had {asked}, and since then {file} became {now}, which is what this model is asked now",
            "Run `test` again, on a commit that has it.",
        )
    return f"golden file: sha256:{proven.golden.digest.sha256} passed"


async def _asked_now(promotion: Promotion) -> str | None:
    """Return the digest of the golden file as it is where the set moves; None where it is of another model by then."""
    snapshot, source = promotion.result or promotion.snapshot, promotion.source
    project = await tree.project(snapshot)
    asked = await snapshot.read(project.paths.golden_file(source.name))
    if asked is None:
        return None
    for environment in project.names:
        content = await snapshot.read(tree.file_of(project, environment, source.name))
        if content is not None:
            first = Application(project, environment, source.name, content)
            known = first.model != source.model and await earlier.confirmed(Earlier(environment), snapshot, source)
            return None if known else hashlib.sha256(asked).hexdigest()
    return None


async def _canary(evidence: Evidence, promotion: Promotion) -> str:
    """Ask for the way to the candidate and back where the promotion starts a canary, and there was one to come from."""
    proven = _proven(evidence, promotion)
    rules = "".join(f"; {rule}" for rule in proven.rules)
    alone = proven.served.champion is None
    if proven.canary is None and (alone or not proven.back):
        nothing_before = alone and any(rule.startswith((subjects.GONE, subjects.RED)) for rule in proven.rules)
        if not nothing_before and await _starts_one(promotion):
            raise evidence.refusal(
                f"{_field(proven)} canary",
                f"none was taken{rules}, and this would start one in {promotion.target.environment}",
                f"python ci/main.py test --app {proven.name}, from the set that runs there",
            )
        return f"canary: none{', for there was no champion' if alone else ''}{rules}"
    if proven.canary != HEALTHY:
        if proven.canary is None and proven.golden is None:
            said = "nobody asked the model anything while it moved: the application has no golden file"
            file = promotion.source.project.paths.golden_file(proven.name)
            raise evidence.refusal(
                f"{_field(proven)} canary", said, f"Write {file} (docs/behaviour.md), then run `test`."
            )
        said = f"it ended {proven.canary}" if proven.canary else "missing, although there was a champion"
        raise evidence.refusal(f"{_field(proven)} canary", said, "Run `test` again.")
    if not proven.back:
        raise evidence.refusal(f"{_field(proven)} back", "the champion's set was not put back", "Run `test` again.")
    return f"canary: {proven.canary}, and back again{rules}"


async def _starts_one(promotion: Promotion) -> bool:
    """Whether the promotion starts a canary: the application is there already, and its pods become others."""
    target, before = promotion.target, await _runs_now(promotion)
    if before is None:
        return False
    after = await promotion.rendered(target)
    place = f"{target.environment}/{target.name}"
    found = effects.effects(place, documents.parse(before, place), documents.parse(after, place))
    return any(each.outcome == "canary" for each in found)


async def _runs_now(promotion: Promotion) -> str | None:
    """Return the manifests that the target has where the set moves to; None where the application is new there."""
    snapshot, target = promotion.snapshot, promotion.target
    known = (await tree.project(snapshot)).names
    if target.environment not in known or target.name not in await tree.names(snapshot, target.environment):
        return None
    runs = await tree.load(snapshot, target.environment, target.name)
    return await render(snapshot, promotion.helm, runs, await tree.chart_commit(snapshot, runs))


async def _overlay(evidence: Evidence, promotion: Promotion) -> str:
    """Ask the project file, as it is where the set is promoted, what a cluster may change of the application."""
    proven = _proven(evidence, promotion)
    project, existing = await tree.project(promotion.snapshot), evidence.statement.predicate.cluster is not None
    allowed = project.cluster.allowed(proven.name) if existing else project.throwaway.allowed(proven.name)
    for line in proven.overlay:
        key = overlay.key_of(line)
        if key is None or key not in allowed:
            raise evidence.refusal(
                f"{_field(proven)} overlay {line}",
                f"{projects.FILE} does not allow it",
                f"Write {key} there, by a commit that is merged first, or run `test` without it." if key else None,
            )
    return f"changed for the cluster, as {projects.FILE} allows: {'; '.join(proven.overlay) or 'nothing'}"


async def require_manifests(evidence: Evidence, promotion: Promotion) -> str:
    """Render what was served and what will run, as Argo CD would, and compare.

    Returns:
        What was compared.

    Raises:
        EvidenceError: It is not what the statement says; the message names it.
    """
    source, target, proven = promotion.source, promotion.target, _proven(evidence, promotion)
    rendered = [(statement.manifests(proven.environment, proven.name), target)]
    if proven.environment == source.environment != target.environment:
        onward = statement.onward(source.environment, target.environment, target.name)
        rendered = [(rendered[0][0], source), (onward, target)]
    there = []
    for name, application in rendered:
        manifests = await promotion.rendered(application)
        there.append(manifests)
        found = statement.manifests_digest(manifests)
        what = f"{application.file}, rendered again,"
        _require_same(evidence, f"subject {name}", evidence.digest_of(name), found, what)
    if said := await _served_otherwise(promotion, there[0], there[-1]):
        way = f"python ci/main.py test --app {target.environment}/{target.name}"
        if await _runs_now(promotion) is None:
            way = f"write {target.file} in a pull request, whose `test` serves it so"
        raise evidence.refusal(f"{_field(proven)} served", said, f"Have the values of both say the same, or {way}")
    return f"manifests rendered again and compared: {', '.join(application.file for _, application in rendered)}"


async def _served_otherwise(promotion: Promotion, served: str, wanted: str) -> str:
    """Return in what the target's model server is another one than what was served; nothing where it is in nothing.

    How many, and with what resources, is an environment's own. So is what a server is given, where it runs so already.

    Args:
        promotion: The promotion.
        served: The manifests that the run served.
        wanted: The target's.
    """
    file, environment = promotion.target.file, promotion.target.environment
    was, would = (", ".join(servers.served_by(each, file)) or "none" for each in (served, wanted))
    if was != would:
        return f"the model server was {was}, and {file} would have {would}"
    given, wants = (servers.given(each, file) for each in (served, wanted))
    another = {key for key in {**given, **wants} if given.get(key) != wants.get(key)}
    by_tag = servers.by_tag(wanted, file)
    if (another or by_tag) and (now := await _runs_now(promotion)) is not None:
        runs = servers.given(now, file)
        another = {key for key in another if runs.get(key) != wants.get(key)}
        by_tag = dict(by_tag.items() - servers.by_tag(now, file).items())
    if another:
        names = ", ".join(sorted(another))
        return f"{file} would have {names} otherwise than what was served, and {environment} does not run so"
    tags = ", ".join(f"{image} among {place}" for place, image in sorted(by_tag.items()))
    return f"{file} would have {tags}: a tag can be moved, and {environment} does not run so" if tags else ""


def _proven(evidence: Evidence, promotion: Promotion) -> statement.Application:
    """Return what was proven of the application: with the source's values, else with the target's.

    Raises:
        EvidenceError: It was served with neither.
    """
    applications, name = evidence.statement.predicate.applications, promotion.source.name
    if not applications:
        raise evidence.refusal(
            "predicate.applications", "no application was proven in this run", f"python ci/main.py test --app {name}"
        )
    places = [(place.environment, place.name) for place in (promotion.source, promotion.target)]
    found = [each for place in places for each in applications if (each.environment, each.name) == place]
    if not found:
        raise evidence.refusal(
            f"predicate.applications {promotion.source.environment}/{name}",
            f"missing: it was not served in this run, with the values of {promotion.target.environment} neither",
            f"python ci/main.py test --app {name}",
        )
    return next((each for each in found if not _differing(each, promotion)), found[0])


def _differing(proven: statement.Application, promotion: Promotion) -> str | None:
    """Return the first key of a set that is another; the chart is compared by its content, not by its revision."""
    served, moving = dict(proven.served.candidate.release), statement.release(promotion.source.release)
    for release in (served, moving):
        release.pop(tree.dotted(tree.CHART[0]), None)
    return _difference(served, moving)


def _field(proven: statement.Application) -> str:
    return f"predicate.applications {proven.environment}/{proven.name}"


def _require_pinned(evidence: Evidence, promotion: Promotion, key: KeyPath) -> None:
    """Refuse a set that lacks a digest; `lint` has said so since the first environment."""
    source = promotion.source
    for each in tree.unpinned(source.release):
        if each.key == key:
            field = f"{_field(_proven(evidence, promotion))} served.candidate.release {tree.dotted(key)}"
            fix = f"{each.bump(source.project.names[0], source.name)}, and promote that"
            raise evidence.refusal(field, each.said, fix)


def _shown(file: Artefact) -> str:
    return f"{file.name} sha256:{file.digest.sha256}"


def _require_same(evidence: Evidence, field: str, recorded: str, found: str | None, what: str) -> None:
    if recorded != found:
        raise evidence.refusal(
            field, f"{recorded}, but {what} has {found or 'none'}", "Run `test` on what is to be promoted."
        )


def _difference(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """Return the first key that differs."""
    return next((key for key in sorted({*one, *other}) if one.get(key) != other.get(key)), None)
