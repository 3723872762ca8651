"""What a throw-away cluster cannot hold is told before one is started."""

from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from ci.applications import deployable, deployment
from ci.base.errors import CheckFailedError, UnnamedError
from ci.results import Served
from ci.stages import models
from ci.supply.supply import Supply
from tests.harness import project as projects

MACHINE = deployable.Machine(memory=8 << 30, cpus=4)


def told(*asked):
    """What is told, a line each."""
    return [each.said for each in deployable.objections(*asked)]


def predictor(**model):
    spec = {"predictor": {"model": {"modelFormat": {"name": "lightgbm"}, "storageUri": "s3://a/b", **model}}}
    return {"kind": "InferenceService", "metadata": {"name": "scores"}, "spec": spec}


def container(**fields):
    spec = {"predictor": {"containers": [{"name": "kserve-container", "image": "x", **fields}]}}
    return {"kind": "InferenceService", "metadata": {"name": "scores"}, "spec": spec}


def pod(**fields):
    return {"kind": "InferenceService", "metadata": {"name": "scores"}, "spec": {"predictor": fields}}


SECRET = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}}]}
CONFIG = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "labels", "key": "a"}}}]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (predictor(resources={"limits": {"nvidia.com/gpu": "1"}}), "asks for nvidia.com/gpu"),
        (predictor(resources={"requests": {"memory": "64Gi"}}), "asks for 64Gi of memory, and this machine has 8 GiB"),
        (predictor(storageUri="pvc://models/a"), "pvc://models/a is a volume of another namespace"),
        (predictor(**SECRET), "reads Secret keys"),
        (container(**SECRET), "reads Secret keys"),
        (container(envFrom=[{"secretRef": {"name": "keys"}}]), "reads Secret keys"),
        (container(resources={"limits": {"amd.com/gpu": "2"}}), "asks for amd.com/gpu"),
        (predictor(resources={"requests": {"cpu": "64"}}), "asks for 64 CPUs, and this machine has 4"),
        (predictor(resources={"limits": {"cpu": "4100m"}}), "asks for 4100m CPUs, and this machine has 4"),
        (pod(nodeSelector={"gpu": "yes", "kubernetes.io/os": "linux"}), "asks for a node with gpu=yes"),
        (pod(volumes=[{"name": "a", "secret": {"secretName": "keys"}}]), "reads Secret keys"),
        (pod(volumes=[{"name": "a", "projected": {"sources": [{"secret": {"name": "keys"}}]}}]), "reads Secret keys"),
        (predictor(**CONFIG), "reads ConfigMap labels"),
        (container(envFrom=[{"configMapRef": {"name": "labels"}}]), "reads ConfigMap labels"),
        (pod(volumes=[{"name": "a", "configMap": {"name": "labels"}}]), "reads ConfigMap labels"),
        (
            pod(volumes=[{"name": "a", "projected": {"sources": [{"configMap": {"name": "labels"}}]}}]),
            "reads ConfigMap labels",
        ),
        (pod(serviceAccountName="models"), "reads ServiceAccount models"),
        (pod(priorityClassName="urgent"), "asks for PriorityClass urgent"),
        (pod(runtimeClassName="nvidia"), "asks for RuntimeClass nvidia"),
        (pod(batcher={"maxBatchSize": 8}), "has a batcher, which is KServe's agent"),
        (pod(nodeName="big-1"), "asks for node big-1"),
        (
            pod(volumes=[{"name": "a", "persistentVolumeClaim": {"claimName": "models"}}]),
            "reads PersistentVolumeClaim models",
        ),
    ],
)
def test_what_is_not_to_be_had_is_told_once(document, said):
    (line,) = told([document], MACHINE)

    assert line.startswith("InferenceService scores: ")
    assert said in line


def test_an_identity_of_a_cloud_is_told():
    account = {
        "kind": "ServiceAccount",
        "metadata": {"name": "scores", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}},
    }

    assert told([account], MACHINE) == ["ServiceAccount scores: eks.amazonaws.com/role-arn is an identity of a cloud"]


CLOUD = "azure.workload.identity/client-id"


