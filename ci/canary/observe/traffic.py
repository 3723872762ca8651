"""A client in the mesh: only from there do the VirtualService's weights count."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from ci.base import command, tasks
from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.base.wait import NotYet, until
from ci.canary.observe.timeline import Answer, Routed
from ci.cluster import runs
from ci.cluster.kubectl import Kubectl
from ci.supply import pins

SCRIPT = Path(__file__).with_name("files") / "traffic_client.py"
POD = "traffic-client"
CONTAINER = "client"
IMAGE = "docker.io/library/python"
"""As in pins.toml: the client needs Python and nothing else."""
USER = 65532
"""Nobody in particular; the image's own user is root, which the mesh's namespaces need not allow."""
READY_SECONDS = 120
FIRST_SECONDS = 30
LAST_SECONDS = 30
"""For the requests under way when the traffic stops; each of them has ten seconds."""
LAST_WORDS_SECONDS = 10
"""For a client whose output has ended to end itself, its reason then being known."""
REPLAY_SECONDS = 600
ADMIN = "http://127.0.0.1:15000"
"""Admin interface of the pod's sidecar (Istio's mesh configuration, `proxyAdminPort`)."""
ROUTE = "primary"
"""The VirtualService's route whose weights Argo Rollouts sets."""
ROUTED_SECONDS = 20
"""istiod gathers changes for up to ten seconds (PILOT_DEBOUNCE_MAX) before it pushes them to the proxies."""


@dataclass(frozen=True)
class Question:
    """A request with its right answer, as the client asks it.

    Attributes:
        path: The URL's, with its query.
        body: The very text that is sent.
        at: Names and positions that lead to the answer in the response.
        expected: The right answer, whatever JSON.
        absolute: How far a number may be from the right one.
        relative: The same, as a share of the greater one.
        judged: Whether `expected` counts; where it does not, any answer is right.
    """

    path: str
    body: str
    at: Sequence[str | int]
    expected: Any
    absolute: float = 0.0
    relative: float = 0.0
    judged: bool = True


@dataclass(frozen=True)
class Request:
    """One request of the client and what came of it.

    Attributes:
        started: When it was sent, as `time.time()` of this machine tells it.
        seconds: How long the answer took.
        status: HTTP status; 0 where no answer came.
        served_by: Address of the pod that answered; empty where the answer names none.
        right: Whether the answer was the question's.
        reason: Why it failed.
    """

    started: float
    seconds: float
    status: int
    served_by: str
    right: bool
    reason: str


@dataclass(frozen=True)
class Reply:
    """The answer to one request.

    Attributes:
        status: HTTP status; 0 where no answer came.
        headers: Header names in lower case.
        body: The content, or why no answer came.
        seconds: How long it took.
    """

    status: int
    headers: Mapping[str, str]
    body: str
    seconds: float


class Traffic:
    """Requests at a steady rate, as they come back.

    Attributes:
        requests: Those that are over, in the order in which they ended.
        routed: The weights that the client's proxy took over, times as `time.time()` of this machine tells them.
        late: The most seconds that a request was sent behind its schedule; known at the end.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.routed: list[Routed] = []
        self.late: float | None = None

    def result(self, since: float = 0.0) -> list[Answer]:
        """Return what came, with times counted from `since`, for a canary's time line."""
        return [Answer(r.started - since, r.seconds, r.status, r.served_by) for r in self.requests]

    def weights(self, since: float) -> list[Routed]:
        """Return the weights that the client's proxy took over, with times counted from `since`."""
        return [replace(item, before=item.before - since, at=item.at - since) for item in self.routed]

    async def takes_over(self, stable: int, canary: int) -> Routed:
        """Wait until the client's proxy has these weights, as it says itself: the VirtualService has them earlier.

        Args:
            stable: Percent to the stable Service.
            canary: Percent to the canary Service.

        Returns:
            The weights, with the time from which it had them.

        Raises:
            WaitTimeoutError: It kept others.
        """

        async def probe() -> Routed:
            last = self.routed[-1] if self.routed else None
            if last is None or (last.stable, last.canary) != (stable, canary):
                raise NotYet(f"it has {last.stable} and {last.canary}" if last else "it has no route to the model")
            return last

        what = f"the client's proxy takes over the weights {stable} and {canary}"
        return await until(what, probe, timeout=ROUTED_SECONDS, interval=0.1)

    @property
    def failed(self) -> list[Request]:
        """Requests without a 2xx answer."""
        return [request for request in self.requests if not 200 <= request.status < 300]

    @property
    def wrong(self) -> list[Request]:
        """2xx answers that are not the question's."""
        return [request for request in self.requests if 200 <= request.status < 300 and not request.right]


