"""A set that the chart's InferenceServices do not serve is told, wherever KServe has model and image."""

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError
from ci.checks import targets, unserved
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.tree import argocd, git, taken, tree
from tests.harness import project as projects

URI, IMAGE = "s3://acme/fraud-score/7", "registry.example.com/fraud-score:3.1"
OTHERS = "s3://acme/wine/1", "registry.example.com/wine:2"
FORECAST = {"exampleModel": {"name": "forecast", "storageUri": URI, "image": IMAGE}}
SUMMARIES = {"exampleModel": {"name": "summaries", "storageUri": OTHERS[0], "image": OTHERS[1]}}


def service(predictor, name="fraud-score"):
    about = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name}}
    return {**about, "spec": {"predictor": predictor}}


def model(uri=URI, image=IMAGE):
    return {"model": {"storageUri": uri, "image": image}}


def custom(uri=URI, image=IMAGE):
    return {"containers": [{"image": image, "env": [{"name": "STORAGE_URI", "value": uri}]}]}


def runtime(image):
    about = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime", "metadata": {"name": "own"}}
    return {**about, "spec": {"containers": [{"name": "kserve-container", "image": image}]}}


def config(text):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "set"}, "data": {"set": text}}


@pytest.mark.parametrize(
    "objects",
    [
        [],
        [config("nothing is served")],
        [service({})],
        [service(model())],
        [service(custom())],
        [service({"model": {"storage": {"path": "fraud-score/7"}, "image": IMAGE}})],
        [service(model(*OTHERS), "wine"), service(model())],
        [service(model(f"{URI}/model.json", f"mirror.example.com/{IMAGE}@sha256:0a"))],
        [service({"model": {"storageUri": f"oci+{URI}?region=eu"}}), runtime(IMAGE)],
    ],
)
def test_a_set_that_is_served_is_taken_however_the_chart_writes_it(objects):
    assert not list(taken.unserved(URI, IMAGE, objects))


@pytest.mark.parametrize(
    ("objects", "keys"),
    [
        ([service(model(*OTHERS)), service(custom(*OTHERS), "wine")], [taken.URI, taken.IMAGE]),
        ([service(model(uri=f"{URI}0"))], [taken.URI]),
        ([service(custom(image=OTHERS[1]))], [taken.IMAGE]),
        ([service({"model": {"runtime": "kserve-xgbserver", "storageUri": URI}})], [taken.IMAGE]),
        ([service({"containers": [{"image": IMAGE}]})], [taken.URI]),
        ([service({}), runtime(OTHERS[1]), config(f"{URI} {IMAGE}")], [taken.URI, taken.IMAGE]),
    ],
)
def test_what_no_service_has_of_a_set_is_told_by_its_key(objects, keys):
    assert [key for key, _ in taken.unserved(URI, IMAGE, objects)] == keys


def test_a_model_that_the_image_brings_along_is_none_to_miss():
    assert not list(taken.unserved("", IMAGE, [service({"containers": [{"image": IMAGE}]})]))


def test_lint_names_the_lines_of_the_application_and_leaves_the_charts_own_values_alone(tmp_path):
    text = projects.application("fraud-score")
    values = [Values("deploy/lab/fraud-score.yaml", text, yaml.safe_dump(FORECAST), ("values",), targets.ELSEWHERE)]
    one = Target("lab", "fraud-score", "fraud-score", "acme-lab", Chart(tmp_path, "chart"), values, "1.37.0")
    own = Target("defaults", None, "chart", "chart", Chart(tmp_path, "chart"), values, "1.37.0")
    rendering = yaml.safe_dump(service(model(*OTHERS), "wine"))
    found = list(unserved.rendered([Rendering(one, rendering), Rendering(own, rendering)]))

    assert [name for name, _ in found] == ["lab/fraud-score"] * 2
    lines = [text.splitlines()[each.line - 1].split(":")[0].strip() for _, each in found]
    assert lines == ["storageUri", "image"]
    assert found[0][1].message == f"model.storageUri: InferenceService wine gets {OTHERS[0]}, not {URI}"
    assert {each.remedy for _, each in found} == {taken.REMEDY}


@pytest.fixture
def umbrella(tmp_path):
    made = projects.umbrella(tmp_path, {"forecast": FORECAST, "summaries": SUMMARIES})
    for path, text in argocd.render(made.project, "").items():
        made.write(path, text)
    made.deploy("lab", "fraud-score")
    return made


def required(made, helm, values):
    commit = made.commit()

    async def asked():
        head = git.Snapshot(await git.opened(made.folder), commit, "trunk")
        application = (await tree.load(head, "lab", "fraud-score")).with_release(values)
        await taken.require(head, helm, application, commit)

    anyio.run(asked)


def test_a_version_that_no_alias_follows_is_refused_before_it_is_committed(umbrella, tool):
    required(umbrella, tool("helm"), {})  # what an alias happens to have is served
    umbrella.write("touched", "")
    with pytest.raises(CheckFailedError) as no:
        required(umbrella, tool("helm"), {taken.URI: "s3://acme/fraud-score/8"})
    got = f"InferenceService forecast, summaries gets {URI}, {OTHERS[0]}, not s3://acme/fraud-score/8"
    assert no.value.message == f"deploy/lab/fraud-score.yaml: model.storageUri: {got}"
    assert no.value.fix == taken.REMEDY
