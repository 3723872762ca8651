"""A good version goes through its weighted canary under traffic, and nobody notices."""

from itertools import pairwise

import anyio
import pytest

from ci.base import duration
from ci.base.wait import NotYet, until
from ci.canary.observe.timeline import GUARD_SECONDS

pytestmark = pytest.mark.anyio

FIGURES_SECONDS = 90
ALWAYS_JUDGED = {"requests", "success-rate", "latency-p95", "latency-p99", "known-answer"}
MAY_FAIL = {"requests", "latency-p95", "latency-p99", "latency-increase"}
"""At single looks: too few requests at first, a slow moment of the machine; the analysis's own `failureLimit` says how
often, and its verdict has counted them."""
BEFORE_SECONDS = 2 * GUARD_SECONDS + 2
"""Of traffic before the upgrade, so that the stable version alone is seen answering; and of traffic after its end."""


@pytest.fixture(scope="module")
async def good(release, client, watched, next_model, prometheus):
    """The next version, taken through its canary once, with a Prometheus that sees the stable one."""
    version = await next_model(release)
    await scraped(prometheus, release.model)
    async with watched(release, f"{release.model} to {version.rpartition('/')[2]}") as under_way:
        await anyio.sleep(BEFORE_SECONDS)
        under_way.seen.upgrading()
        await release.upgrade_model(version)
        await under_way.seen.canary()
        await under_way.seen.finished()
        await under_way.seen.held(100, 0)
        await under_way.load.takes_over(100, 0)
        await anyio.sleep(BEFORE_SECONDS)
    return under_way


async def test_it_becomes_stable_after_no_less_than_its_declared_pauses(release, good):
    assert good.timeline.outcome == "Healthy"
    assert good.timeline.canary_revision != good.timeline.stable_revision
    assert (await release.get("rollout"))["status"]["stableRS"] == good.timeline.canary_revision
    assert good.timeline.seconds >= good.timeline.declared_pause_seconds > 0


async def test_every_declared_weight_is_seen_on_the_virtual_service_in_order(good):
    steps = good.seen.rollout["spec"]["strategy"]["canary"]["steps"]
    declared = [step["setWeight"] for step in steps if "setWeight" in step]
    weights = good.timeline.weights
    # Argo Rollouts gives the canary everything once its last step is over, and starts from 0 again when it is stable.
    assert [change.canary for change in weights] == [0, *declared, 100, 0]
    assert {change.stable + change.canary for change in weights} == {100}


async def test_every_weight_is_held_for_its_pause(good):
    steps = good.seen.rollout["spec"]["strategy"]["canary"]["steps"]
    pauses = {
        weight["setWeight"]: duration.seconds(pause["pause"]["duration"])
        for weight, pause in pairwise(steps)
        if "setWeight" in weight
    }
    weights = [change.canary for change in good.timeline.weights]
    written = good.seen.written
    held = {
        weight: (after - at).total_seconds() for weight, (at, after) in zip(weights, pairwise(written), strict=False)
    }
    for weight, seconds in pauses.items():
        assert held[weight] >= seconds - 1, "a second is the resolution of both clocks"


async def test_the_answers_follow_the_weight_at_every_step(good):
    """Exact binomial bounds, a chance of one in a million to be out of one by accident (observe/timeline.py)."""
    steps = good.seen.rollout["spec"]["strategy"]["canary"]["steps"]
    declared = [step["setWeight"] for step in steps if "setWeight" in step]
    shares = {share.canary_weight: share for share in good.timeline.shares}
    assert {0, *declared} <= shares.keys()
    for share in good.timeline.shares:
        assert share.low <= share.canary_requests <= share.high, share


async def test_no_request_fails_and_no_answer_is_wrong(good):
    assert good.load.failed == []
    assert good.load.wrong == []
    assert good.timeline.failed == 0
    assert good.timeline.requests > 0


async def test_both_revisions_answered(good):
    answered = {item.revision: item.requests for item in good.timeline.traffic}
    assert answered.keys() == {good.timeline.stable_revision, good.timeline.canary_revision}
    assert sum(answered.values()) == good.timeline.requests


async def scraped(prometheus, model):
    """Wait for the model's first figures; Prometheus gets a new target by its configuration, which takes a while."""

    async def figures():
        if not await prometheus.query(f'inference_request_total{{model="{model}"}}'):
            raise NotYet("no series yet")

    await until(f"Prometheus has figures of {model}", figures, timeout=FIGURES_SECONDS, interval=1)


async def test_the_analysis_judged_it_by_its_own_revision(release, good):
    runs = await release.kubectl.get_list(
        "analysisruns", release.namespace, f"rollouts-pod-template-hash={good.timeline.canary_revision}"
    )
    assert runs, "no analysis ran"
    compared = (await release.values())["canary"]["analysis"]["latencyIncrease"]
    expected = ALWAYS_JUDGED | ({"latency-increase"} if compared else set())
    kinds = set()
    for run in runs:
        assert {"name": "revision", "value": good.timeline.canary_revision} in run["spec"]["args"]
        measured = {result["name"]: result for result in run["status"]["metricResults"]}
        assert measured.keys() == expected
        for name, result in measured.items():
            assert result["phase"] == "Successful", result
            assert result.get("successful", 0) > 0, f"{name} never had an answer: {result}"
            if name not in MAY_FAIL:
                assert result.get("failed", 0) == 0, result
        kinds.add(run["metadata"]["labels"]["rollout-type"])
    assert kinds == {"Background", "Step"}, "the analysis in the background and the gate at the end"