@pytest.mark.parametrize(
    ("asking", "values", "written"),
    [
        (
            pod(nodeSelector={"acme.example/pool": "serving"}),
            {"exampleModel": {"nodeSelector": {"kubernetes.io/os": "linux", "acme.example/pool": "serving"}}},
            "exampleModel.nodeSelector = {} below [throwaway.values.scores]",
        ),
        (
            pod(nodeSelector={"gpu": "yes"}),
            {"wrapped.chart": {"where": {"gpu": "yes"}}},
            '"wrapped.chart".where = {} below [throwaway.values.scores]',
        ),
        (
            {"kind": "ServiceAccount", "metadata": {"name": "scores", "annotations": {CLOUD: "6f1d"}}},
            {"serviceAccount": {"annotations": {CLOUD: "6f1d"}}, "exampleModel": {"name": "scores"}},
            "serviceAccount.annotations = {} below [throwaway.values.scores]",
        ),
        (
            pod(logger={"mode": "all"}),
            {"exampleModel": {"predictor": {"logger": {"mode": "all"}, "volumes": []}}},
            "exampleModel.predictor.logger = {} below [throwaway.values.scores]",
        ),
    ],
)
def test_the_way_out_is_what_to_write_to_take_a_table_away(asking, values, written):
    (lack,) = deployable.objections([asking], MACHINE)

    assert f": {written}; " in lack.way_out("scores", values)
    assert 'below [throwaway.values."scores.v2"]; ' in lack.way_out("scores.v2", values)


def test_an_object_that_is_not_there_is_told_where_values_name_it_with_the_list_to_write():
    (lack,) = deployable.objections([predictor(**CONFIG)], MACHINE)
    values = {"exampleModel": {"name": "scores", **CONFIG}}

    assert lack.path(values) == ("exampleModel", "env", 0, "valueFrom", "configMapKeyRef", "name")
    assert "exampleModel.env = […] without it below [throwaway.values.scores]" in lack.way_out("scores", values)
    assert lack.path({"exampleModel": {}}) is None
    assert lack.way_out("scores", {"exampleModel": {}}) == deployable.WAY_OUT


def test_the_line_of_a_value_is_told_where_the_application_has_it():
    content = b"values:\n  exampleModel:\n    env:\n      - name: A\n"
    application = SimpleNamespace(file="gitops/lab/scores.yaml", content=content)

    assert models._at(application, ("exampleModel", "env", 0, "name")) == "gitops/lab/scores.yaml:4"
    assert models._at(application, ("exampleModel", "args")) == "gitops/lab/scores.yaml"
    assert models._at(application, ()) == "gitops/lab/scores.yaml"


def test_what_no_table_asks_for_and_what_a_template_alone_has_is_to_be_changed():
    for asking in (predictor(resources={"requests": {"cpu": "64"}}), pod(nodeSelector={"gpu": "yes"})):
        (lack,) = deployable.objections([asking], MACHINE)

        assert lack.way_out("scores", {"exampleModel": {"nodeSelector": {}}}) == deployable.WAY_OUT


def test_what_an_analysis_asks_prometheus_with_is_told():
    token = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "mimir", "key": "token"}}}
    analysis = {"kind": "AnalysisTemplate", "metadata": {"name": "scores-slo"}, "spec": {"args": [token]}}

    assert told([analysis], MACHINE) == ["AnalysisTemplate scores-slo: reads Secret mimir, which is not there"]


def test_images_beside_the_server_are_each_got_once():
    one, other = {"name": "front", "image": "me/front:1"}, {"name": "seed", "image": "me/seed:1"}
    server = {"name": "kserve-container", "image": "me/mine:1"}

    assert list(deployable.beside([pod(containers=[server, one], initContainers=[other, one])])) == [
        "me/front:1",
        "me/seed:1",
    ]


