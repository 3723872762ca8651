"""A person promotes or aborts a canary with the plugin's own commands; the stable version answers all along.

Done on the second release, whose one step waits for a person.
"""

from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.anyio


async def test_the_plugin_shows_the_rollout_as_the_guide_has_it(release):
    assert "Healthy" in (await release.plugin("get", "rollout", release.predictor)).stdout
    assert (await release.plugin("status", release.predictor)).stdout.strip().endswith("Healthy")


async def test_a_canary_promoted_by_hand_becomes_stable(second, watched, next_model):
    # Given a canary that waits for a person
    async with watched(second, "promoted by hand") as under_way:
        under_way.seen.upgrading()
        await second.upgrade_model(await next_model(second))
        await under_way.seen.reached(20)
        # When they promote it
        await second.plugin("promote", second.predictor)
        # Then it becomes stable
        assert await under_way.seen.finished() == "Healthy"
        await under_way.seen.held(100, 0)
    assert (await second.get("rollout"))["status"]["stableRS"] == under_way.timeline.canary_revision
    # And the client noticed nothing
    assert under_way.load.failed == []
    assert under_way.load.wrong == []


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
