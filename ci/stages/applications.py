"""Stage `applications`: the user's own applications, from champion to candidate, and back."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from ci.applications import served, subjects
from ci.applications.deployment import Deployment
from ci.applications.prepared import Prepared
from ci.base import tasks
from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.base.progress import note, step, warning
from ci.behaviour import compare, serve
from ci.canary import declared
from ci.canary.observe import rollout as canary
from ci.canary.observe import traffic
from ci.cluster import model_store, readiness
from ci.cluster.helm import UNCHECKED
from ci.manifests.values import merged
from ci.results import CanaryTimeline
from ci.stages import install, namespaces, order, suite
from ci.stages.run import STORAGE_SECRET, Run

QUIET_SECONDS = 2.0
"""Of traffic after a canary, whose set alone is seen answering; before it, pods take as long to come up."""


async def execute(run: Run) -> None:
    """Prove one application after the other."""
    for prepared in run.applications:
        prepared.proof.reached = False
        run.report.applications.append(prepared.proof)
    for number, prepared in enumerate(run.applications, 1):
        prepared.proof.reached = True
        started = time.monotonic()
        await _prove(run, prepared, number)
        prepared.proof.seconds = time.monotonic() - started


async def _prove(run: Run, prepared: Prepared, number: int, again: str = "") -> None:
    """Prove one application.

    Args:
        run: This run.
        prepared: The application.
        number: Which of the run's it is.
        again: Tells the namespaces of a second attempt, without a champion, from those of the first.
    """
    name, proof = prepared.subject.name, prepared.proof
    for sentence in (*proof.rules, *proof.overlay):
        note(f"{name}: {sentence}")
    # short: KServe makes one word of a host name of model, namespace and more, at most 63 long
    place, beside = (
        f"app-{number}{suffix}" + (f"-{run.id}" if run.options.kubeconfig else "") for suffix in (again, f"{again}b")
    )
    served = [(each, at) for each, at in ((prepared.installed, place), (prepared.bare, beside)) if each is not None]
    served.sort(key=lambda each: each[0] is prepared.candidate)  # as they are compared
    async with tasks.group() as group:
        group.start_soon(_stored, run, name, [each for each, _ in served])
        for _, namespace in served:
            group.start_soon(install.prepare, run, namespace)
    with step(f"{name}: install {prepared.installed.version}"):
        red = await _installed(run, prepared, place, beside)
    questions: list[traffic.Question] = []
    if not red:
        for each, at in served:
            await _require_the_set(run, each, at)
        urls = [_url(each.application.name, at) for each, at in served]
        red, questions = await _golden(run, prepared, place, urls)
    if red:  # the change may be what mends it
        for namespace in (place, beside):
            await namespaces.delete(run, namespace, wait=False)
        await _prove(run, prepared.alone(f"{subjects.RED}: {red}"), number, "r")
        return
    if prepared.bare is not None:
        await namespaces.delete(run, beside, wait=False)
    if prepared.installed is prepared.candidate:
        await _built(run, prepared.candidate, place)
        await _tested(run, prepared, place)
        await namespaces.delete(run, place, wait=False)
        return
    champion = prepared.installed
    with step(f"{name}: canary to {prepared.candidate.version}"):
        proof.canary = await _moved(run, prepared, prepared.candidate, place, questions)
    async with tasks.group() as group:  # the pods of the set before are kept for a while
        group.start_soon(readiness.one_revision, run.kubectl, place, champion.application.name)
        await _tested(run, prepared, place)
    await _require_the_set(run, prepared.candidate, place)
    await _built(run, prepared.candidate, place)
    with step(f"{name}: back to {champion.version}"):
        await _moved(run, prepared, champion, place, questions)
        proof.back = True
    await namespaces.delete(run, place, wait=False)


async def _stored(run: Run, name: str, deployments: Sequence[Deployment]) -> None:
    with step(f"{name}: models into the cluster's store"):
        for each in deployments:
            if each.model is not None:
                digest = each.model.digest.partition(":")[2]
                await model_store.add(run.kubectl, each.application.name, digest, each.model.folder)


async def _installed(run: Run, prepared: Prepared, place: str, beside: str) -> str:
    """Install what a canary would start from, and beside it what is only asked.

    Returns:
        Why the champion does not come up; nothing where it does.

    Raises:
        CheckFailedError: The candidate does not.
    """
    red: list[str] = []

    async def up(each: Deployment, serve: Callable[[Run, Deployment, str], Awaitable[None]], at: str) -> None:
        try:
            await serve(run, each, at)
        except CheckFailedError as error:
            if each is prepared.candidate:
                raise
            red.append(error.message)

    async with tasks.group() as group:
        group.start_soon(traffic.install, run.kubectl, place)
        if prepared.bare is not None:
            group.start_soon(up, prepared.bare, _beside, beside)
        await up(prepared.installed, _in_full, place)
    return red[0] if red else ""


async def _require_the_set(run: Run, each: Deployment, place: str) -> None:
    """Believe no file: look at what the pods are that answer.

    Raises:
        CheckFailedError: They are not of the set.
    """
    pods = await _pods(run, each, place)
    wrong = list(served.objections(pods, each.values["exampleModel"]["image"], each.uri))
    if wrong or not pods:
        raise CheckFailedError(
            f"{each.application.file}: its chart does not serve the set: {wrong[0] if wrong else 'no pod is there'}",
            fix="exampleModel.image and exampleModel.storageUri are to be what a chart serves, and nothing else",
            detail="\n".join(wrong),
        )


async def _pods(run: Run, each: Deployment, place: str) -> list[dict[str, Any]]:
    """Return an application's pods, but for those that are going."""
    pods = await readiness.pods(run.kubectl, place, each.application.name)
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