async def install(kubectl: Kubectl, namespace: str) -> None:
    """Have the client's pod in a namespace, its proxy ready; where it is already, nothing changes.

    Raises:
        CheckFailedError: The namespace has no sidecar injection.
        WaitTimeoutError: The pod is not ready in time.
    """
    await kubectl.apply([_script(namespace)], validate=False)
    if await kubectl.get("pod", POD, namespace) is None:  # a second apply would take the sidecar's fields out again
        await kubectl.apply([_pod(namespace, pins.load().ref(IMAGE))], validate=False)

    async def ready() -> None:
        pod = await kubectl.get("pod", POD, namespace)
        if pod is None:
            raise NotYet("there is no pod")
        names = {c["name"] for c in pod["spec"]["containers"] + pod["spec"].get("initContainers", [])}
        if "istio-proxy" not in names:
            raise CheckFailedError(
                f"pod {POD} in {namespace} got no sidecar: it is not in the mesh",
                fix=f"kubectl label namespace {namespace} istio-injection=enabled",
            )
        conditions = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
        state = conditions.get("Ready", {"status": "Unknown"})
        if state["status"] != "True":
            raise NotYet(f"phase {pod.get('status', {}).get('phase')}: {state.get('message', '')}")

    await until(f"pod {POD} in {namespace} is ready", ready, timeout=READY_SECONDS)


async def ask(
    kubectl: Kubectl,
    namespace: str,
    url: str,
    body: Mapping[str, Any] | str | None = None,
    *,
    timeout: float = 10.0,
) -> Reply:
    """Send one request from inside the mesh: POST where there is a body, else GET.

    Args:
        kubectl: On the cluster.
        namespace: Where the client is installed.
        url: As a pod of that namespace calls it.
        body: An object, sent as JSON, or the very text.
        timeout: Seconds for the answer.
    """
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    request = {
        "method": "GET" if body is None else "POST",
        "url": url,
        "headers": {} if body is None else {"Content-Type": "application/json"},
        "body": text,
        "timeout": timeout,
    }
    result = await kubectl.run(*_exec(namespace, "ask"), stdin=json.dumps(request), timeout=timeout + LAST_SECONDS)
    answer = json.loads(result.stdout)
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return Reply(answer["status"], headers, answer["body"], answer["seconds"])


async def replay(
    kubectl: Kubectl, namespace: str, requests: Sequence[tuple[str, str]], *, timeout: float = 10.0
) -> list[Reply]:
    """Send requests from inside the mesh one after the other, on one kept connection to each host.

    Args:
        kubectl: On the cluster.
        namespace: Where the client is installed.
        requests: URL, as a pod of that namespace calls it, and body of each.
        timeout: Seconds for an answer.

    Returns:
        The answers in the same order, without their headers.

    Raises:
        CheckFailedError: The client ended before its time.
        WaitTimeoutError: Not all requests were over within ten minutes.
    """
    return await replayed(kubectl.argv(*_exec(namespace, "replay")), requests, timeout)