def test_an_image_beside_the_server_needs_a_digest(tmp_path):
    made = projects.made(tmp_path, environments=("lab",), applications=("scores",))
    (application,) = made.judged(lambda found: list(found.applications.values()))
    beside = [pod(containers=[{"name": "front", "image": "me/front:1"}])]

    with pytest.raises(
        UnnamedError, match=f"{application.file}: beside the model server: me/front:1: an image without"
    ):
        anyio.run(deployment.bring, beside, application, Supply("source"))


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"podLabels": {"team": None}}, ["at '/exampleModel/podLabels/team': got null, want string"]),
        ({"drainSeconds": "3"}, ["at '/exampleModel/drainSeconds': got string, want integer"]),
        ({"args": 3, "env": "x"}, ["at '/exampleModel/args': got number, want array", "at '/exampleModel/env'"]),
        ({"resources": {"requests": {"cpu": "9"}}}, ["exampleModel.resources.requests.cpu"]),
    ],
    ids=["a null", "a text", "two", "a template's own words"],
)
def test_what_the_chart_does_not_take_on_a_cluster_is_told_with_the_cause(tmp_path, chart, over, said):
    made = projects.made(tmp_path, environments=("lab",), applications=("scores",))
    (application,) = made.judged(lambda found: list(found.applications.values()))
    served = Served({}, "", f"sha256:{'a' * 64}", built=False)
    folder = made.folder / projects.CHART_FOLDER
    given = {"exampleModel": {"name": "scores", **over}}
    lines = ("exampleModel.x: 1 → 2 (throwaway.values.*.exampleModel)",)
    asked = deployment.Deployment(application, folder, (), given, None, served, lines)

    with pytest.raises(CheckFailedError) as refused:
        anyio.run(deployment.rendered, asked, Path(chart.helm))

    assert all(each in refused.value.message for each in said)
    assert not refused.value.message.endswith(":")


def test_what_the_chart_brings_along_or_may_do_without_is_fine():
    own = {"kind": "Secret", "metadata": {"name": "keys"}}
    optional = {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "no", "key": "a", "optional": True}}}]}
    fine = predictor(resources={"requests": {"cpu": "1", "memory": "512Mi"}}, **SECRET)

    everywhere = pod(volumes=[{"name": "a", "configMap": {"name": "kube-root-ca.crt"}}])

    assert told([own, fine, container(**optional), everywhere], MACHINE) == []


def test_on_a_cluster_that_is_there_its_nodes_and_its_cloud_decide_themselves():
    account = {
        "kind": "ServiceAccount",
        "metadata": {"name": "scores", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}},
    }
    large = predictor(resources={"requests": {"cpu": "64", "memory": "64Gi"}, "limits": {"nvidia.com/gpu": "1"}})

    assert told([account, large, pod(nodeSelector={"gpu": "yes"})], None) == []


def test_what_an_image_is_got_with_is_asked_for_where_nodes_get_it_themselves():
    own = {"kind": "Secret", "metadata": {"name": "own"}}
    account = {"kind": "ServiceAccount", "metadata": {"name": "scores"}, "imagePullSecrets": [{"name": "registry"}]}
    documents = [own, account, pod(imagePullSecrets=[{"name": "own"}, {"name": "registry"}])]

    assert told(documents, MACHINE) == []
    assert told(documents, None) == [
        "ServiceAccount scores: gets its image with Secret registry, which is not there",
        "InferenceService scores: gets its image with Secret registry, which is not there",
    ]


def test_on_a_cluster_that_is_there_a_namespace_of_its_own_has_no_secret_and_no_volume():
    said = told([predictor(storageUri="pvc://models/a", **SECRET)], None)

    assert [line.partition(": ")[2] for line in said] == [
        "reads Secret keys, which is not there",
        "pvc://models/a is a volume of another namespace",
    ]


def served_by(runtime, *more):
    model = {"modelFormat": {"name": "xgboost"}, **({"runtime": runtime} if runtime else {})}
    return [{"kind": "InferenceService", "metadata": {"name": "x"}, "spec": {"predictor": {"model": model}}}, *more]


def serving(name, kind="ClusterServingRuntime"):
    formats = [{"name": "xgboost", "autoSelect": True}]
    return {"kind": kind, "metadata": {"name": name}, "spec": {"supportedModelFormats": formats}}


def test_a_serving_runtime_that_nobody_brings_is_named_with_those_that_are_there():
    ((who, fault),) = deployable.without_runtime(served_by("kserve-xgboost"), [serving("kserve-xgbserver")])
    assert who == "InferenceService x"
    assert fault.said == "no serving runtime is called kserve-xgboost; there are kserve-xgbserver"


@pytest.mark.parametrize("runtime", ["kserve-xgbserver", "ours", None])
def test_one_of_kserves_of_the_application_itself_or_none_is_there(runtime):
    own = serving("ours", "ServingRuntime")
    assert list(deployable.without_runtime(served_by(runtime, own), [serving("kserve-xgbserver")])) == []
