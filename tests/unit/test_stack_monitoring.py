"""The Prometheus of a cluster that is there: found where the project file says, and never a second operator beside it.

The API server is as much of one as kubectl asks for; kubectl is real.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
import yaml

from ci.base.errors import UsageError
from ci.cluster.cluster import Cluster
from ci.cluster.kubectl import Kubectl
from ci.project import Prometheus
from ci.stack import manifests, monitoring
from ci.stack.component import StackContext

GROUPS = {
    "monitoring.coreos.com": {"prometheuses": "Prometheus"},
    "apiextensions.k8s.io": {"customresourcedefinitions": "CustomResourceDefinition"},
    "apps": {"deployments": "Deployment"},
}
WIDE = ("customresourcedefinitions", "namespaces")


def prometheus(namespace="observability", name="k8s", **spec):
    selectors = {key: {"matchLabels": {"release": "prometheus"}} for key in monitoring.SELECTORS}
    return {"kind": "Prometheus", "metadata": {"name": name, "namespace": namespace}, "spec": {**selectors, **spec}}


def deployment(image, **labels):
    pod = {"spec": {"containers": [{"name": "a", "image": "proxy:1"}, {"name": "b", "image": image}]}}
    metadata = {"name": "somebodys", "namespace": "observability", "labels": labels}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"template": pod}}


OPERATOR = deployment("mirror.example.com:5000/prometheus-operator/prometheus-operator:v0.90.0@sha256:" + "0" * 64)
OWN = deployment("quay.io/x/prometheus-operator:v1", **{"app.kubernetes.io/managed-by": "ml-serving-ci"})


class API(BaseHTTPRequestHandler):
    """What a cluster has of Prometheus: `server.objects`, by the plural of their kind."""

    def do_GET(self):
        match self.path.partition("?")[0].strip("/").split("/"):
            case ["api"]:
                self.answer({"kind": "APIVersions", "versions": ["v1"]})
            case ["apis"]:
                groups = [self.group(name) for name in GROUPS]
                self.answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
            case ["api", "v1"]:
                self.resources("v1", {"namespaces": "Namespace"})
            case ["apis", group, "v1"]:
                self.resources(f"{group}/v1", GROUPS[group])
            case ["apis", group, "v1", plural]:
                items = [{"apiVersion": f"{group}/v1", **each} for each in self.server.objects.get(plural, [])]
                self.answer({"kind": "List", "apiVersion": "v1", "items": items})
            case [*_, plural, name]:
                self.one([each for each in self.server.objects.get(plural, []) if each["metadata"]["name"] == name])

    def one(self, found):
        if found:
            self.answer({"apiVersion": "v1", **found[0]})
        else:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self.answer(status, 404)

    def group(self, name):
        version = {"groupVersion": f"{name}/v1", "version": "v1"}
        return {"name": name, "versions": [version], "preferredVersion": version}

    def resources(self, version, kinds):
        resources = [
            {"name": name, "singularName": kind.lower(), "kind": kind, "namespaced": name not in WIDE, "verbs": ["get"]}
            for name, kind in kinds.items()
        ]
        crd = {"shortNames": ["crd"]} if "customresourcedefinitions" in kinds else {}
        self.answer(
            {"kind": "APIResourceList", "groupVersion": version, "resources": [{**each, **crd} for each in resources]}
        )

    def answer(self, body, code=200):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def context(tool, tmp_path):
    """A cluster with some objects, and where its Prometheus is said to be."""
    file = tmp_path / "kubeconfig"
    with ThreadingHTTPServer(("127.0.0.1", 0), API) as server:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        file.write_text(yaml.safe_dump(content))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kubectl = Kubectl(tool("kubectl"), Cluster("here", file, "here", None))

        def made(place, **objects):
            objects.setdefault("customresourcedefinitions", [crd()])
            server.objects = objects
            return StackContext(kubectl, None, Supply(), place)

        yield made
        server.shutdown()


def crd(**labels):
    return {"kind": "CustomResourceDefinition", "metadata": {"name": monitoring.CRD, "labels": labels}}


class Supply:
    """As much as installing asks of it before it reads upstream's files."""

    def image(self, name):
        return f"{name}:pinned"

    def module(self, name):
        raise FileNotFoundError(f"upstream's {name}")