async def replayed(argv: list[str], requests: Sequence[tuple[str, str]], timeout: float) -> list[Reply]:
    """Run the client's `replay`, or what leads to it; arguments and result are those of `replay`."""
    process = await command.start(argv, env=runs.environment())
    assert process.stdin is not None and process.stdout is not None
    replies: list[Reply] = []
    said, heard = bytearray(), anyio.Event()
    try:
        with anyio.fail_after(REPLAY_SECONDS):
            async with tasks.group() as group:
                group.start_soon(_listen, process, said, heard)
                lines = BufferedByteReceiveStream(process.stdout)
                try:
                    await process.stdin.send(json.dumps({"requests": requests, "timeout": timeout}).encode() + b"\n")
                    while len(replies) < len(requests):
                        replies.append(Reply(headers={}, **json.loads(await lines.receive_until(b"\n", 1 << 20))))
                except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                    await _last_words(process, heard)
                    raise CheckFailedError(
                        f"the client ended after {len(replies)} of {len(requests)} answers",
                        detail=said.decode(errors="replace"),
                    ) from None
                await process.stdin.aclose()
                group.cancel_scope.cancel()
    except TimeoutError:
        last = said.decode(errors="replace").strip() or "no word from the client"
        raise WaitTimeoutError(f"answers to {len(requests)} requests", REPLAY_SECONDS, last) from None
    finally:
        await command.stop(process)
    return replies


@asynccontextmanager
async def traffic(
    kubectl: Kubectl, namespace: str, url: str, questions: Sequence[Question], rate: float = 40.0
) -> AsyncIterator[Traffic]:
    """Ask questions from inside the mesh for as long as the block runs.

    Args:
        kubectl: On the cluster.
        namespace: Where the client runs; it is installed if it is not there.
        url: Of the host, as a pod of that namespace calls it ("http://house-prices-predictor").
        questions: What it is asked, in turn; at least one.
        rate: Requests a second, whatever the answers take.

    Yields:
        What came so far; complete when the block is left.

    Raises:
        CheckFailedError: The client ended before its time, or not all of its results arrived.
        WaitTimeoutError: No request was over in time.
    """
    await install(kubectl, namespace)
    arguments = (f"--url={url}", f"--rate={rate:g}", f"--admin={ADMIN}")
    async with stream(kubectl.argv(*_exec(namespace, "load", *arguments)), questions) as seen:
        yield seen


@asynccontextmanager
async def stream(argv: list[str], questions: Sequence[Question]) -> AsyncIterator[Traffic]:
    """Run the client and take in what it writes, until the block is left; then it is told to stop.

    Args:
        argv: The client's `load`, or what leads to it.
        questions: What it asks.

    Yields:
        What came so far.
    """
    process = await command.start(argv, env=runs.environment())
    seen, said = Traffic(), bytearray()
    ended, heard = anyio.Event(), anyio.Event()
    try:
        async with tasks.group() as group:
            group.start_soon(_read, process, seen, said, ended, heard)
            group.start_soon(_listen, process, said, heard)
            group.start_soon(_tell, process, json.dumps([asdict(each) for each in questions]))

            async def first() -> None:
                if not seen.requests:
                    raise NotYet(said.decode(errors="replace").strip() or "nothing yet")

            await until("first request of the traffic", first, timeout=FIRST_SECONDS, interval=0.05)
            try:
                yield seen
            finally:
                with anyio.move_on_after(LAST_SECONDS, shield=True) as scope:
                    await _tell(process, "stop")
                    await ended.wait()
                    assert process.stdin is not None
                    await process.stdin.aclose()
            if scope.cancelled_caught:
                raise CheckFailedError(f"the traffic did not stop within {LAST_SECONDS} s", detail=said.decode())
            group.cancel_scope.cancel()
    finally:
        await command.stop(process)


