"""Versions of a model side by side on the cluster, each by the real model server, and golden inputs through them."""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ci.base import paths, tasks
from ci.base.text import cut, one_line
from ci.base.wait import NotYet, until
from ci.behaviour import protocols
from ci.behaviour.compare import Answer
from ci.behaviour.golden import Golden, Input
from ci.behaviour.protocols import NoAnswerError
from ci.canary.observe import traffic
from ci.canary.observe.traffic import Question, Reply
from ci.cluster import readiness
from ci.cluster.helm import UNCHECKED, Helm
from ci.cluster.kubectl import Kubectl
from ci.manifests.chart import environment_values
from ci.manifests.values import BARE, merged

LEAST_ROUNDS, MOST_ROUNDS = 3, 10
"""How often each version is asked each input: one whose answers change from time to time is found by it."""
ANSWERS = 500
"""Of each version, for the latency, where so many come of no more rounds than that."""
WARM_UP_ROUNDS = 1
ANSWER_SECONDS = 60
SHOWN = 200
"""Characters of a response without an answer in the line that says so."""


async def serve(
    kubectl: Kubectl,
    helm: Helm,
    namespace: str,
    environment: str,
    versions: Mapping[str, str],
    secret: str,
    golden: Golden,
) -> dict[str, str]:
    """Serve versions of a model, each by a release of the chart that is a bare model server with one pod.

    Args:
        kubectl: On the cluster.
        helm: On the cluster.
        namespace: Where they go; it is in the mesh, and holds the secret.
        environment: Whose values are used, but for what `values` says.
        versions: Name of each, for its release and its InferenceService, and its storageUri.
        secret: The store's credentials.
        golden: What they will be asked.

    Returns:
        The URL that answers for each name, as a pod of the namespace calls it.

    Raises:
        WaitTimeoutError: A version did not get ready, or does not answer.
    """
    files = environment_values(paths.CHART, environment)

    async def release(name: str, uri: str) -> None:
        own = values(name, uri, secret)
        await helm.upgrade_install(name, paths.CHART, namespace, values_files=files, values=own, args=[UNCHECKED])
        await readiness.inference_service(kubectl, namespace, name)

    async with tasks.group() as group:
        group.start_soon(traffic.install, kubectl, namespace)
        for name, uri in versions.items():
            group.start_soon(release, name, uri)
    return {name: f"http://{name}-predictor-stable{golden.url_path(name)}" for name in versions}


def values(name: str, uri: str, secret: str) -> dict[str, Any]:
    """Return what differs from an environment's own values for a version of the sample."""
    version = {
        "name": name,
        "storageUri": uri,
        "storageSecret": secret,
        "resources": {"requests": {"memory": "192Mi"}},
    }
    return merged(BARE, {"exampleModel": version})


def rounds_of(inputs: int) -> int:
    """Return how often each version is asked each input.

    Args:
        inputs: Their number.
    """
    return max(LEAST_ROUNDS, min(MOST_ROUNDS, math.ceil(ANSWERS / inputs)))


async def ask(
    kubectl: Kubectl, namespace: str, golden: Golden, urls: Sequence[str], rounds: int | None = None
) -> list[list[list[Answer]]]:
    """Ask versions the golden inputs from inside the mesh, one request at a time, the versions in turn.

    Args:
        kubectl: On the cluster.
        namespace: Where `serve` put them.
        golden: The inputs.
        urls: The champion's and the candidate's, or that of one alone.
        rounds: How often each is asked each input, after a round that only warms up; as `rounds_of` has it by default.

    Returns:
        The answers of each version, each round's in the order of the inputs.

    Raises:
        CheckFailedError: The client in the mesh ended.
        WaitTimeoutError: A version does not answer, or not all answers came in time.
    """
    bodies = [json.dumps(golden.body(item)) for item in golden.inputs]
    for url in urls:
        await answering(kubectl, namespace, golden, url)
    order = schedule(len(bodies), WARM_UP_ROUNDS + (rounds or rounds_of(len(bodies))), len(urls))
    replies = await traffic.replay(kubectl, namespace, [(urls[version], bodies[item]) for version, item in order])
    return sorted_out(golden, order, replies)


async def answering(kubectl: Kubectl, namespace: str, golden: Golden, url: str) -> None:
    """Wait until a version answers one of the golden inputs, whichever: one that it never answers tells nothing.

    Raises:
        WaitTimeoutError: It answers none.
    """
    inputs = itertools.cycle(golden.inputs)

    async def answers() -> None:
        reply = await traffic.ask(kubectl, namespace, url, json.dumps(golden.body(next(inputs))))
        if not 200 <= reply.status < 300:
            raise NotYet(_failure(reply))

    await until(f"{url} answers", answers, timeout=ANSWER_SECONDS)


def questions(golden: Golden, model: str, inputs: Sequence[Input] | None = None) -> list[Question]:
    """Return golden inputs as the client in the mesh asks them again and again; it knows no schema.

    Args:
        golden: The file.
        model: Name of the model that is asked.
        inputs: Those of the file that are asked; all by default.
    """
    return [
        Question(
            path=golden.url_path(model),
            body=json.dumps(golden.body(item)),
            at=golden.keys,
            expected=item.expected,
            absolute=golden.tolerance.absolute,
            relative=golden.tolerance.relative,
            judged=item.judged,
        )
        for item in (golden.inputs if inputs is None else inputs)
    ]


def schedule(inputs: int, rounds: int, versions: int = 2) -> list[tuple[int, int]]:
    """Return whom to ask what: every input of every round of all versions in a row, each of them first in turn.

    So all see the same noise, and none always finds caches as another left them.

    Args:
        inputs: Their number.
        rounds: How often each is asked.
        versions: Their number.

    Returns:
        Version, from 0, and position of the input of each request.
    """
    order = []
    for turn in range(rounds):
        for item in range(inputs):
            order += [((turn + item + number) % versions, item) for number in range(versions)]
    return order


def sorted_out(golden: Golden, order: Sequence[tuple[int, int]], replies: Sequence[Reply]) -> list[list[list[Answer]]]:
    """Return the answers by version and round, those of the rounds to warm up left out.

    Args:
        golden: The inputs that were asked.
        order: As `schedule` gave it.
        replies: In that order.
    """
    inputs = len(golden.inputs)
    found: list[list[Answer]] = [[] for _ in {version for version, _ in order}]
    for (version, _), reply in zip(order, replies, strict=True):
        found[version].append(answer(golden, reply))
    return [
        [answers[start : start + inputs] for start in range(WARM_UP_ROUNDS * inputs, len(answers), inputs)]
        for answers in found
    ]


def answer(golden: Golden, reply: Reply) -> Answer:
    """Read the reply to one input; where it holds no answer, say why."""
    if not 200 <= reply.status < 300:
        return Answer(None, reply.seconds, _failure(reply))
    try:
        return Answer(protocols.read(golden.asked, golden.keys, reply.body), reply.seconds)
    except NoAnswerError as error:
        return Answer(None, reply.seconds, str(error))


def _failure(reply: Reply) -> str:
    return f"{reply.status or 'no answer'}: {cut(one_line(reply.body), SHOWN)}"
