"""What a Rollout serves, and how long a set must still run well."""

from datetime import UTC, datetime

import pytest

from ci.release import health, serving
from ci.release.health import Health, Pod
from ci.release.serving import Serving
from ci.release.status import Seen, Status
from ci.tree.history import Step
from tests.harness import remote

STEPS = [{"setWeight": 20}, {"pause": {"duration": "15s"}}, {"setWeight": 50}, {"pause": {}}]


def rollout(**status):
    return {
        "metadata": {"name": "iris-predictor", "namespace": "ml"},
        "spec": {"strategy": {"canary": {"steps": STEPS}}},
        "status": {"stableRS": "a", "currentPodHash": "a", **status},
    }


def replica_set(uri):
    metadata = {"annotations": {health.SOURCE_URI: uri}}
    template = {"metadata": metadata, "spec": {"containers": [{"name": health.CONTAINER, "image": "server:1"}]}}
    return {"spec": {"template": template}}


def test_what_its_stable_replica_set_runs_is_known():
    found = serving.read(rollout(), [replica_set("s3://m/1")])
    assert (found.source, found.stable, found.settled, found.text) == (
        "Rollout ml/iris-predictor",
        Pod("s3://m/1", "server:1"),
        True,
        "",
    )


def test_a_canary_is_told_by_its_weight_and_step():
    weights = {"weights": {"canary": {"weight": 50}, "stable": {"weight": 50}}}
    found = serving.read(rollout(currentPodHash="b", canary=weights, currentStepIndex=3), [])
    assert (found.settled, found.text) == (False, "50 %, step 3 of 4")


def test_an_aborted_one_says_why():
    found = serving.read(rollout(abort=True, message="metric failed"), [])
    assert (found.settled, found.text) == (False, "aborted: metric failed")


def test_a_rollout_of_which_nothing_is_known_yet_has_no_stable_set():
    assert serving.read({"metadata": {"name": "x", "namespace": "y"}}, []).stable is None


def status(release, seconds=100.0, soak=600.0, health_word="Healthy", trailers=()):
    wanted = health.wanted(release)
    word = Health("Argo CD", "now", "Synced", health_word, "", seconds, "c", wanted, [wanted])
    step = Step("c" * 40, datetime.now(UTC), "Jane", trailers, "Bump", None)
    return Status("dev", "iris", release=release, since=step, seen=Seen(word, None), soak=soak)


RELEASE = remote.application("dev").release


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({}, 500.0),
        ({"seconds": 700.0}, 0.0),
        ({"soak": None}, None),  # the last environment: it moves nowhere
        ({"health_word": "Degraded"}, None),
    ],
)
def test_the_soak_that_is_left_counts_from_when_it_runs_well(changes, left):
    assert status(RELEASE, **changes).soak_left == left


def test_what_still_runs_another_set_has_not_begun_to_soak():
    before = status({**RELEASE, ("model", "storageUri"): "s3://m/0"})
    assert Status("dev", "iris", release=RELEASE, seen=before.seen, soak=600.0).soak_left is None


def test_a_set_that_came_by_break_glass_says_its_reason():
    assert status(RELEASE, trailers=[("Break-glass", "the site is down")]).break_glass == "the site is down"
    assert status(RELEASE, trailers=[("Tool", "ml-serving-ci promote")]).break_glass == ""


def test_one_that_argo_cd_alone_serves_has_no_canary():
    assert Serving("Argo CD", None, settled=True).text == ""
