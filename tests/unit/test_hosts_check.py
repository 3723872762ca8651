"""Two applications that take one host name of a cluster: lint names both."""

import json

import pytest

from ci.checks import hosts
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.project import Environment

CLUSTERS = {"lab": None, "live": None, "far": "eu-1"}
ENVIRONMENTS = [Environment(name=name, namespace=f"ml-{name}", cluster=cluster) for name, cluster in CLUSTERS.items()]


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
    return [(name, each.message) for name, each in hosts.rendered(ENVIRONMENTS, renderings)]


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


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("fraud.ml-live", "ml-live"),
        ("*.ml-live", "ml-live"),
        ("prometheus.istio-system", "istio-system"),
        ("fraud.elsewhere.svc", "elsewhere"),
        ("fraud.elsewhere.svc.cluster.local", "elsewhere"),
    ],
)
def test_the_name_of_another_namespace_s_service_is_refused(tmp_path, host, namespace):
    ((name, said),) = found(tmp_path, ("lab", virtual_service(host)))
    assert name == "lab/app0"
    assert f"{host} is a Service's name in namespace {namespace}" in said


@pytest.mark.parametrize(
    ("host", "gateways"),
    [
        ("fraud.ml-far", ("mesh", "ingress/models")),  # of another cluster
        ("fraud.internal", ("mesh", "ingress/models")),
        ("fraud.ml-live.example.com", ("mesh", "ingress/models")),
        ("iris-predictor.ml-lab.svc.cluster.local", ("mesh",)),
        ("fraud.ml-live", ("ingress/models",)),  # the mesh asks nobody by it
    ],
)
def test_a_name_that_is_nobody_s_in_the_mesh_is_left_alone(tmp_path, host, gateways):
    assert found(tmp_path, ("lab", virtual_service(host, gateways))) == []
