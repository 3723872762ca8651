"""Stage `models`: models and images of the user's own applications, got by digest before there is a cluster."""

import hashlib
import math
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from ci import sample
from ci.applications import deployable, deployment, given, subjects
from ci.applications.deployable import Machine
from ci.applications.deployment import Deployment, UndeployableError
from ci.applications.given import Given
from ci.applications.prepared import Prepared
from ci.applications.subjects import Subject, Version
from ci.base import paths
from ci.base.errors import CheckFailedError, GoneError, UnnamedError, UsageError
from ci.base.progress import note, step
from ci.behaviour import golden
from ci.cluster import model_store
from ci.diff import canary as effects
from ci.host import limits
from ci.manifests import places, runtimes
from ci.manifests.documents import Document
from ci.results import OUTCOMES, Proof
from ci.stages.run import Run
from ci.supply.supply import Supply
from ci.tree import tree
from ci.tree.dependencies import NotBuiltError
from ci.tree.git import Snapshot
from ci.tree.tree import Application

UNDEPLOYABLE = "the set before cannot be deployed, so there is no canary from it"


async def execute(run: Run) -> None:
    """Get models and images of everything that is to be proven, and refuse what this machine cannot hold, at once."""
    scope, options = run.scope, run.options
    found = await subjects.of(scope.change, scope.head, scope.base, options.application) if scope is not None else []
    if options.models is not None:
        given.require_model(options.models, found)
    images = await given.images(options.images, found, run.supply)
    if scope is None or not found:
        none = "no git repository: applications are proven of commits only"
        note("no application is in the change" if scope is not None else none)
        return
    here = Given(await _mirrors(run), options.models, images)
    there = await _runtimes(run.supply) if run.existing is None else None
    for subject in found:
        with step(f"{subject.name}: model and image"):
            run.applications.append(await _prepared(run, scope.head, subject, here, there))


