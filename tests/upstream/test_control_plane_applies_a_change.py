"""A change applied over its base by `lint`, on API server, KServe and Argo Rollouts themselves, without a node.

All applications are applied at once, on one control plane: each is one change, and what is said of it is its own.
"""

import json
from dataclasses import replace

import anyio
import pytest

from ci.checks import session
from ci.checks.control_plane import comparing, container
from ci.manifests import documents
from ci.results import Finding
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.harness import project
from tests.unit.conftest import find_tool

IMAGE = ("registry.example.com/whole:3.1", "registry.example.com/whole:3.2")
BARE = {"features": {"sloMonitoring": False, "autoscaling": False, "canaryDeployment": False}}


def the(kind, name, version="v1", **spec):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def pod(image):
    return {"containers": [{"name": "main", "image": image}], "restartPolicy": "Never"}


def deployment(image="a", app="front", name="front"):
    template = {"metadata": {"labels": {"app": app}}, "spec": {**pod(image), "restartPolicy": "Always"}}
    return the("Deployment", name, "apps/v1", selector={"matchLabels": {"app": app}}, template=template)


def job(image):
    return the("Job", "train", "batch/v1", template={"spec": pod(image)})


def with_options(document, options):
    annotations = {"argocd.argoproj.io/sync-options": options}
    return {**document, "metadata": {**document["metadata"], "annotations": annotations}}


def claim(size="2Gi", storage="fast"):
    requests = {"requests": {"storage": size}}
    return the(
        "PersistentVolumeClaim", "data", accessModes=["ReadWriteOnce"], storageClassName=storage, resources=requests
    )


def stateful(size="1Gi", image="a"):
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {**pod(image), "restartPolicy": "Always"}}
    claims = [{"metadata": {"name": "data"}, "spec": claim(size)["spec"]}]
    selector = {"matchLabels": {"app": "db"}}
    return the(
        "StatefulSet",
        "db",
        "apps/v1",
        serviceName="db",
        selector=selector,
        template=template,
        volumeClaimTemplates=claims,
    )


def service(**spec):
    return the("Service", "front", ports=[{"port": 80}], **spec)


MODELS = {
    "image": ("whole", "", IMAGE, "canary"),
    "label": ("whole", "", ("networking.kserve.io/visibility: cluster-local", "team: ranking"), "canary"),
    "scaler": ("whole", "", ("maxReplicas: 7", "maxReplicas: 8"), "none"),
    "bare": ("bare", "", ("bare:3.1", "bare:3.2"), "update"),
    "switched-on": ("bare", "whole", (), "first"),
    "switched-off": ("whole", "bare", (), "update"),
}
"""What is there, and what it becomes; else text of it and what is in its place; what becomes of the model's pods."""
IMAGE_OF_JOB = "spec.template.spec.containers[0].image"
REFUSED = {
    "selector": (deployment(), deployment(app="other"), "spec.selector.matchLabels.app", "field is immutable"),
    "headless": (service(), service(clusterIP="None"), "spec.clusterIPs[0]", "may not change once set"),
    "job": (job("a"), job("b"), IMAGE_OF_JOB, "field is immutable"),
    "replaced": (job("a"), with_options(job("b"), "Replace=true"), IMAGE_OF_JOB, "field is immutable"),
    "forced": (job("a"), with_options(job("b"), "Force=true"), IMAGE_OF_JOB, "field is immutable"),
    "templates": (
        stateful(),
        stateful("2Gi"),
        "spec.volumeClaimTemplates[0].spec.resources.requests.storage",
        "field is immutable",
    ),
    "shrunk": (claim("2Gi"), claim("1Gi"), "spec.resources.requests.storage", "can not be less than status.capacity"),
    "storage": (claim(), claim(storage="slow"), "spec.storageClassName", "spec is immutable after creation"),
}
"""An object before and after, the field that is named, and what is said."""
TAKEN = {
    "anew": (job("a"), with_options(job("b"), "Force=true,Replace=true"), ""),
    "anew-selector": (deployment(), with_options(deployment(app="other"), "Replace=true, Force=true"), "update"),
    "grown": (claim("1Gi"), claim("2Gi"), ""),
    "other-image": (stateful(), stateful(image="b"), "update"),
    "scaled": (deployment(), {**deployment(), "spec": {**deployment()["spec"], "replicas": 2}}, "none"),
    "other-name": (job("a"), {**job("b"), "metadata": {"name": "train-2"}}, ""),
}
"""An object before and after, and what becomes of its pods; nothing where it has none that are told of."""


