"""What k8s/argocd/ tells Argo CD: it fits the chart, the tree of applications, and what KServe reports."""

import itertools
import subprocess

import pytest
import yaml
from lupa import lua51

from ci.base.paths import ENVIRONMENTS, ROOT
from ci.tree import render as checked
from ci.tree.tree import Application

ARGOCD = ROOT / "k8s" / "argocd"
PROJECT = yaml.safe_load((ARGOCD / "appproject.yaml").read_text())["spec"]
APPLICATION_SET = yaml.safe_load((ARGOCD / "argocd-applications.yaml").read_text())["spec"]
TEMPLATE = APPLICATION_SET["template"]
CONFIG = yaml.safe_load((ARGOCD / "patches" / "argocd-cm.yaml").read_text())["data"]
WAVE = "argocd.argoproj.io/sync-wave"
FLAGS = ("kserve", "canaryDeployment", "sloMonitoring", "autoscaling")
COMBINATIONS = [dict(zip(FLAGS, switches, strict=True)) for switches in itertools.product((True, False), repeat=4)]
EVERYTHING_ELSE = {
    "networkPolicy": {"enabled": True},
    "namespace": {"create": True},
    "exampleModel": {"storageSecret": "models"},
}
FILE = {
    "namespace": "ml-serving-dev",
    "chart": {"revision": "main"},
    "model": {"version": "v1", "storageUri": "s3://models/sklearn-iris/v1"},
    "image": {"repository": "docker.io/kserve/sklearnserver", "tag": "v0.20.0", "digest": ""},
    "promotion": {"soak": "10m"},
    "values": {},
}


def kinds(objects):
    """Return group and kind of what Argo CD deploys; it leaves out Helm's test hooks."""
    return {
        (item["apiVersion"].rpartition("/")[0], item["kind"])
        for item in objects.values()
        if item["metadata"].get("annotations", {}).get("helm.sh/hook") != "test"
    }


def listed(entries):
    return {(entry["group"], entry["kind"]) for entry in entries}


@pytest.fixture(scope="module")
def rendered(chart):
    """Every kind that any environment renders with any combination of features."""
    found = set()
    for env, flags in itertools.product(ENVIRONMENTS, COMBINATIONS):
        found |= kinds(chart.render({"features": flags, **EVERYTHING_ELSE}, env=env))
    return found


def test_the_project_allows_what_the_chart_renders_and_nothing_else(rendered):
    allowed = listed(PROJECT["namespaceResourceWhitelist"])
    cluster_wide = listed(PROJECT["clusterResourceWhitelist"])
    assert cluster_wide == {("", "Namespace")}
    assert allowed | cluster_wide == rendered
    assert not allowed & cluster_wide


# --- the ApplicationSet, rendered by helm's own Go templates ---


