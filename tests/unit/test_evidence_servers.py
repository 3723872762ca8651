"""What a model server is given, as evidence compares it with what the next environment would give it."""

import copy

import pytest
import yaml

from ci.evidence import servers

SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "scores"},
    "spec": {"predictor": {"model": {"runtime": "mine", "args": ["--a"], "image": "me/mine:1"}}},
}
OWN = copy.deepcopy(SERVICE)
OWN["spec"]["predictor"] = {"containers": [{"name": "kserve-container", "image": "me/mine:1"}]}
SEED = {"name": "seed", "image": "me/seed:1"}


def changed(service, **fields):
    """Return what is given otherwise where the predictor has further fields, or its model has."""
    other = copy.deepcopy(service)
    predictor = other["spec"]["predictor"]
    server = predictor.get("model") or predictor["containers"][0]
    server |= fields.pop("model", {})
    predictor["containers"] = [*predictor.get("containers", []), *fields.pop("containers", [])]
    predictor |= fields
    one, two = (servers.given(yaml.safe_dump(each), "x") for each in (service, other))
    return sorted(key for key in {**one, **two} if one.get(key) != two.get(key))


@pytest.mark.parametrize("service", [SERVICE, OWN], ids=["runtime", "container"])
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model": {"volumeMounts": [{"name": "a", "mountPath": "/a"}]}}, "volumeMounts of scores"),
        ({"model": {"workingDir": "/srv"}}, "workingDir of scores"),
        ({"model": {"envFrom": [{"secretRef": {"name": "keys"}}]}}, "envFrom of scores"),
        ({"model": {"env": [{"name": "A", "value": "1"}]}}, "env A of scores"),
        ({"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "b"}}]}, "volumes of scores"),
        ({"initContainers": [SEED]}, "initContainers of scores (seed)"),
        ({"containers": [SEED]}, "containers of scores (seed)"),
        ({"batcher": {"maxBatchSize": 8}}, "batcher of scores"),
        ({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["s3.example.com"]}]}, "hostAliases of scores"),
        ({"storageContainerName": "other"}, "storageContainerName of scores"),
        ({"model": {"lifecycle": {"postStart": {"exec": {"command": ["sh"]}}}}}, "lifecycle.postStart of scores"),
        ({"model": {"readinessProbe": {"exec": {"command": ["sh"]}}}}, "readinessProbe of scores"),
        ({"annotations": {"sidecar.istio.io/proxyImage": "x"}}, "annotation sidecar.istio.io/proxyImage of scores"),
        ({"annotations": {"storage.kserve.io/readonly": "no"}}, "annotation storage.kserve.io/readonly of scores"),
    ],
)
def test_whatever_may_change_an_answer_is_told(service, fields, named):
    (found,) = changed(service, **fields)
    assert found.removesuffix(" (kserve-container)") == named


@pytest.mark.parametrize(
    "fields",
    [
        {"minReplicas": 3, "nodeSelector": {"gpu": "yes"}, "serviceAccountName": "prod", "labels": {"a": "b"}},
        {"model": {"resources": {"limits": {"cpu": "4"}}, "lifecycle": {}, "image": "me/mine:2"}},
        {"annotations": {"sidecar.istio.io/proxyCPU": "1", "prometheus.io/port": "9", "example.com/istio.io": "x"}},
        {"model": {"readinessProbe": {"httpGet": {"path": "/"}, "periodSeconds": 9}}},
    ],
)
def test_how_many_and_where_is_an_environments_own(fields):
    assert changed(SERVICE, **fields) == []


def test_what_a_container_beside_the_server_runs_by_its_probes_is_told():
    probed = {**SEED, "livenessProbe": {"exec": {"command": ["sh"]}, "periodSeconds": 3}}
    one, two = copy.deepcopy(SERVICE), copy.deepcopy(SERVICE)
    one["spec"]["predictor"]["containers"], two["spec"]["predictor"]["containers"] = [SEED], [probed]
    given = [servers.given(yaml.safe_dump(each), "x")["containers of scores (seed)"] for each in (one, two)]
    assert given == [SEED, {**SEED, "livenessProbe": {"command": ["sh"]}}]


def test_annotations_that_kserve_hands_on_to_the_pods_are_told():
    other = copy.deepcopy(SERVICE)
    other["metadata"]["annotations"] = {"storage.kserve.io/readonly": "false", "serving.kserve.io/deploymentMode": "x"}
    assert servers.given(yaml.safe_dump(other), "x").keys() - servers.given(yaml.safe_dump(SERVICE), "x").keys() == {
        "annotation storage.kserve.io/readonly of scores"
    }


def test_an_image_beside_the_server_is_told_where_it_has_no_digest():
    other = copy.deepcopy(OWN)
    other["spec"]["predictor"]["containers"] += [SEED, {"name": "pinned", "image": f"me/pinned@sha256:{'0' * 64}"}]
    other["spec"]["predictor"]["initContainers"] = [{"name": "first", "image": "me/first"}]
    assert servers.by_tag(yaml.safe_dump(other), "x") == {
        "containers of scores (seed)": "me/seed:1",
        "initContainers of scores (first)": "me/first",
    }
