"""What a cluster looked like when something failed: everything into files, the likely culprits into a few lines."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from ci.base import tasks
from ci.base.command import Result
from ci.cluster.kubectl import Kubectl

Object = dict[str, Any]

DEADLINE_SECONDS = 90.0
CALL_SECONDS = 20.0
PARALLEL_CALLS = 4
WITH_STATE = (
    "nodes",
    "pods",
    "deployments",
    "statefulsets",
    "apiservices",
    "rollouts.argoproj.io",
    "analysisruns.argoproj.io",
    "inferenceservices.serving.kserve.io",
    "prometheuses.monitoring.coreos.com",
)
"""Kinds whose state is looked at; what is not in order is described."""

STUCK = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
FINAL = {"ErrImageNeverPull", "InvalidImageName"}
"""Those that kubelet's next try does not change. A pull may go through then, and a Secret or ConfigMap be there."""
RESTARTS = 2
"""After as many a container has ended three times in a row; once or twice, it was early (for a proxy, a store)."""
KILLED = {137, 143}
"""Exit codes of what got SIGKILL or SIGTERM: kubelet's probes do that to a server that is slow to start."""
FAILED_PHASES = {"Degraded", "Error", "Failed", "Inconclusive"}


async def collect(kubectl: Kubectl, folder: Path) -> list[str]:
    """Write logs, events, descriptions and node state of a cluster into a folder.

    Whatever cannot be had is left out, and nothing here fails: the error that led here is the one to be seen.

    Args:
        kubectl: The cluster.
        folder: Where the files go; made if need be.

    Returns:
        The likely culprits, one short line each, the most telling first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limit = anyio.CapacityLimiter(PARALLEL_CALLS)

    async def call(*args: str) -> Result:
        async with limit:
            return await kubectl.run(*args, check=False, timeout=CALL_SECONDS)

    async def keep(name: str, *args: str) -> None:
        result = await call(*args)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.stdout + result.stderr)

    objects: dict[str, list[Object]] = {}

    async def load(kind: str) -> None:
        result = await call("get", kind, "--all-namespaces", "--output=json")
        objects[kind] = json.loads(result.stdout)["items"] if result.returncode == 0 else []

    version = await call("version", "--output=yaml")
    if version.returncode != 0:
        (folder / "api-server.txt").write_text(version.stdout + version.stderr)
        return [f"the API server does not answer: {_last_line(version.stderr)}"]
    logs: dict[tuple[str, str, str], str] = {}
    with anyio.move_on_after(DEADLINE_SECONDS):
        async with tasks.group() as group:
            for kind in (*WITH_STATE, "events"):
                group.start_soon(load, kind)
            group.start_soon(keep, "events.txt", "get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")
            group.start_soon(keep, "nodes.txt", "describe", "nodes")
            group.start_soon(keep, "overview.txt", "get", "all", "--all-namespaces", "--output=wide")

        async def last_words(namespace: str, pod: str, container: str) -> None:
            name = f"logs/{namespace}/{pod}/{container}.previous.log"
            await keep(name, *_run_before(namespace, pod, container))
            logs[namespace, pod, container] = _last_line((folder / name).read_text())

        async with tasks.group() as group:
            for kind in WITH_STATE:
                for entry in objects.get(kind, []):
                    if not in_order(entry):
                        metadata = entry["metadata"]
                        namespace = metadata.get("namespace", "")
                        where = (f"--namespace={namespace}",) if namespace else ()
                        path = "/".join(filter(None, ("describe", namespace, f"{kind}-{metadata['name']}.txt")))
                        group.start_soon(keep, path, "describe", kind, metadata["name"], *where)
            for pod in objects.get("pods", []):
                namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
                for status in container_statuses(pod):
                    container = status["name"]
                    path = f"logs/{namespace}/{name}/{container}.log"
                    if "waiting" not in status.get("state", {}) or status["restartCount"]:
                        group.start_soon(
                            keep, path, "logs", name, f"--namespace={namespace}", f"--container={container}"
                        )
                    if status["restartCount"]:
                        group.start_soon(last_words, namespace, name, container)
    return culprits(objects, logs)


def culprits(objects: dict[str, list[Object]], last_log_lines: dict[tuple[str, str, str], str]) -> list[str]:
    """Name what is likely to blame.

    Args:
        objects: Kind (plural) to its objects.
        last_log_lines: The last line of the run before, by namespace, pod and container.

    Returns:
        One short line each, without repetition, the most telling first.
    """
    lines: list[str] = []
    for node in objects.get("nodes", []):
        lines += [
            f"node {node['metadata']['name']} is not Ready: {condition.get('message', 'no reason given')}"
            for condition in _conditions(node)
            if condition["type"] == "Ready" and condition["status"] != "True"
        ]
    for pod in objects.get("pods", []):
        if not in_order(pod):
            lines += _pod_culprits(pod, last_log_lines)
    for event in objects.get("events", []):
        if "webhook" in event.get("message", "") and event.get("type") == "Warning":
            about = event["involvedObject"]
            lines.append(f"{about.get('kind')} {_named(about)}: {_shortened(event['message'])}")
    for kind in WITH_STATE:
        if kind not in ("nodes", "pods"):
            for entry in objects.get(kind, []):
                name = _named(entry["metadata"])
                told_by_pod = any(line.startswith(f"pod {name}-") for line in lines)
                if not in_order(entry) and not told_by_pod:
                    lines.append(f"{entry['kind']} {name}: {_shortened(state(entry))}")
    return list(dict.fromkeys(lines))


async def hopeless(kubectl: Kubectl, pods: Sequence[Object]) -> str | None:
    """Return why one of some pods never gets ready, in one line; None as long as waiting may help.

    Args:
        kubectl: On their cluster.
        pods: Of one revision.
    """
    for pod in pods:
        for status in container_statuses(pod):
            if is_final(status):
                where = pod["metadata"]["namespace"], pod["metadata"]["name"], status["name"]
                log = await kubectl.run(*_run_before(*where), "--tail=20", check=False, timeout=CALL_SECONDS)
                return _container_culprit(pod, status, _last_line(log.stdout))
    return None


def is_final(status: Object) -> bool:
    """Tell whether a container never gets ready.

    Args:
        status: Its status, as its pod has it.
    """
    reason = status.get("state", {}).get("waiting", {}).get("reason")
    ended = status.get("lastState", {}).get("terminated", {})
    by_itself = ended.get("reason") == "OOMKilled" or ended.get("exitCode") not in KILLED
    return reason in FINAL or (reason == "CrashLoopBackOff" and status["restartCount"] >= RESTARTS and by_itself)


def _run_before(namespace: str, pod: str, container: str) -> tuple[str, ...]:
    """Return the arguments that have kubectl print what a container said before it was started again."""
    return "logs", pod, f"--namespace={namespace}", f"--container={container}", "--previous"


def _pod_culprits(pod: Object, last_log_lines: dict[tuple[str, str, str], str]) -> Iterator[str]:
    metadata = pod["metadata"]
    name = _named(metadata)
    for condition in _conditions(pod):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"pod {name}: {condition.get('reason', 'not scheduled')}: {_shortened(condition.get('message', ''))}"
    for status in container_statuses(pod):
        words = last_log_lines.get((metadata["namespace"], metadata["name"], status["name"]), "")
        if line := _container_culprit(pod, status, words):
            yield line


def _container_culprit(pod: Object, status: Object, words: str) -> str | None:
    """Return what is wrong with a container, in one line; None where nothing is.

    Args:
        pod: Its pod.
        status: Its status.
        words: The last line of the run before.
    """
    waiting = status.get("state", {}).get("waiting", {})
    ended = status.get("lastState", {}).get("terminated") or status.get("state", {}).get("terminated") or {}
    where = f"pod {_named(pod['metadata'])}, container {status['name']}"
    count = status["restartCount"]
    restarted = f", restarted {count} time{'s' if count > 1 else ''}" if count else ""
    if waiting.get("reason") in STUCK:
        return f"{where}: {waiting['reason']}: {_shortened(waiting.get('message', ''))}"
    if ended.get("reason") == "OOMKilled":
        return f"{where}: OOMKilled{restarted}"
    if waiting.get("reason") == "CrashLoopBackOff" or ended.get("exitCode"):
        code = ended.get("exitCode", "unknown")
        return f"{where}: ended with exit code {code}{restarted}{f': {_shortened(words)}' if words else ''}"
    if "running" in status.get("state", {}) and not status.get("ready", True):
        return f"{where}: runs, but its readiness probe fails"
    return None


def in_order(entry: Object) -> bool:
    """Tell whether an object with a state is in the state it should be in."""
    status = entry.get("status", {})
    phase: str = status.get("phase", "")
    conditions = {condition["type"]: condition["status"] for condition in _conditions(entry)}
    match entry["kind"]:
        case "Pod":
            return phase == "Succeeded" or conditions.get("Ready") == "True"
        case "Deployment" | "StatefulSet":
            return int(status.get("readyReplicas", 0)) >= int(entry["spec"].get("replicas", 1))
        case "Rollout":
            return phase == "Healthy"
        case "AnalysisRun":
            return phase not in FAILED_PHASES
        case "APIService" | "Prometheus":
            return conditions.get("Available") == "True"
        case _:
            return conditions.get("Ready") == "True"


def state(entry: Object) -> str:
    """Return what an object says about itself, as one line."""
    status = entry.get("status", {})
    parts = [str(status[key]) for key in ("phase", "message") if status.get(key)]
    parts += [
        f"{condition['type']}={condition['status']} {condition.get('message', '')}".strip()
        for condition in _conditions(entry)
        if condition["status"] != "True"
    ]
    if "readyReplicas" in status or entry["kind"] in ("Deployment", "StatefulSet"):
        parts.insert(0, f"{status.get('readyReplicas', 0)} of {entry['spec'].get('replicas', 1)} replicas ready")
    return "; ".join(parts) or "no state yet"


def container_statuses(pod: Object) -> list[Object]:
    """Return the status of every container of a pod, init containers first."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _conditions(entry: Object) -> Sequence[Object]:
    conditions: Sequence[Object] = entry.get("status", {}).get("conditions") or ()
    return conditions


def _named(metadata: Object) -> str:
    return "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _shortened(text: str, length: int = 240) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
