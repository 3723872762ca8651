"""Two applications that take one host name of a cluster: lint names both."""

import json

import pytest

from ci.checks import hosts
from ci.manifests.chart import Chart, Rendering, Target, Values

CLUSTERS = {"lab": None, "live": None, "far": "eu-1"}


def virtual_service(host="iris.example.com", gateways=("mesh", "ingress/models"), **route):
    spec = {"hosts": ["iris-predictor", host], "gateways": list(gateways), "http": [{"route": [], **route}]}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "iris"},
        "spec": spec,
    }


def found(folder, *given):
    """What the check says of applications, each its environment and its VirtualService."""
    renderings = [
        Rendering(
            Target(
                env, f"app{index}", "app", f"ml-{env}", Chart(folder, "chart"), [Values("tree/app.yaml", "")], "1.37.0"
            ),
            f"---\n# Source: c/templates/virtualservice.yaml\n{json.dumps(each)}\n",
        )
        for index, (env, each) in enumerate(given)
    ]
    return [(name, each.message) for name, each in hosts.rendered(CLUSTERS, renderings)]


@pytest.mark.parametrize("other", [virtual_service(), virtual_service(gateways=["ingress/models"])])
def test_a_host_that_two_applications_of_a_cluster_take_is_named_with_both(tmp_path, other):
    ((name, said),) = found(tmp_path, ("lab", virtual_service()), ("live", other))
    assert name == "live/app1"
    assert "iris.example.com is lab/app0's already" in said


@pytest.mark.parametrize(
    ("env", "other"),
    [
        ("far", virtual_service()),
        ("live", virtual_service("fraud.example.com")),
        ("live", virtual_service(gateways=["models"])),
        ("live", virtual_service(match=[{"uri": {"prefix": "/b"}}])),
    ],
    ids=["another cluster", "another host", "another gateway", "some paths"],
)
def test_hosts_that_do_not_meet_are_left_alone(tmp_path, env, other):
    assert found(tmp_path, ("lab", virtual_service()), (env, other)) == []