@pytest.fixture
def render(chart, tmp_path):
    """Return what the ApplicationSet makes of a file of the tree, given one of its templates."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: templates\nversion: 0.0.0\n")
    (tmp_path / "templates" / "one.yaml").write_text("text: {{ tpl .Values.text .Values.parameters | quote }}\n")

    def execute(text, content=FILE, file="gitops/dev/sklearn-iris.yaml", check=True):
        folder, _, name = file.rpartition("/")
        path = {"path": folder, "basename": folder.rpartition("/")[2], "filename": name}
        # Helm looks for its own Template in what it renders with.
        parameters = {**content, "path": path, "Template": {"BasePath": "", "Name": ""}}
        result = subprocess.run(
            [chart.helm, "template", "x", tmp_path, "-f", "-"],
            input=yaml.safe_dump({"text": text, "parameters": parameters}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if not check:
            return result
        assert result.returncode == 0, result.stderr
        return yaml.safe_load(result.stdout)["text"]

    return execute


def values(render, content=FILE, **options):
    return yaml.safe_load(render(TEMPLATE["spec"]["source"]["helm"]["values"], content, **options))


def test_an_application_is_named_by_environment_and_file(render):
    file = "gitops/prod/wine.v2.yaml"
    assert render(TEMPLATE["metadata"]["name"], file=file) == "prod-wine.v2"
    helm = TEMPLATE["spec"]["source"]["helm"]
    assert render(helm["releaseName"], file=file) == "wine.v2"
    assert [render(name, file=file) for name in helm["valueFiles"]] == ["values/prod.yaml"]


def test_the_chart_runs_what_the_file_says(render, chart):
    content = {**FILE, "values": {"autoscaling": {"maxReplicas": 7}}}

    made = values(render, content)

    objects = chart.render(made, env="dev", release="sklearn-iris")
    predictor = objects["InferenceService", "sklearn-iris"]["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == "s3://models/sklearn-iris/v1"
    assert predictor["model"]["image"] == "docker.io/kserve/sklearnserver:v0.20.0"
    assert objects["HorizontalPodAutoscaler", "sklearn-iris-predictor-hpa"]["spec"]["maxReplicas"] == 7


@pytest.mark.parametrize("digest", ["", "sha256:" + "1f" * 32])
@pytest.mark.parametrize("own", [{}, {"autoscaling": {"maxReplicas": 2}, "exampleModel": {"storageSecret": "models"}}])
def test_what_is_checked_before_a_commit_is_what_argo_cd_renders(render, digest, own):
    content = {**FILE, "values": own, "image": {**FILE["image"], "digest": digest}}
    file = Application("dev", "sklearn-iris", yaml.safe_dump(content).encode())

    assert values(render, content) == checked.values(file)


def test_an_image_with_a_digest_is_named_by_it(render):
    content = {**FILE, "image": {**FILE["image"], "digest": "sha256:abc"}}
    assert values(render, content)["exampleModel"]["image"] == "docker.io/kserve/sklearnserver:v0.20.0@sha256:abc"


@pytest.mark.parametrize("own", [{}, None, {"exampleModel": None}])
def test_a_file_without_values_of_its_own_is_a_file(render, own):
    assert set(values(render, {**FILE, "values": own})["exampleModel"]) == {"name", "storageUri", "image"}


def test_a_model_is_pinned_where_its_file_pins_it(render):
    pinned = {**FILE, "model": {**FILE["model"], "digest": f"sha256:{'a' * 64}"}}
    assert values(render, pinned)["exampleModel"]["digest"] == pinned["model"]["digest"]
    for digest in ({"digest": ""}, {}):
        assert "digest" not in values(render, {**FILE, "model": {**FILE["model"], **digest}})["exampleModel"]


def test_no_value_stands_for_another_version(render):
    own = {"exampleModel": {"storageUri": "s3://other", "image": "evil", "name": "other", "drainSeconds": 3}}
    assert values(render, {**FILE, "values": own})["exampleModel"] == {
        "name": "sklearn-iris",
        "storageUri": "s3://models/sklearn-iris/v1",
        "image": "docker.io/kserve/sklearnserver:v0.20.0",
        "drainSeconds": 3,
    }


@pytest.mark.parametrize(("env", "finalizers"), [("dev", 1), ("staging", 1), ("prod", 0)])
def test_what_runs_in_production_outlives_its_application(render, env, finalizers):
    patch = yaml.safe_load(render(APPLICATION_SET["templatePatch"], file=f"gitops/{env}/x.yaml"))
    assert len(patch["metadata"]["finalizers"]) == finalizers
    # Otherwise the controller gives a finalizer to every Application that has none.
    assert APPLICATION_SET["syncPolicy"]["preserveResourcesOnDeletion"] is True


def test_the_set_stays_inside_its_project():
    (generator,) = APPLICATION_SET["generators"]
    source, destination = TEMPLATE["spec"]["source"], TEMPLATE["spec"]["destination"]
    assert {generator["git"]["repoURL"], source["repoURL"]} == set(PROJECT["sourceRepos"])
    assert {entry["server"] for entry in PROJECT["destinations"]} == {destination["server"]}
    assert [file["path"] for file in generator["git"]["files"]] == [f"gitops/{env}/*.yaml" for env in ENVIRONMENTS]
    assert {entry["namespace"] for entry in PROJECT["destinations"]} == {
        "ml-serving-dev",
        "ml-serving-staging",
        "ml-serving",
    }


def test_a_namespace_that_is_made_is_in_the_mesh():
    policy = TEMPLATE["spec"]["syncPolicy"]
    assert "CreateNamespace=true" in policy["syncOptions"]
    assert policy["managedNamespaceMetadata"]["labels"] == {"istio-injection": "enabled"}


def test_the_windows_bind_production_alone():
    assert [window["applications"] for window in PROJECT["syncWindows"]] == [["prod-*"]]


def test_what_rollouts_moves_is_ignored_and_the_rest_the_chart_leaves_out(chart):
    (ignored,) = TEMPLATE["spec"]["ignoreDifferences"]
    assert ignored["kind"] == "VirtualService"
    objects = chart.render()
    weights = [route["weight"] for http in virtual_service(objects)["http"] for route in http["route"]]
    assert weights, "there is nothing at the path that is ignored"
    assert "replicas" not in objects["Rollout", "sklearn-iris-predictor"]["spec"]
    for role in ("stable", "canary"):
        assert "selector" not in objects["Service", f"sklearn-iris-predictor-{role}"]["spec"]


def virtual_service(objects):
    return objects["VirtualService", "sklearn-iris-predictor"]["spec"]


# --- health ---


@pytest.mark.parametrize("canary", [True, False])
def test_the_health_of_a_canarys_pods_is_the_rollouts(chart, canary):
    objects = chart.render({"features": {"canaryDeployment": canary}})
    annotations = objects["InferenceService", "sklearn-iris"]["metadata"]["annotations"]
    assert annotations.get("argocd.argoproj.io/ignore-healthcheck") == ("true" if canary else None)


def test_no_sync_waits_for_health_that_a_later_wave_brings(chart):
    """The InferenceService is not healthy before the Rollout's pods, by Argo CD's built-in check."""
    objects = chart.render(EVERYTHING_ELSE, env="prod")
    waves = {kind for (kind, _), item in objects.items() if WAVE in item["metadata"].get("annotations", {})}
    assert waves == {"Namespace"}


CANARY = {
    "metadata": {"annotations": {"serving.kserve.io/autoscalerClass": "none"}},
    "spec": {"predictor": {"minReplicas": 0}},
}
OWN_PODS = {"metadata": {}, "spec": {"predictor": {"minReplicas": 1}}}


def health(inference_service):
    """Run the check as Argo CD does: Lua 5.1 with the base and table libraries alone."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    for library in ("string", "math", "io", "debug", "package", "python"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(inference_service, recursive=True)
    return dict(lua.execute(CONFIG["resource.customizations.health.serving.kserve.io_InferenceService"]))


