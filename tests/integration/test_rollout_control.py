"""A person promotes or aborts a canary with the plugin's own commands; the stable version answers all along.

Done on the second release (by_hand.py): its one step waits for a person, and its autoscaler has to add a pod for the
traffic meanwhile.
"""

import pytest

from tests.integration import by_hand

pytestmark = pytest.mark.anyio


@pytest.mark.needs("features.canaryDeployment")
async def test_the_plugin_shows_the_rollout_as_the_guide_has_it(release):
    assert "Healthy" in (await release.plugin("get", "rollout", release.predictor)).stdout
    assert (await release.plugin("status", release.predictor)).stdout.strip().endswith("Healthy")


@pytest.fixture(scope="module")
async def promoted(second):
    return await second.promoted


@pytest.fixture(scope="module")
async def aborted(second):
    return await second.aborted


async def test_a_first_deploy_took_no_step_and_nothing_judged_it(second):
    deployed = await second.deployed
    assert deployed.status["stableRS"] == deployed.status["currentPodHash"]
    assert deployed.analyses == []


async def test_the_autoscaler_adds_a_pod_for_the_traffic_in_mid_canary(promoted):
    (rate,) = [item["pods"]["current"] for item in promoted.scaled["currentMetrics"] if item["type"] == "Pods"]
    assert rate["averageValue"] != "0"
    assert promoted.in_mid_canary["status"]["phase"] == "Paused"
    assert promoted.in_mid_canary["status"]["currentPodHash"] == promoted.timeline.canary_revision
    assert promoted.weights_after_scaling == (80, 20)


async def test_what_the_canarys_pod_uses_at_rest_adds_none(promoted):
    """The autoscaler counts the pods of both versions, which together would ask for one more (argo-rollouts#3849)."""
    assert 3 * by_hand.memory(promoted.looked) > 2 * promoted.memory_target
    assert promoted.looked["desiredReplicas"] == 2


async def test_a_canary_promoted_by_hand_becomes_stable(promoted):
    assert promoted.phase == "Healthy"
    assert promoted.after_promotion["status"]["stableRS"] == promoted.timeline.canary_revision


async def test_nobody_noticed_the_promotion(promoted):
    assert promoted.load.failed == []
    assert promoted.load.wrong == []


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


async def test_putting_the_old_version_back_needs_no_other_canary(aborted):
    status = aborted.after_revert["status"]
    assert (status["phase"], status["stableRS"]) == ("Healthy", aborted.timeline.stable_revision)
    assert aborted.weights_after_revert == (100, 0)


async def test_nobody_noticed_the_abort(aborted):
    assert aborted.load.failed == []
    assert aborted.load.wrong == []


async def test_the_autoscaler_takes_the_pod_away_once_the_traffic_is_over(second, aborted):
    await by_hand.scaled(second.release, 1)
