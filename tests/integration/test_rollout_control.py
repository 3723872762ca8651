"""A person promotes or aborts a canary with the plugin's own commands; the stable version answers all along.

Done on the second release, whose one step waits for a person, and whose autoscaler has to add a pod for the traffic
meanwhile.
"""

from types import SimpleNamespace

import pytest

from ci.base.wait import NotYet, until

pytestmark = pytest.mark.anyio

SCALED_SECONDS = 180
"""Prometheus has to hear of the release, its rate to rise or fall, and the autoscaler looks every 15 s."""


@pytest.mark.needs("features.canaryDeployment")
async def test_the_plugin_shows_the_rollout_as_the_guide_has_it(release):
    assert "Healthy" in (await release.plugin("get", "rollout", release.predictor)).stdout
    assert (await release.plugin("status", release.predictor)).stdout.strip().endswith("Healthy")


async def scaled(release, pods):
    """Wait until the autoscaler wants so many pods, and all of the stable version's are ready."""

    async def probe():
        status = (await release.get("hpa", f"{release.predictor}-hpa"))["status"]
        stable = (await release.get("rollout"))["status"].get("stableRS")
        ready = (await release.get("replicaset", f"{release.predictor}-{stable}"))["status"].get("readyReplicas", 0)
        if (status.get("desiredReplicas"), ready) != (pods, pods):
            raise NotYet(f"{ready} stable pods are ready; the autoscaler says {status}")
        return status

    return await until(f"the autoscaler has {pods} pods", probe, timeout=SCALED_SECONDS, interval=1)


@pytest.fixture(scope="module")
async def promoted(second, watched, next_model):
    """A canary that waits for a person, sees the autoscaler add a pod, and is promoted."""
    found = SimpleNamespace()
    async with watched(second, "promoted by hand") as under_way:
        under_way.seen.upgrading()
        await second.upgrade_model(await next_model(second))
        await under_way.seen.reached(20)
        found.scaled = await scaled(second, 2)
        found.weights_after_scaling = await second.weights()
        found.in_mid_canary = await second.get("rollout")
        await second.plugin("promote", second.predictor)
        found.phase = await under_way.seen.finished()
        await under_way.seen.held(100, 0)
    found.load, found.timeline = under_way.load, under_way.timeline
    return found


async def test_the_autoscaler_adds_a_pod_for_the_traffic_in_mid_canary(promoted):
    (rate,) = [item["pods"]["current"] for item in promoted.scaled["currentMetrics"] if item["type"] == "Pods"]
    assert rate["averageValue"] != "0"
    assert promoted.in_mid_canary["status"]["phase"] == "Paused"
    assert promoted.in_mid_canary["status"]["currentPodHash"] == promoted.timeline.canary_revision
    assert promoted.weights_after_scaling == (80, 20)


async def test_a_canary_promoted_by_hand_becomes_stable(second, promoted):
    assert promoted.phase == "Healthy"
    assert (await second.get("rollout"))["status"]["stableRS"] == promoted.timeline.canary_revision


async def test_nobody_noticed_the_promotion(promoted):
    assert promoted.load.failed == []
    assert promoted.load.wrong == []


@pytest.fixture(scope="module")
async def aborted(second, watched, next_model):
    """A canary that waits for a person, sees two upgrades of something else, is aborted, and reverted."""
    before = await second.storage_uri()
    found = SimpleNamespace()
    async with watched(second, "aborted by hand") as under_way:
        seen = under_way.seen
        seen.upgrading()
        await second.upgrade_model(await next_model(second))
        await seen.reached(20)
        for limit in ("1.5", "1"):
            await second.upgrade("--set-json", f"slo.latency.p99Threshold={limit}")
        found.after_upgrades = await second.get("rollout")
        found.weights_after_upgrades = await second.weights()
        await second.plugin("abort", second.predictor)
        found.phase = await seen.finished()
        await seen.held(100, 0)
        await under_way.load.takes_over(100, 0)
        found.after_abort = await second.get("rollout")
        await second.upgrade_model(before)
        await seen.recovered()
    found.seen, found.load, found.timeline = seen, under_way.load, under_way.timeline
    return found


async def test_upgrades_in_mid_canary_leave_it_where_it_is(aborted):
    assert aborted.after_upgrades["status"]["phase"] == "Paused"
    assert aborted.after_upgrades["status"]["currentPodHash"] == aborted.timeline.canary_revision
    assert aborted.weights_after_upgrades == (80, 20)


async def test_an_abort_leaves_the_stable_revision_alone(aborted):
    assert aborted.phase == "Degraded"
    assert aborted.after_abort["status"]["stableRS"] == aborted.timeline.stable_revision


async def test_an_abort_gives_every_request_back(aborted):
    assert [change.canary for change in aborted.timeline.weights] == [0, 20, 0]
    for share in aborted.timeline.shares:
        assert share.low <= share.canary_requests <= share.high, share


async def test_putting_the_old_version_back_needs_no_other_canary(second, aborted):
    status = (await second.get("rollout"))["status"]
    assert (status["phase"], status["stableRS"]) == ("Healthy", aborted.timeline.stable_revision)
    assert await second.weights() == (100, 0)


async def test_nobody_noticed_the_abort(aborted):
    assert aborted.load.failed == []
    assert aborted.load.wrong == []


async def test_the_autoscaler_takes_the_pod_away_once_the_traffic_is_over(second, aborted):
    await scaled(second, 1)
