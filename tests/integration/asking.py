"""Requests to a model, the same through the mesh and by port-forward."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import requests

from ci.canary.observe import traffic
from ci.canary.observe.files import traffic_client
from ci.canary.observe.traffic import Question, Reply
from ci.cluster.kubectl import Kubectl
from ci.results import Example

ANSWER_SECONDS = 10
HOST, GATEWAY = "second.example.com", "ingress/models"
"""By which callers outside the mesh ask for the second release, and the Istio Gateway that they come through."""
FLOWERS = (
    ([5.1, 3.5, 1.4, 0.2], 0),
    ([5.9, 3.0, 4.2, 1.5], 1),
    ([6.7, 3.3, 5.7, 2.5], 2),
)
"""That every good version of the sample's model names right: the centre of each species."""
LONGEST_EXAMPLE = 2000

Ask = Callable[..., Awaitable[Reply]]
"""Takes a path and a body; POST where there is a body, else GET."""


def questions(path: str) -> list[Question]:
    """What steady traffic asks a release's model, whose path this is."""
    return [
        Question(path, json.dumps({"instances": [flower]}), ["predictions", 0], species) for flower, species in FLOWERS
    ]


def wrong(question: Question, answer: Any) -> list[Any]:
    """Where an answer differs from a question's right one."""
    return list(traffic_client.differences(question.expected, answer, question.absolute, question.relative))


def from_the_mesh(kubectl: Kubectl, namespace: str, host: str) -> Ask:
    """Ask as a pod of the namespace does."""

    async def ask(path: str, body: str | None = None) -> Reply:
        return await traffic.ask(kubectl, namespace, f"http://{host}{path}", body, timeout=ANSWER_SECONDS)

    return ask


def from_here(url: str) -> Ask:
    """Ask from this machine."""

    def send(path: str, body: str | None) -> Reply:
        answer = requests.request(
            "GET" if body is None else "POST",
            url + path,
            data=body,
            headers={} if body is None else {"Content-Type": "application/json"},
            timeout=ANSWER_SECONDS,
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, answer.text, answer.elapsed.total_seconds())

    async def ask(path: str, body: str | None = None) -> Reply:
        return await anyio.to_thread.run_sync(send, path, body)

    return ask


def recorded(ask: Ask, via: str, name: str, examples: list[Example]) -> Ask:
    """Ask, and keep what was asked and what was answered."""

    async def both(path: str, body: str | None = None) -> Reply:
        reply = await ask(path, body)
        method, sent, answer = "GET" if body is None else "POST", body or "", reply.body[:LONGEST_EXAMPLE]
        examples.append(Example(name, via, method, path, sent, reply.status, answer, reply.seconds))
        return reply

    return both