def find(context):
    return anyio.run(monitoring.find, context)


def test_it_is_found_in_the_namespace_that_the_project_file_names(context):
    elsewhere = prometheus("monitoring", "other")

    found = find(context(Prometheus(namespace="observability"), prometheuses=[elsewhere, prometheus()]))

    assert found["metadata"]["name"] == "k8s"


def test_where_none_runs_none_is_found(context):
    assert find(context(Prometheus(), prometheuses=[])) is None
    assert find(context(Prometheus(), customresourcedefinitions=[])) is None


def test_one_in_another_namespace_is_told_with_the_key_and_not_taken_for_none(context):
    with pytest.raises(UsageError) as raised:
        find(context(Prometheus(), prometheuses=[prometheus()]))
    assert raised.value.message == "this cluster's Prometheus is in namespace observability, not in monitoring"
    assert raised.value.fix == "ml-serving-ci.toml, [cluster.prometheus]: namespace"


@pytest.mark.parametrize(
    "spec",
    [
        {"serviceMonitorSelector": {"matchLabels": {"team": "a"}}},
        {"ruleSelector": {"matchLabels": {"release": "prometheus", "team": "a"}}},
        {"ruleSelector": None},
    ],
    ids=["monitors", "rules", "no rules at all"],
)
def test_one_that_would_never_scrape_is_told_with_the_key(context, spec):
    with pytest.raises(UsageError, match="Prometheus k8s in namespace observability selects by") as raised:
        find(context(Prometheus(namespace="observability"), prometheuses=[prometheus(**spec)]))
    assert raised.value.fix == "ml-serving-ci.toml, [cluster.prometheus]: labels"


def test_of_two_in_a_namespace_it_is_the_one_that_selects_by_the_labels(context):
    other = prometheus(name="a", serviceMonitorSelector={"matchLabels": {"team": "a"}})
    all_of_them = prometheus(name="b", serviceMonitorSelector={}, ruleSelector={})

    found = find(context(Prometheus(namespace="observability"), prometheuses=[other, all_of_them]))

    assert found["metadata"]["name"] == "b"


@pytest.fixture
def applied(monkeypatch):
    """What would be put on the cluster, by kind."""
    kinds = []

    async def apply(_context, objects):
        kinds.extend(each["kind"] for each in objects)

    monkeypatch.setattr(manifests, "apply", apply)
    return kinds


def test_no_second_operator_is_put_beside_somebody_elses(context, applied):
    anyio.run(monitoring.install, context(Prometheus(), deployments=[deployment("nginx:1"), OPERATOR]))

    assert applied == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Prometheus"]


@pytest.mark.parametrize(
    "objects",
    [{"customresourcedefinitions": []}, {"deployments": [deployment("nginx:1")]}, {"deployments": [OWN]}],
    ids=["nothing", "CRDs that somebody left", "our own"],
)
def test_where_there_is_none_or_our_own_upstreams_is_installed(context, applied, objects):
    with pytest.raises(FileNotFoundError, match="upstream's prometheus-operator"):
        anyio.run(monitoring.install, context(Prometheus(), **objects))


def test_somebody_elses_namespace_is_not_labelled_as_ours(context, applied):
    there = {"kind": "Namespace", "metadata": {"name": "monitoring"}}

    anyio.run(monitoring.install, context(Prometheus(), deployments=[OPERATOR], namespaces=[there]))

    assert "Namespace" not in applied


def test_what_is_installed_cannot_have_a_service_of_another_name(context, applied):
    with pytest.raises(UsageError, match="no mine:9090 on this cluster, and what is installed is asked by"):
        anyio.run(monitoring.install, context(Prometheus(service="mine")))
    assert applied == []


def test_what_is_installed_is_where_the_project_file_says_and_selects_by_its_labels():
    place = Prometheus(namespace="observability", labels={"team": "a"})

    made = monitoring.prometheus("prometheus:v3", place)

    assert made["metadata"]["namespace"] == "observability"
    assert monitoring.chosen([made], place) is made
    assert {each["metadata"].get("namespace", "observability") for each in monitoring.access("observability")} == {
        "observability"
    }