def conditions(**states):
    """Return conditions: a status, or a status with reason and message."""
    made = [{"type": "Stopped", "status": "False"}]
    for name, state in states.items():
        status, reason, message = state if isinstance(state, tuple) else (state, "", "")
        made.append({"type": name, "status": status, "reason": reason, "message": message})
    return made


READY = conditions(IngressReady="True", PredictorReady="True", Ready="True")
STARTING = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
LATE = ("False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.")
FORBIDDEN = ("False", "FailedCreate", "exceeded quota")
NO_PODS = {"transitionStatus": "InProgress", "states": {"targetModelState": "Pending"}}
BROKEN = {
    "transitionStatus": "BlockedByFailedLoad",
    "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "no such bucket"},
}
INVALID = {
    "transitionStatus": "InvalidSpec",
    "lastFailureInfo": {"reason": "RuntimeNotRecognized", "message": "no runtime"},
}


@pytest.mark.parametrize(
    ("kind", "status", "expected", "said"),
    [
        (CANARY, None, "Progressing", "Waiting for KServe"),
        (CANARY, {}, "Progressing", "Waiting for KServe"),
        # KServe has not seen the Rollout's pods.
        (CANARY, {"conditions": READY, "modelStatus": NO_PODS}, "Healthy", "Ready"),
        # In Standard mode it is the generation of KServe's Deployment.
        (CANARY, {"conditions": READY, "observedGeneration": 1}, "Healthy", "Ready"),
        # A canary that was aborted long ago; KServe has not looked again.
        (CANARY, {"conditions": READY, "modelStatus": BROKEN}, "Healthy", "Ready"),
        (OWN_PODS, {"conditions": READY, "modelStatus": {"transitionStatus": "UpToDate"}}, "Healthy", "Ready"),
        (OWN_PODS, {"conditions": READY, "modelStatus": BROKEN}, "Degraded", "no such bucket"),
        (CANARY, {"conditions": READY, "modelStatus": INVALID}, "Degraded", "RuntimeNotRecognized: no runtime"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=STARTING, Ready=STARTING)}, "Progressing", "availability"),
        (OWN_PODS, {"conditions": conditions(PredictorReady="Unknown", Ready="Unknown")}, "Progressing", "Unknown"),
        (OWN_PODS, {"conditions": conditions(IngressReady="True")}, "Progressing", "Waiting for KServe"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=LATE, Ready=LATE)}, "Degraded", "timed out"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=FORBIDDEN, Ready=FORBIDDEN)}, "Degraded", "quota"),
        (CANARY, {"conditions": [{"type": "Stopped", "status": "True"}, *READY[1:]]}, "Suspended", "Stopped"),
    ],
)
def test_an_inference_service_is_as_healthy_as_it_says(kind, status, expected, said):
    found = health(kind if status is None else {**kind, "status": status})
    assert found["status"] == expected
    assert said in found["message"]
