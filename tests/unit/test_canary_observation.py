import anyio
import pytest

from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.canary.observe import rollout as canary
from ci.canary.observe.timeline import Answer

STEPS = [
    {"setWeight": 20},
    {"pause": {"duration": "20s"}},
    {"setWeight": 50},
    {"pause": {"duration": "1m"}},
    {"setWeight": 80},
    {"pause": {"duration": 5}},
    {"pause": {}},
]


def rollout(phase="Healthy", stable="aaa", current="aaa", steps=STEPS, **status):
    return {
        "metadata": {"name": "sklearn-iris-predictor", "namespace": "ml-serving"},
        "spec": {"strategy": {"canary": {"steps": steps}}},
        "status": {"phase": phase, "stableRS": stable, "currentPodHash": current, **status},
    }


def virtual_service(stable, weight, route="primary", written="2026-11-28T18:00:00Z"):
    destinations = [
        {"destination": {"host": "sklearn-iris-predictor-stable"}, "weight": stable},
        {"destination": {"host": "sklearn-iris-predictor-canary"}, "weight": weight},
    ]
    metadata = {
        "name": "sklearn-iris",
        "creationTimestamp": "2026-11-28T17:00:00Z",
        "managedFields": [{"manager": "helm"}, {"manager": "rollouts-controller", "time": written}],
    }
    return {"metadata": metadata, "spec": {"http": [{"name": route, "route": destinations}]}}


def pod(address, revision):
    return {"metadata": {"labels": {"rollouts-pod-template-hash": revision}}, "status": {"podIP": address}}


@pytest.mark.parametrize(
    "first",
    [
        rollout("Progressing"),
        rollout("Progressing", stable="", current=""),
        rollout("Progressing", stable=""),
        rollout("Degraded"),
    ],
)
def test_the_first_deploy_is_never_counted_as_a_canary(first):
    with pytest.raises(CheckFailedError, match="with a single revision: its first deploy is no canary") as raised:
        canary.Observation(first)
    assert raised.value.fix == "wait for it: kubectl argo rollouts status sklearn-iris-predictor -n ml-serving"


def test_a_rollout_that_nobody_has_looked_at_yet_is_refused_as_well():
    new = rollout()
    del new["status"]
    with pytest.raises(CheckFailedError, match="its first deploy is no canary"):
        canary.Observation(new)


@pytest.mark.parametrize(
    "busy", [rollout("Paused", current="bbb"), rollout("Degraded", current="bbb"), rollout(current="bbb")]
)
def test_a_canary_already_under_way_is_refused(busy):
    with pytest.raises(CheckFailedError, match="could not be told from what is under way"):
        canary.Observation(busy)


def test_only_timed_pauses_are_declared():
    assert canary.Observation(rollout()).declared_pause_seconds == 20 + 60 + 5


def test_each_weight_is_kept_once_when_it_first_comes():
    seen = canary.Observation(rollout())
    for stable, weight in [(100, 0), (100, 0), (80, 20), (80, 20), (100, 0)]:
        seen.saw_virtual_service(virtual_service(stable, weight))
    assert [(change.stable, change.canary) for change in seen.weights] == [(100, 0), (80, 20), (100, 0)]


def test_a_weight_is_dated_by_the_api_server_however_late_it_is_seen():
    seen = canary.Observation(rollout())
    seen.saw_virtual_service(virtual_service(80, 20, written="2026-11-28T18:00:10Z"))
    seen.saw_virtual_service(virtual_service(80, 20, written="2026-11-28T18:00:20Z"))
    seen.saw_virtual_service(virtual_service(50, 50, written="2026-11-28T18:00:30Z"))
    first, second = seen.written
    assert (second - first).total_seconds() == 20


def test_a_virtual_service_without_the_route_is_named():
    with pytest.raises(CheckFailedError, match="VirtualService sklearn-iris: no route primary"):
        canary.weights_of(virtual_service(100, 0, route="other"))


def test_pods_are_known_by_their_address_even_when_they_are_gone():
    seen = canary.Observation(rollout())
    seen.saw_pod(pod("10.0.0.1", "aaa"))
    seen.saw_pod({"metadata": {"labels": {"rollouts-pod-template-hash": "bbb"}}, "status": {}})
    seen.saw_pod({"metadata": {}, "status": {"podIP": "10.0.0.9"}})
    assert seen.revisions == {"10.0.0.1": "aaa"}


def test_an_address_that_changes_hands_spoils_the_observation():
    seen = canary.Observation(rollout())
    seen.saw_pod(pod("10.0.0.1", "aaa"))
    with pytest.raises(CheckFailedError, match=r"address 10\.0\.0\.1 went from revision aaa to bbb"):
        seen.saw_pod(pod("10.0.0.1", "bbb"))


def test_a_promoted_canary_becomes_a_time_line():
    async def watched():
        seen = canary.Observation(rollout())
        seen.saw_pod(pod("10.0.0.1", "aaa"))
        seen.saw_pod(pod("10.0.0.2", "bbb"))
        seen.saw_virtual_service(virtual_service(100, 0))
        seen.upgrading()
        seen.saw_rollout(rollout("Progressing", current="bbb"))
        assert await seen.canary() == "bbb"
        seen.saw_virtual_service(virtual_service(80, 20))
        seen.saw_rollout(rollout("Paused", current="bbb"))
        await seen.reached(20)
        seen.saw_rollout(rollout("Healthy", stable="bbb", current="bbb"))
        assert await seen.finished() == "Healthy"
        return seen.timeline("good", [Answer(0.0, 0.01, 200, "10.0.0.1"), Answer(0.1, 0.01, 503, "")], [])

    timeline = anyio.run(watched)
    assert (timeline.outcome, timeline.stable_revision, timeline.canary_revision) == ("Healthy", "aaa", "bbb")
    assert (timeline.requests, timeline.failed) == (2, 1)
    assert [change.canary for change in timeline.weights] == [0, 20]
    assert timeline.declared_pause_seconds == 85
    assert [(bucket.at, bucket.revision, bucket.failed) for bucket in timeline.buckets] == [(0, "", 1), (0, "aaa", 0)]


def test_an_aborted_canary_is_degraded_until_the_stable_version_is_back():
    async def watched():
        seen = canary.Observation(rollout())
        seen.upgrading()
        seen.saw_rollout(rollout("Paused", current="bbb"))
        seen.saw_rollout(rollout("Degraded", current="bbb", abort=True))
        assert await seen.finished() == "Degraded"
        seen.saw_rollout(rollout("Healthy", current="aaa"))
        await seen.recovered()
        return seen.timeline("aborted by hand", [], [])

    assert anyio.run(watched).outcome == "Degraded"


def test_a_rollout_that_never_left_its_revision_is_no_canary(monkeypatch):
    monkeypatch.setattr(canary, "BEGIN_SECONDS", 0.2)

    async def watched():
        seen = canary.Observation(rollout())
        seen.saw_rollout(rollout("Progressing"))
        seen.saw_rollout(rollout("Healthy"))
        with pytest.raises(WaitTimeoutError, match="a new revision of the Rollout: not within"):
            await seen.canary()
        with pytest.raises(CheckFailedError, match="no whole canary was seen: phase Healthy"):
            seen.timeline("nothing", [], [])

    anyio.run(watched)


def test_a_canary_still_under_way_makes_no_time_line():
    seen = canary.Observation(rollout())
    seen.saw_rollout(rollout("Paused", current="bbb"))
    with pytest.raises(CheckFailedError, match="no whole canary was seen: phase Paused"):
        seen.timeline("too early", [], [])
