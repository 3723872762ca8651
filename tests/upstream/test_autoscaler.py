"""A canary takes the chart's autoscaler no higher than its traffic does, as Kubernetes' own code computes it."""

from pathlib import Path

import pytest

from tests.harness import upstream
from tests.unit.conftest import ENVIRONMENTS, Chart, find_tool

PREDICTOR = "sklearn-iris-predictor"
MOST = 20
RESTS = [percent / 100 for percent in range(5, 110, 5)]
"""Of a target. Above it a number grows without a canary, too: more pods make none of them use less."""


@pytest.fixture(scope="module")
def chart():
    return Chart(find_tool("helm"))


@pytest.fixture(scope="module")
def wanted():
    """Ask for the replicas that are wanted at each weight of a canary."""
    return upstream.built(Path(__file__).with_name("autoscaler.go"), "kubernetes")


@pytest.fixture(params=ENVIRONMENTS)
def canary(request, chart):
    """A canary of an environment, with room above its pods."""

    def made(values=None, **more):
        scaling = {"autoscaling": {"minReplicas": 1, "maxReplicas": MOST, **(values or {})}}
        found = chart.render(scaling, env=request.param, kubernetes=more.pop("kubernetes", None))
        steps = found["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]["steps"]
        weights = [step["setWeight"] for step in steps if "setWeight" in step]
        return {
            "autoscaler": found["HorizontalPodAutoscaler", f"{PREDICTOR}-hpa"],
            "replicas": 3,
            # Before it, at each step, and at last, when the pods of the set before are still there.
            "weights": [0, *weights, 100],
            "rest": 0,
            "traffic": 0,
            **more,
        }

    return made


def test_what_pods_use_at_rest_adds_none_in_a_canary(wanted, canary):
    asked = [canary(rest=rest, replicas=replicas) for rest in RESTS for replicas in (1, 3, 10)]
    for one, course in zip(asked, wanted(asked), strict=True):
        assert max(course) == course[0] <= one["replicas"], (one["rest"], course)


def test_traffic_for_six_pods_gets_six_in_a_canary_too(wanted, canary):
    requests_alone = {"cpu": None, "memory": None}
    (course,) = wanted([canary(requests_alone, traffic=6)])
    assert course == [6] * len(course)


def test_a_canary_adds_nothing_to_what_traffic_and_rest_have_asked_for(wanted, canary):
    for course in wanted([canary(rest=rest, traffic=4) for rest in RESTS if rest < 0.5]):
        assert course == [course[0]] * len(course)


def test_the_pods_of_a_peak_go_where_a_pod_at_rest_uses_less_than_half_of_a_target(wanted, canary):
    """What the values aim at on their own is at least twice what a pod asks for."""
    for course in wanted([canary(rest=rest, replicas=10) for rest in RESTS if rest < 0.5]):
        assert course == [1] * len(course)


def test_without_the_tolerance_a_model_at_80_percent_of_its_target_goes_to_the_most(wanted, canary):
    """What the chart guards against; where this fails, Kubernetes or Argo Rollouts need it no more."""
    (course,) = wanted([canary(rest=0.8, kubernetes="1.34.0")])
    assert (course[0], course[-1]) == (3, MOST)
