"""One canary, watched from outside: its VirtualService's weights, its Rollout, its pods, and a client in the mesh."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from ci.base import duration, tasks
from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.canary.observe import timeline
from ci.canary.observe.timeline import Answer, Routed
from ci.cluster.cluster import Cluster
from ci.results import CanaryTimeline, WeightChange

BEGIN_SECONDS = 60
"""For KServe to bring a new storageUri into its Deployment, and for Argo Rollouts to see it."""

STEP_SECONDS = 120
"""For a step's pods to start and its weight to be set, the step's declared pause aside."""

WEIGHT_SECONDS = 20
"""For Argo Rollouts to write weights that need no pod to start."""


class Observation:
    """What has been seen of one Rollout since the observation began.

    Attributes:
        rollout: The Rollout as it was seen last.
        weights: Each change of the VirtualService's weights.
        written: When the API server took each of them, which says how long each was declared however late it was seen.
        revisions: Pod address to pod-template hash, of every pod seen.
        stable: Pod-template hash that was stable when the observation began.
        began_at: When that was, as `time.time()` tells it.
    """

    def __init__(self, rollout: Mapping[str, Any]) -> None:
        status = rollout.get("status", {})
        name = rollout["metadata"]["name"]
        self.stable: str = status.get("stableRS", "")
        phase, current = status.get("phase", "new"), status.get("currentPodHash", "")
        if phase != "Healthy" and self.stable in ("", current):
            # Argo Rollouts calls the first revision stable soon after it knows its hash, and takes no step for it.
            raise CheckFailedError(
                f"Rollout {name} is {phase} with a single revision: its first deploy is no canary",
                fix=f"wait for it: kubectl argo rollouts status {name} -n {rollout['metadata']['namespace']}",
            )
        if phase != "Healthy" or self.stable != current:
            raise CheckFailedError(
                f"Rollout {name} is {phase} at revision {current} while {self.stable} is stable: what follows could "
                "not be told from what is under way",
                fix=f"kubectl argo rollouts get rollout {name} -n {rollout['metadata']['namespace']}",
            )
        self.rollout = rollout
        self.weights: list[WeightChange] = []
        self.written: list[datetime] = []
        self.revisions: dict[str, str] = {}
        self.began_at = time.time()
        self._upgraded_at = 0.0
        self._promoted_at: float | None = None
        self._finished_at: float | None = None
        self._canary = ""

    @property
    def declared_pause_seconds(self) -> float:
        """Sum of the timed pauses in the Rollout's own steps."""
        return pause_seconds(self.rollout)

    def saw_rollout(self, rollout: Mapping[str, Any]) -> None:
        """Take in the Rollout as it is now."""
        self.rollout = rollout
        status = rollout.get("status", {})
        current = status.get("currentPodHash", "")
        if current and current != self.stable and not self._canary:
            self._canary = current
        if status.get("stableRS") != self.stable and self._promoted_at is None:
            self._promoted_at = self._now()

    def saw_virtual_service(self, virtual_service: Mapping[str, Any]) -> None:
        """Take in the VirtualService as it is now."""
        stable, canary = weights_of(virtual_service)
        if not self.weights or (self.weights[-1].stable, self.weights[-1].canary) != (stable, canary):
            self.weights.append(WeightChange(self._now(), stable, canary))
            self.written.append(_written(virtual_service))

    def saw_pod(self, pod: Mapping[str, Any]) -> None:
        """Take in a pod as it is now; one that is gone keeps its revision, for the answers it gave."""
        address = pod.get("status", {}).get("podIP")
        revision = pod["metadata"].get("labels", {}).get("rollouts-pod-template-hash")
        if not address or not revision:
            return
        if self.revisions.setdefault(address, revision) != revision:
            raise CheckFailedError(
                f"address {address} went from revision {self.revisions[address]} to {revision} while it was watched: "
                "its answers can be attributed to neither",
                fix="run the canary again",
            )

    def upgrading(self) -> None:
        """Mark the moment from which the canary's seconds are counted."""
        self._upgraded_at = self._now()

    async def canary(self) -> str:
        """Wait for a new revision.

        Returns:
            Its pod-template hash.

        Raises:
            WaitTimeoutError: The pod template did not change.
        """

        async def probe() -> str:
            if not self._canary:
                raise NotYet(self._state())
            return self._canary

        return await until("a new revision of the Rollout", probe, timeout=BEGIN_SECONDS, interval=0.1)

    async def reached(self, weight: int) -> None:
        """Wait for a weight of the canary that it holds in an untimed pause.

        Args:
            weight: Percent of the requests.

        Raises:
            WaitTimeoutError: It was not reached.
        """

        async def probe() -> None:
            status = self.rollout.get("status", {})
            if not self.weights or self.weights[-1].canary != weight or status.get("phase") != "Paused":
                raise NotYet(self._state())

        await until(f"canary paused at {weight} %", probe, timeout=STEP_SECONDS, interval=0.1)

    async def held(self, stable: int, canary: int) -> None:
        """Wait until the VirtualService has these weights.

        Args:
            stable: Percent to the stable Service.
            canary: Percent to the canary Service.

        Raises:
            WaitTimeoutError: It got others.
        """

        async def probe() -> None:
            if (self.weights[-1].stable, self.weights[-1].canary) != (stable, canary):
                raise NotYet(self._state())

        await until(f"weights {stable} and {canary}", probe, timeout=WEIGHT_SECONDS, interval=0.1)

    async def finished(self) -> str:
        """Wait for the end of the canary, good or bad.

        Returns:
            "Healthy" when the new revision has become stable, "Degraded" when the canary was aborted.

        Raises:
            WaitTimeoutError: Neither came within the declared pauses and a fair time for each step.
        """

        async def probe() -> str:
            status = self.rollout.get("status", {})
            phase = str(status.get("phase"))
            promoted = phase == "Healthy" and self._canary == status.get("stableRS") == status.get("currentPodHash")
            aborted = phase == "Degraded" and bool(status.get("abort"))
            if not self._canary or not (promoted or aborted):
                raise NotYet(self._state())
            return phase

        phase = await until("end of the canary", probe, timeout=limit_seconds(self.rollout), interval=0.1)
        self._finished_at = self._now()
        return phase

    async def recovered(self) -> None:
        """Wait until the stable revision is all there is again, after an abort.

        Raises:
            WaitTimeoutError: The Rollout did not come back to it.
        """

        async def probe() -> None:
            status = self.rollout.get("status", {})
            back = self.stable == status.get("stableRS") == status.get("currentPodHash")
            if status.get("phase") != "Healthy" or not back:
                raise NotYet(self._state())

        await until(f"Rollout back at {self.stable}", probe, timeout=STEP_SECONDS, interval=0.1)

    def timeline(self, name: str, answers: Iterable[Answer], routed: Sequence[Routed]) -> CanaryTimeline:
        """Return what can be said about the canary.

        Args:
            name: What was rolled out.
            answers: What the client got, its times counted from the beginning of this observation.
            routed: The weights that the client's proxy took over, its times counted likewise.

        Returns:
            The time line.

        Raises:
            CheckFailedError: There was no canary or it has not ended, or an answer came from an unknown pod.
        """
        if not self._canary or self._finished_at is None:
            raise CheckFailedError(f"{name}: no whole canary was seen: {self._state()}")
        got = list(answers)
        # Once the canary is stable, both Services lead to it and the weights tell no revisions apart.
        ended = self._promoted_at if self._promoted_at is not None else self._now()
        seconds = timeline.bucket_seconds(got)
        return CanaryTimeline(
            name=name,
            outcome="Healthy" if self._promoted_at is not None else "Degraded",
            seconds=round(self._finished_at - self._upgraded_at, 3),
            stable_revision=self.stable,
            canary_revision=self._canary,
            requests=len(got),
            failed=sum(not answer.good for answer in got),
            weights=list(self.weights),
            shares=timeline.shares(routed, got, self.revisions, canary=self._canary, ended=ended),
            traffic=timeline.traffic(got, self.revisions),
            declared_pause_seconds=self.declared_pause_seconds,
            bucket_seconds=seconds,
            buckets=timeline.buckets(got, self.revisions, seconds),
        )

    def _now(self) -> float:
        return round(time.time() - self.began_at, 3)

    def _state(self) -> str:
        status = self.rollout.get("status", {})
        weight = f"{self.weights[-1].canary} %" if self.weights else "unknown"
        return (
            f"phase {status.get('phase')} ({status.get('message') or 'no message'}), canary weight {weight}, "
            f"revision {status.get('currentPodHash')}, stable {status.get('stableRS')}"
        )


