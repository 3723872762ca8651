"""A second release, from its first moment, and what a person does on it by hand.

It takes minutes, most of them waiting, and has nothing to do with the first release: each part is a task beside the
tests of that one, and whoever wants to know what came of it awaits it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.cluster import readiness
from tests.integration.release import Release

SCALED_SECONDS = 180
"""Prometheus has to hear of the release, its rate to rise or fall, and the autoscaler looks every 15 s."""

LOOKS = 2
"""Of the autoscaler: the first that sees all pods would add some, the second has seen that none came."""
AT_REST = 0.8
"""Of a memory target: with one canary pod beside two stable ones the autoscaler would have a third."""

Part = asyncio.Task[SimpleNamespace]
Watch = Callable[..., AbstractAsyncContextManager[Any]]
Choose = Callable[[Release], Awaitable[str]]


@dataclass
class ByHand:
    """What happens to the second release, one part after the other.

    Attributes:
        release: The release.
        refused: What the observation of a canary said while it came up.
        deployed: Its first deploy.
        promoted: A canary that was promoted by hand.
        aborted: The next one, which was aborted.
    """

    release: Release
    refused: CheckFailedError
    deployed: Part
    promoted: Part
    aborted: Part

    async def end(self) -> None:
        """Stop what is still under way."""
        for part in (self.deployed, self.promoted, self.aborted):
            part.cancel()
        await asyncio.wait((self.deployed, self.promoted, self.aborted))


def begun(release: Release, refused: CheckFailedError, watched: Watch, next_model: Choose) -> ByHand:
    """Have it happen, beside whatever else is done.

    Args:
        release: The release, as it comes up.
        refused: What the observation of a canary said while it did.
        watched: Watches a canary under traffic.
        next_model: Says which version a release is taken to next.
    """
    deployed = asyncio.create_task(_deployed(release))
    promoted = asyncio.create_task(_promoted(release, deployed, watched, next_model))
    aborted = asyncio.create_task(_aborted(release, promoted, watched, next_model))
    return ByHand(release, refused, deployed, promoted, aborted)


async def scaled(release: Release, pods: int) -> dict[str, Any]:
    """Wait until the autoscaler wants so many pods, and all of the stable version's are ready."""

    async def probe() -> dict[str, Any]:
        status = (await release.get("hpa", f"{release.predictor}-hpa"))["status"]
        if status.get("desiredReplicas") != pods:
            raise NotYet(f"the autoscaler says {status}")
        stable = (await release.get("rollout"))["status"].get("stableRS")
        ready = (await release.get("replicaset", f"{release.predictor}-{stable}"))["status"].get("readyReplicas", 0)
        if ready != pods:
            raise NotYet(f"{ready} stable pods are ready; the autoscaler says {status}")
        return status

    return await until(f"the autoscaler has {pods} pods", probe, timeout=SCALED_SECONDS, interval=1)


def memory(status: dict[str, Any]) -> int:
    """Return the bytes that an autoscaler has read of a pod's model server on average."""
    read = [item["containerResource"] for item in status["currentMetrics"] if item["type"] == "ContainerResource"]
    (used,) = [item["current"]["averageValue"] for item in read if item["name"] == "memory"]
    return int(parse_quantity(used))


async def looked(release: Release) -> dict[str, Any]:
    """Wait until the autoscaler has looked at all pods, and return what it made of them."""
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{release.namespace}/pods"
    looks: set[str] = set()

    async def probe() -> dict[str, Any]:
        measured = {item["metadata"]["name"] for item in (await release.raw(path))["items"]}
        pods = {pod["metadata"]["name"] for pod in await release.pods()}
        if not pods <= measured:
            raise NotYet(f"{sorted(pods - measured)} are not measured yet")
        found = await release.get("hpa", f"{release.predictor}-hpa")
        looks.add(
            found["metadata"]["resourceVersion"]
        )  # it writes down each look, for the traffic's rate is never the same
        if len(looks) <= LOOKS:
            raise NotYet(f"the autoscaler says {found['status']}")
        return dict(found["status"])

    return await until("the autoscaler has looked at all pods", probe, timeout=SCALED_SECONDS, interval=1)


async def _deployed(release: Release) -> SimpleNamespace:
    await release.healthy()
    status = (await release.get("rollout"))["status"]
    of_first = f"rollouts-pod-template-hash={status['stableRS']}"
    return SimpleNamespace(
        status=status, analyses=await release.kubectl.get_list("analysisruns", release.namespace, of_first)
    )


async def _promoted(release: Release, deployed: Part, watched: Watch, next_model: Choose) -> SimpleNamespace:
    """A canary that waits for a person, sees the autoscaler add a pod for the traffic and no other, and is promoted."""
    await deployed
    found = SimpleNamespace()
    async with watched(release, "promoted by hand") as under_way:
        under_way.seen.upgrading()
        await release.upgrade_model(await next_model(release))
        await under_way.seen.reached(20)
        found.scaled = await scaled(release, 2)
        found.weights_after_scaling = await release.weights()
        found.in_mid_canary = await release.get("rollout")
        found.memory_target = int(memory(found.scaled) / AT_REST)
        # the two pods are enough for the traffic, and there is room for a third
        scaling = f"maxReplicas=3,autoscaling.requestsPerSecond=25,autoscaling.memory={found.memory_target}"
        await release.upgrade("--set", f"autoscaling.{scaling}")
        found.looked = await looked(release)
        await release.plugin("promote", release.predictor)
        found.phase = await under_way.seen.finished()
        await under_way.seen.held(100, 0)
        found.after_promotion = await release.get("rollout")
    found.load, found.timeline = under_way.load, under_way.timeline
    return found


async def _aborted(release: Release, promoted: Part, watched: Watch, next_model: Choose) -> SimpleNamespace:
    """A canary that waits for a person, sees two upgrades of something else, is aborted, and reverted."""
    await promoted
    before = await release.storage_uri()
    await readiness.one_revision(release.kubectl, release.namespace, release.model)  # the next one ran before this one
    found = SimpleNamespace()
    async with watched(release, "aborted by hand") as under_way:
        seen = under_way.seen
        seen.upgrading()
        await release.upgrade_model(await next_model(release))
        await seen.reached(20)
        for limit in ("1.5", "1"):
            await release.upgrade("--set-json", f'slo.latency.p99Threshold={limit},autoscaling.memory=""')
        found.after_upgrades = await release.get("rollout")
        found.weights_after_upgrades = await release.weights()
        await release.plugin("abort", release.predictor)
        found.phase = await seen.finished()
        await seen.held(100, 0)
        await under_way.load.takes_over(100, 0)
        found.after_abort = await release.get("rollout")
        await release.upgrade_model(before)
        await seen.recovered()
        found.after_revert, found.weights_after_revert = await release.get("rollout"), await release.weights()
    found.load, found.timeline = under_way.load, under_way.timeline
    return found