async def _built(run: Run, each: Deployment, place: str) -> None:
    """Prove nothing by an image that was built here where an existing cluster has another by that name."""
    if run.existing is None or not each.served.built:
        return
    if found := served.others(await _pods(run, each, place), each.served.image):
        run.report.unproven = (
            f"{each.values['exampleModel']['image']} was built here, and the cluster serves {found[0]}"
        )
        warning("no evidence will be written", run.report.unproven)


async def _in_full(run: Run, each: Deployment, place: str) -> None:
    """Have a set as its environment has it."""
    await _deploy(run, each, place)
    await _ready(run, each.application.name, place)


async def _beside(run: Run, each: Deployment, place: str) -> None:
    """Have a set as a bare model server, to be asked beside the other one."""
    await _deploy(run, each, place, bare=True)
    await readiness.inference_service(run.kubectl, place, each.application.name)


async def _deploy(run: Run, each: Deployment, place: str, *, bare: bool = False) -> None:
    await run.helm.upgrade_install(
        each.application.name,
        each.chart,
        place,
        values_files=each.files,
        values=merged(each.bare if bare else each.values, {"exampleModel": {"storageSecret": STORAGE_SECRET}}),
        args=[UNCHECKED],
    )


async def _ready(run: Run, name: str, place: str) -> None:
    await readiness.inference_service(run.kubectl, place, name)
    if await run.kubectl.get("rollouts.argoproj.io", f"{name}-predictor", place) is not None:
        await readiness.rollout(run.kubectl, place, f"{name}-predictor")


async def _golden(run: Run, prepared: Prepared, place: str, urls: list[str]) -> tuple[str, list[traffic.Question]]:
    """Ask the golden inputs of both sets, or of the candidate alone, and hold the candidate to the file's gates.

    Returns:
        Why the champion does not serve, nothing where it does or there is none; and what a canary from it is asked.

    Raises:
        CheckFailedError: The candidate does not serve, or is below a gate.
    """
    inputs = prepared.asked
    if inputs is None:
        return "", []
    name = prepared.subject.candidate.application.name
    asked = [f"{url}{inputs.url_path(name)}" for url in urls]
    labels = [(prepared.champion or prepared.candidate).version, prepared.candidate.version]
    with step(
        f"{prepared.subject.name}: {len(inputs.inputs)} golden inputs, {serve.rounds_of(len(inputs.inputs))} times"
    ):
        if prepared.champion is not None:
            try:
                await serve.answering(run.kubectl, place, inputs, asked[0])
            except WaitTimeoutError as error:
                return error.message, []
        answers = await serve.ask(run.kubectl, place, inputs, asked)
    behaviour = compare.compare(inputs, labels, answers[0], answers[-1])  # one alone, against itself
    answered = compare.answered(inputs, answers[0])
    without = len(inputs.inputs) - len(answered)
    if without and prepared.champion is not None:
        if not answered:
            return f"it answers no golden input each time: {behaviour.champion_failure}", []
        sentence = (
            f"the set before did not answer {without} of {len(inputs.inputs)} golden inputs each time "
            f"({behaviour.champion_failure}): they are compared with nothing, and asked of no canary"
        )
        note(f"{prepared.subject.name}: {sentence}")
        prepared.proof.rules.append(sentence)
    prepared.proof.behaviour = behaviour
    compare.require(behaviour)
    return "", serve.questions(inputs, name, answered)


async def _tested(run: Run, prepared: Prepared, place: str) -> None:
    """Run the suite on the candidate, as it is installed."""
    application = prepared.candidate.application
    with step(f"{prepared.subject.name}: tests of {prepared.candidate.version}"):
        try:
            await suite.application(run, application, place)
        finally:
            ours = order.suite_of(application.environment, application.name)
            prepared.proof.suite = next((each for each in run.report.suites if each.stage == ours), None)


async def _moved(
    run: Run, prepared: Prepared, to: Deployment, place: str, questions: Sequence[traffic.Question]
) -> CanaryTimeline | None:
    """Take the release to another set by its own steps, under traffic, and lose no request.

    Args:
        run: This run.
        prepared: The application.
        to: The set.
        place: The release's namespace.
        questions: What the traffic asks: golden inputs that the champion answers.

    Returns:
        What was seen of the canary; None where there are no golden inputs to make traffic of.

    Raises:
        CheckFailedError: It was stopped, or a request failed.
    """
    name, where = to.application.name, prepared.subject.name
    if not questions:
        await _deploy(run, to, place)
        await _ready(run, name, place)
        return None
    rate = declared.load(run.options.project, run.project.paths.tree).requests(where)
    async with canary.observe(run.kubectl.cluster, place, name) as seen:
        async with traffic.traffic(run.kubectl, place, f"http://{name}-predictor", questions, rate) as load:
            seen.upgrading()
            await _deploy(run, to, place)
            await seen.canary()
            outcome = await seen.finished()
            await anyio.sleep(QUIET_SECONDS)
        timeline = seen.timeline(f"{where} to {to.version}", load.result(seen.began_at), load.weights(seen.began_at))
    run.report.canaries.append(timeline)
    if outcome != "Healthy":
        if to is prepared.candidate:
            prepared.proof.canary = timeline
        message = seen.rollout.get("status", {}).get("message", "")
        raise CheckFailedError(
            f"{where}: the canary to {to.version} was stopped: {message}",
            fix="the report has what its analysis measured",
        )
    if load.failed:
        first = load.failed[0]
        raise CheckFailedError(
            f"{where}: {len(load.failed)} of {len(load.requests)} requests failed while it moved to {to.version}, "
            f"the first with status {first.status}"
        )
    return timeline


def _url(name: str, place: str) -> str:
    return f"http://{name}-predictor-stable.{place}"