def pause_seconds(rollout: Mapping[str, Any]) -> float:
    """Return the sum of the timed pauses in a Rollout's own steps."""
    steps = rollout["spec"]["strategy"]["canary"].get("steps", [])
    return sum(duration.seconds(step["pause"].get("duration", 0)) for step in steps if "pause" in step)


def limit_seconds(rollout: Mapping[str, Any]) -> float:
    """Return how long a canary may take: a Rollout's declared pauses, and a fair time for each of its steps."""
    steps = rollout["spec"]["strategy"]["canary"].get("steps", [])
    return pause_seconds(rollout) + STEP_SECONDS * (1 + sum("setWeight" in step for step in steps))


@asynccontextmanager
async def observe(cluster: Cluster, namespace: str, model: str) -> AsyncIterator[Observation]:
    """Watch a model's Rollout for as long as the block runs.

    Args:
        cluster: Where it is.
        namespace: Its namespace.
        model: Name of its InferenceService.

    Yields:
        What is seen, growing.

    Raises:
        CheckFailedError: The Rollout is not at rest on one revision: its first deploy, say, is no canary.
    """
    from kubernetes.aio import client, config  # takes half a second to load, in each process that lists a stage's tests

    predictor = f"{model}-predictor"
    this = {"field_selector": f"metadata.name={predictor}"}
    api = await config.new_client_from_config(str(cluster.kubeconfig), context=cluster.context, persist_config=False)
    async with api, tasks.group() as group:
        objects, core = client.CustomObjectsApi(api), client.CoreV1Api(api)
        rollouts = ("argoproj.io", "v1alpha1", namespace, "rollouts")
        virtual_services = ("networking.istio.io", "v1", namespace, "virtualservices")
        seen = Observation(await objects.get_namespaced_custom_object(*rollouts, predictor))
        pods = {"label_selector": f"app=isvc.{predictor}"}
        list_objects = objects.list_namespaced_custom_object
        group.start_soon(follow, seen.saw_pod, core.list_namespaced_pod, (namespace,), pods)
        group.start_soon(follow, seen.saw_virtual_service, list_objects, virtual_services, this)
        group.start_soon(follow, seen.saw_rollout, list_objects, rollouts, this)

        async def first_events() -> None:
            if not seen.weights or seen.stable not in seen.revisions.values():
                raise NotYet(f"weights {seen.weights}, pods {seen.revisions}")

        await until("first events of the watches", first_events, timeout=30, interval=0.05)
        yield seen
        group.cancel_scope.cancel()