async def _tell(process: anyio.abc.Process, line: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(anyio.BrokenResourceError):  # it has ended, and _read says so
        await process.stdin.send(line.encode() + b"\n")


async def _read(
    process: anyio.abc.Process, seen: Traffic, said: bytearray, ended: anyio.Event, heard: anyio.Event
) -> None:
    """Take in the client's lines until the last one, which tells how many there must have been."""
    assert process.stdout is not None
    lines = BufferedByteReceiveStream(process.stdout)
    ahead = 0.0
    try:
        while True:
            line = json.loads(await lines.receive_until(b"\n", 1 << 20))
            if "clock" in line:
                ahead = line["clock"] - time.time()  # an existing cluster's clock need not be this machine's
            elif "routes" in line:
                if (weights := _weights(line["routes"].get(ROUTE, {}))) is not None:
                    seen.routed.append(Routed(line["before"] - ahead, line["updated"] - ahead, *weights))
            elif "sent" in line:
                if line["sent"] != len(seen.requests):
                    raise CheckFailedError(f"{line['sent']} requests were sent, of {len(seen.requests)} came word")
                seen.late = line["late"]
                return
            else:
                address = line.pop("served_by").rpartition(":")[0].strip("[]")
                seen.requests.append(Request(**{**line, "started": line["started"] - ahead, "served_by": address}))
    except (anyio.EndOfStream, anyio.IncompleteRead):
        await _last_words(process, heard)
        raise CheckFailedError(
            f"the traffic's client ended after {len(seen.requests)} requests", detail=said.decode(errors="replace")
        ) from None
    finally:
        ended.set()


def _weights(clusters: Mapping[str, int]) -> tuple[int, int] | None:
    """Return the weights of the stable and the canary Service among clusters as Istio names them.

    A name is "outbound|PORT|SUBSET|HOST", as istio.io/istio/pilot/pkg/model's BuildSubsetKey writes it.
    """
    by_role = {name.rpartition("|")[2].partition(".")[0].rpartition("-")[2]: each for name, each in clusters.items()}
    if not by_role or not by_role.keys() <= {"stable", "canary"}:
        return None
    return by_role.get("stable", 0), by_role.get("canary", 0)


async def _last_words(process: anyio.abc.Process, heard: anyio.Event) -> None:
    """Let a client end whose output has ended, and let `_listen` come to the end of what it said of it."""
    with anyio.move_on_after(LAST_WORDS_SECONDS):
        await process.wait()
        await heard.wait()


async def _listen(process: anyio.abc.Process, said: bytearray, heard: anyio.Event) -> None:
    assert process.stderr is not None
    async for chunk in process.stderr:
        said.extend(chunk)
    heard.set()


def _exec(namespace: str, *arguments: str) -> list[str]:
    script = f"/opt/client/{SCRIPT.name}"
    return [
        "exec",
        "--stdin",
        f"--namespace={namespace}",
        f"--container={CONTAINER}",
        POD,
        "--",
        "python3",
        script,
        *arguments,
    ]


def _metadata(namespace: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": POD, "app.kubernetes.io/managed-by": "ml-serving-ci"}
    return {"name": POD, "namespace": namespace, "labels": labels}


def _script(namespace: str) -> dict[str, Any]:
    data = {SCRIPT.name: SCRIPT.read_text()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(namespace), "data": data}


def _pod(namespace: str, image: str) -> dict[str, Any]:
    metadata = _metadata(namespace)
    container = {
        "name": CONTAINER,
        "image": image,
        "command": ["python3", f"/opt/client/{SCRIPT.name}", "idle"],
        "resources": {"requests": {"cpu": "50m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "script", "mountPath": "/opt/client", "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "labels": {**metadata["labels"], "sidecar.istio.io/inject": "true"},
            "annotations": {"sidecar.istio.io/proxyCPU": "20m", "sidecar.istio.io/proxyMemory": "64Mi"},
        },
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "containers": [container],
            "volumes": [{"name": "script", "configMap": {"name": POD}}],
        },
    }