async def _prepared(
    run: Run, head: Snapshot, subject: Subject, here: Given, there: Sequence[Document] | None
) -> Prepared:
    supply, helm = run.supply, run.supply.tool("helm")

    async def got(version: Version, given: Given) -> Deployment:
        work = Path(run.cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ml-serving-ci-")))
        return await deployment.prepared(head.repository, helm, version, supply, given, work, run.existing)

    application = subject.candidate.application
    candidate = await got(subject.candidate, here)
    objects = await deployment.rendered(candidate, helm)
    # what a machine does not tell refuses nothing; kubelet counts all CPUs, whatever this process may run on
    machine = Machine(limits.memory_total() or math.inf, os.cpu_count() or math.inf)
    if lacks := list(deployable.objections(objects, machine if run.existing is None else None)):
        way_out = deployable.ON_EXISTING
        if run.existing is None:
            way_out = lacks[0].way_out(application.name, candidate.effective)
        place = _at(application, lacks[0].path(application.values) or ())
        raise UsageError(f"{place}: {lacks[0].said}", fix=way_out, detail="\n".join(each.said for each in lacks))
    for who, fault in deployable.without_runtime(objects, there) if there is not None else ():
        place = _at(application, ("exampleModel", fault.key))
        raise UsageError(f"{place}: {who}: {fault.said}", fix=f"exampleModel.{fault.key}: {fault.remedy}")
    if run.existing is None:
        await deployment.bring(objects, application, supply)
    champion, no_canary = await _champion(run, subject, got, objects, here)
    rules = [*subject.rules, *([no_canary] if no_canary else []), *_told(subject.name, here, champion, candidate)]
    file = application.project.paths.golden_file(application.name)
    content = await head.read(file)  # as git has it, which the evidence is held against
    questions = golden.of_bytes(content, file) if content is not None else None
    if questions is None:
        rules.append(f"there are no golden inputs: no {file}")
    elif subject.earlier:
        rules.append(f"{file} {subject.earlier.said}: no accuracy is asked of this one")
    proof = Proof(
        application.environment,
        application.name,
        candidate.served,
        champion.served if champion else None,
        rules,
        hashlib.sha256(content).hexdigest() if content is not None else "",
        overlay=list(candidate.overlay),
        starts_canary=not no_canary,
    )
    return Prepared(subject, candidate, champion, questions, proof)


def _at(application: Application, path: places.Path) -> str:
    """Return the application's file, with the line of a value where it has that."""
    line = places.values_line(application.content.decode(), ("values", *path)) if path else 0
    return f"{application.file}:{line}" if line else application.file


async def _champion(
    run: Run,
    subject: Subject,
    got: Callable[[Version, Given], Awaitable[Deployment]],
    objects: Sequence[Document],
    here: Given,
) -> tuple[Deployment | None, str]:
    """Return what the candidate is held against, and why no canary is taken from it, in a sentence.

    Where a change starts none, the champion is asked all the same: its answers may change with the pods.

    Args:
        run: This run.
        subject: The application.
        got: Gets all that a set needs.
        objects: The candidate, rendered.
        here: What is here.

    Returns:
        The champion; None where it cannot be had. The sentence; empty where a canary is taken, or none can be.

    Raises:
        CIError: It cannot be had now: that a store does not answer, or not to this user, is no reason to prove less.
    """
    if subject.champion is None:
        return None, ""
    try:
        champion = await got(subject.champion, await here.of_champion(subject.champion.application))
    except (GoneError, UnnamedError) as error:
        return None, f"{subjects.GONE}: {error.message}"
    except (NotBuiltError, UndeployableError) as error:
        return None, f"{UNDEPLOYABLE}: {error.message}"
    try:
        before = await deployment.rendered(champion, run.supply.tool("helm"))
        if run.existing is None:
            await deployment.bring(before, subject.champion.application, run.supply)
    except (GoneError, UnnamedError) as error:
        return None, f"{subjects.GONE}: {error.message}"
    except CheckFailedError as error:
        return None, f"{UNDEPLOYABLE}: {error.message}"
    outcomes = [
        each.outcome for each in run.report.effects if each.place == subject.name
    ]  # lint's control plane saw it
    outcomes = outcomes or [each.outcome for each in effects.effects(subject.name, before, objects)]
    if "canary" not in outcomes:
        return champion, f"the change {OUTCOMES[outcomes[0] if outcomes else 'none']}"
    return champion, ""


def _told(name: str, here: Given, champion: Deployment | None, candidate: Deployment) -> Iterator[str]:
    """Say where models came from, and yield what of the candidate is not as its file has it, a sentence each."""
    for each in (champion, candidate):
        if each is not None and each.model is not None:
            note(f"{name}: model {each.version} from {each.model.source} has {each.model.digest}")
    release = candidate.application.release
    if candidate.model is not None and not release[tree.MODEL_DIGEST]:
        yield f"it names no digest of its model: {candidate.model.digest} was there, and may be another tomorrow"
    if candidate.model is not None and candidate.model.unasked:  # where it will run, it is asked
        yield candidate.model.unasked
    if here.image(candidate.application) is not None:
        repository, tag, _ = (release[key] for key in tree.IMAGE)
        yield f"its image is {repository}:{tag} as it was built here, which no registry has under that digest"
    before = champion.application if champion is not None else None
    if before is not None and not before.release[tree.IMAGE[2]] and here.image(before) is not None:
        repository, tag, _ = (before.release[key] for key in tree.IMAGE)
        yield f"the set before names no digest of its image: {repository}:{tag} as it was built here stands for it"


async def _runtimes(supply: Supply) -> list[Document]:
    return await runtimes.kserves(supply.tool("helm"), supply.module("kserve"))


async def _mirrors(run: Run) -> dict[str, Path]:
    """Return the project's mirrors; the cluster's own store, which has the sample's models, is one for the sample."""
    found = run.project.models.folders(run.options.project)
    if run.options.project == paths.ROOT and sample.is_there():
        found.setdefault(f"s3://{model_store.BUCKET}/", await sample.trained(run.supply))
    return found
