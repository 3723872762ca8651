"""Kinds that Argo CD would refuse an application, by the AppProject that the project file makes: lint tells of each."""

import json

import pytest

from ci import project as projects
from ci.checks import permitted
from ci.manifests.chart import Chart, Rendering, Target, Values
from tests.harness import project as harness

TEMPLATE = "kind: {}\nmetadata:\n  name: token\n"
SECRET = ("external-secrets.io/v1", "ExternalSecret", "token")
OWN = ("v1", "Namespace", "acme-lab")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "externalsecrets.external-secrets.io"},
    "spec": {"group": "external-secrets.io", "names": {"kind": "ExternalSecret"}, "scope": "Namespaced"},
}
NAMESPACED = {
    ("external-secrets.io", "ExternalSecret"): True,
    ("", "PersistentVolumeClaim"): True,
    ("rbac.authorization.k8s.io", "ClusterRole"): False,
    ("", "Namespace"): False,
}


@pytest.fixture
def found(tmp_path):
    """What is found of an object of an environment's; with the AppProject patched where there are patches."""
    made = harness.made(tmp_path, environments=("lab", "live"))

    def look(api, kind, name, *, env="lab", patches=(), **metadata):
        file = made.folder / projects.FILE
        if patches:
            made.write("argo/patches/ours.json", json.dumps(patches))
            file.write_text(file.read_text() + '[argocd.patches]\nAppProject = "patches/ours.json"\n')
        source = tmp_path / "chart/templates/extra.yaml"
        source.parent.mkdir(parents=True)
        source.write_text("# a comment\n" + TEMPLATE.format(kind))
        chart = Chart(tmp_path / "chart", "charts/serving")
        target = Target(env, "wine", "wine", f"acme-{env}", chart, [Values("tree/wine.yaml", "")], "1.37.0")
        document = {"apiVersion": api, "kind": kind, "metadata": {"name": name, **metadata}}
        rendering = Rendering(target, f"---\n# Source: c/templates/extra.yaml\n{json.dumps(document)}\n")
        scope = lambda group, kind: NAMESPACED.get((group, kind))  # noqa: E731
        return list(permitted.rendered(made.folder, "", made.project, [rendering], scope))

    return look


def add(to, **value):
    return {"op": "add", "path": f"/spec/{to}/-", "value": value}


@pytest.mark.parametrize(
    ("document", "to", "value"),
    [
        (SECRET, "namespaceResourceWhitelist", {"group": "external-secrets.io", "kind": "ExternalSecret"}),
        (
            ("v1", "PersistentVolumeClaim", "cache"),
            "namespaceResourceWhitelist",
            {"group": "", "kind": "PersistentVolumeClaim"},
        ),
        (
            ("rbac.authorization.k8s.io/v1", "ClusterRole", "reads"),
            "clusterResourceWhitelist",
            {"group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reads"},
        ),
        (
            ("v1", "Namespace", "acme-live"),
            "clusterResourceWhitelist",
            {"group": "", "kind": "Namespace", "name": "acme-live"},
        ),
    ],
)
def test_a_kind_that_argo_cd_would_refuse_is_named_with_the_patch_that_allows_it(found, document, to, value):
    ((name, finding),) = found(*document)

    assert name == "lab/wine"
    assert finding.place == "charts/serving/templates/extra.yaml:2"
    assert f"its AppProject does not allow {document[1]} of {value['group'] or 'the core group'}" in finding.message
    assert json.dumps([add(to, **value)]) in finding.remedy
    assert 'argocd.patches.AppProject = "patches/appproject.json"' in finding.remedy


@pytest.mark.parametrize(
    ("document", "to", "value"),
    [
        (SECRET, "namespaceResourceWhitelist", {"group": "external-secrets.io", "kind": "ExternalSecret"}),
        (SECRET, "namespaceResourceWhitelist", {"group": "external-secrets.io", "kind": "*"}),
        (
            ("rbac.authorization.k8s.io/v1", "ClusterRole", "reads"),
            "clusterResourceWhitelist",
            {"group": "*", "kind": "ClusterRole"},
        ),
    ],
)
def test_what_a_patch_allows_is_fine(found, document, to, value):
    assert found(*document, patches=[add(to, **value)]) == []


@pytest.mark.parametrize(
    ("document", "env", "metadata"),
    [
        (("v1", "ConfigMap", "a"), "lab", {}),
        (OWN, "lab", {}),
        (("serving.kserve.io/v1beta1", "InferenceService", "wine"), "live", {}),
        (("nowhere.example/v1", "Unknown", "a"), "lab", {}),
        (SECRET, "defaults", {}),
        (("v1", "PersistentVolumeClaim", "a"), "lab", {"annotations": {"helm.sh/hook": "test"}}),
    ],
    ids=[
        "usual",
        "its namespace",
        "the model",
        "no API, which is told elsewhere",
        "no environment",
        "a test of Helm's",
    ],
)
def test_what_argo_cd_takes_or_never_sees_is_fine(found, document, env, metadata):
    assert found(*document, env=env, **metadata) == []


def test_where_there_are_patches_the_way_out_is_another_line_of_them(found):
    ((_, finding),) = found(*SECRET, patches=[add("namespaceResourceWhitelist", group="", kind="Secret")])

    assert finding.remedy.startswith('add to argo/patches/ours.json: {"op": "add"')


def test_what_a_blacklist_has_is_refused_though_the_whitelist_has_it(found):
    black = {"op": "add", "path": "/spec/namespaceResourceBlacklist", "value": [{"group": "", "kind": "Config*"}]}

    ((_, finding),) = found("v1", "ConfigMap", "a", patches=[black])

    assert "out of /spec/namespaceResourceBlacklist in argo/patches/ours.json" in finding.remedy


def test_what_has_a_namespace_is_known_of_crds_and_of_kubernetes(tmp_path):
    folder = tmp_path / permitted.OPENAPI
    folder.mkdir(parents=True)
    stack = {name: tmp_path / name for name in permitted.CRDS}
    for file, group, paths in (
        ("api__v1", "", {"/api/v1/nodes": "Node", "/api/v1/namespaces/{namespace}/pods": "Pod"}),
        ("apis__apps__v1", "apps", {"/apis/apps/v1/namespaces/{namespace}/deployments": "Deployment"}),
    ):
        posts = {
            path: {"post": {"x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": "v1"}}}
            for path, kind in paths.items()
        }
        (folder / f"{file}_openapi.json").write_text(json.dumps({"paths": posts}))
    istio = tmp_path / "istio" / permitted.CRDS["istio"]
    istio.parent.mkdir(parents=True)
    wide = {"group": "networking.istio.io", "names": {"kind": "Wide"}, "scope": "Cluster"}
    istio.write_text(json.dumps(CRD | {"spec": wide}))

    scope = permitted.scope([CRD, CRD | {"spec": None}], stack, tmp_path)

    asked = [
        ("external-secrets.io", "ExternalSecret"),
        ("", "Pod"),
        ("apps", "Deployment"),
        ("", "Node"),
        ("networking.istio.io", "Wide"),
        ("apps", "Nothing"),
        ("", "Deployment"),
    ]
    assert [scope(*each) for each in asked] == [True, True, True, False, False, None, None]