async def follow(
    saw: Callable[[Mapping[str, Any]], None],
    list_function: Callable[..., Awaitable[Any]],
    arguments: Iterable[str],
    selector: Mapping[str, str],
) -> None:
    """Hand each state of the selected objects to `saw`; the watch is renewed by itself when the server ends it.

    Args:
        saw: Takes an object as it is now; not told of one that is gone.
        list_function: Lists the objects, of the client's API.
        arguments: Of this function, by position.
        selector: Its further arguments, by name.
    """
    from kubernetes.aio import watch

    async with watch.Watch(return_type="object").stream(list_function, *arguments, **selector) as events:
        async for event in events:
            if event["type"] in ("ADDED", "MODIFIED"):
                saw(event["raw_object"])


def _written(item: Mapping[str, Any]) -> datetime:
    """Return when the API server last took a change of an object, to the second."""
    metadata = item["metadata"]
    times = [each["time"] for each in metadata.get("managedFields", []) if "time" in each]
    return datetime.fromisoformat(max(times, default=metadata["creationTimestamp"]))


def weights_of(virtual_service: Mapping[str, Any]) -> tuple[int, int]:
    """Return the weights of the stable and the canary Service on a VirtualService's route `primary`.

    Args:
        virtual_service: The object.

    Returns:
        Stable's and canary's, in percent.

    Raises:
        CheckFailedError: It has no such route.
    """
    for http in virtual_service["spec"].get("http", []):
        if http.get("name") == "primary":
            by_role = {item["destination"]["host"].rsplit("-", 1)[-1]: item.get("weight", 0) for item in http["route"]}
            if by_role.keys() == {"stable", "canary"}:
                return by_role["stable"], by_role["canary"]
    raise CheckFailedError(
        f"VirtualService {virtual_service['metadata']['name']}: no route primary to the stable and the canary Service"
    )