GONE = ("canaryService: whole-predictor-canary", "canaryService: gone")
"""Text of an application, and what is in its place where Argo Rollouts does not take it."""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What is said of each application, and what becomes of its pods, by its name."""
    made = project.made(tmp_path_factory.mktemp("project"), environments=("lab",), applications=())
    made.deploy("lab", "whole")
    made.deploy("lab", "bare", values=BARE)
    made.commit()
    found = made.helm(find_tool("helm"), "template", defaults=False)
    renderings, before = [], {}
    for name, (old, new, changed, _) in MODELS.items():
        texts = [_named(found[f"lab/{each}"].text, each, name) for each in (old, new or old)]
        if changed:
            wanted, instead = (each.replace(old, name) for each in changed)
            assert wanted in texts[1]
            texts[1] = texts[1].replace(wanted, instead)
        renderings.append(_rendering(found["lab/whole"], name, texts[1]))
        before[f"lab/{name}"] = documents.parse(texts[0])
    for name, (old, new, *_) in {**REFUSED, **TAKEN}.items():
        own = [{**each, "metadata": {**each["metadata"], "namespace": f"acme-{name}"}} for each in (old, new)]
        renderings.append(_rendering(found["lab/whole"], name, json.dumps(own[1])))
        before[f"lab/{name}"] = own[:1]
    whole = found["lab/whole"].text
    for name, texts in (("broken", (whole, whole.replace(*GONE))), ("mended", (whole.replace(*GONE), whole))):
        old, new = (_named(each, "whole", name) for each in texts)
        renderings.append(_rendering(found["lab/whole"], name, new))
        before[f"lab/{name}"] = documents.parse(old)
    renderings.append(_rendering(found["lab/whole"], "new", _named(found["lab/whole"].text, "whole", "new")))
    renderings.append(_rendering(found["lab/whole"], "same", _named(found["lab/whole"].text, "whole", "same")))
    before["lab/same"] = documents.parse(renderings[-1].text)

    async def asked():
        supply = Supply(choose("auto"))
        async with session.opened(supply) as (client, _):
            plane = await container.plane(supply)
            folder = tmp_path_factory.mktemp("work") / "plane"
            return await comparing.change(client, plane, renderings, before, ("PruneLast=true",), [], folder)

    refused, effects = anyio.run(asked)
    assert not [each for each in refused if isinstance(each, Finding)]
    names = [each.target.application for each in renderings]
    return {
        name: (
            [each.finding for each in refused if each.target == f"lab/{name}"],
            [(each.model, each.outcome) for each in effects if each.place == f"lab/{name}"],
        )
        for name in names
    }


def _named(text, old, new):
    return text.replace(old, new)


def _rendering(whole, name, text):
    source = "" if text.startswith("---") else f"---\n# Source: serving/templates/{name}.yaml\n"
    return replace(whole, target=replace(whole.target, application=name), text=f"{source}{text}\n")


@pytest.mark.parametrize("name", MODELS)
def test_what_becomes_of_a_model_s_pods_is_read_off(told, name):
    *_, outcome = MODELS[name]
    assert told[name] == ([], [(name, outcome)])


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_that_no_cluster_takes_is_told_with_its_field_and_template(told, name):
    *_, field, said = REFUSED[name]
    found, effects = told[name]
    about = [each for each in found if f": {field}: " in each.message and said in each.message]
    assert len(about) == 1, [each.message for each in found]
    assert about[0].file.endswith(f"templates/{name}.yaml")
    assert "Force=true,Replace=true" in about[0].remedy
    assert effects == [], "nobody knows what becomes of what is refused"


@pytest.mark.parametrize("name", TAKEN)
def test_a_change_that_a_cluster_takes_is_told_by_its_pods_alone(told, name):
    *_, outcome = TAKEN[name]
    found, effects = told[name]
    assert found == []
    assert [said for _, said in effects] == ([outcome] if outcome else [])


def test_a_first_deploy_is_told_without_asking_anybody_and_what_stays_is_not_told(told):
    assert told["new"] == ([], [("new", "first")])
    assert told["same"] == ([], [])


def test_a_rollout_that_the_change_breaks_is_told_and_one_that_it_mends_has_its_first_pods(told):
    (finding,), effects = told["broken"]
    assert '"gone" not found' in finding.message
    assert effects == []
    assert told["mended"] == ([], [("mended", "first")])
