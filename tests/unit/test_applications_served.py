"""What is served is what the pods and their nodes say."""

from ci.applications import served

DIGEST = f"sha256:{'1' * 64}"
PUBLISHED = f"docker.io/kserve/sklearnserver@sha256:{'2' * 64}"


def pod(image, sidecar=PUBLISHED):
    statuses = [{"name": "kserve-container", "imageID": image}, {"name": "istio-proxy", "imageID": sidecar}]
    return {"kind": "Pod", "status": {"containerStatuses": statuses}}


def test_pods_that_all_run_it_run_no_other():
    assert served.others([pod(f"docker.io/kserve/sklearnserver@{DIGEST}")] * 2, DIGEST) == []


def test_one_pod_with_the_published_image_is_told_once():
    mine = pod(f"docker.io/kserve/sklearnserver@{DIGEST}")
    assert served.others([mine, pod(PUBLISHED), pod(PUBLISHED)], DIGEST) == [PUBLISHED]


def test_an_image_that_a_node_knows_by_no_digest_of_a_registry_is_another():
    assert served.others([pod(DIGEST), pod("")], DIGEST) == ["", DIGEST]


def test_a_pod_that_has_not_begun_says_nothing():
    assert served.others([{"kind": "Pod"}], DIGEST) == []


def made(image, uri=None):
    fetched = [{"name": "storage-initializer", "args": [uri, "/mnt/models"]}] if uri else []
    containers = [{"name": "istio-proxy", "image": "proxy"}, {"name": "kserve-container", "image": image}]
    return {"metadata": {"name": "one"}, "spec": {"initContainers": fetched, "containers": containers}}


def test_pods_of_the_set_are_what_it_says():
    image, uri = "registry.example.com/scores@sha256:aa", "s3://models/scores/1"
    assert list(served.objections([made(image, uri)], image, uri)) == []
    assert list(served.objections([made(image)], image, None)) == []


def test_a_chart_that_takes_image_or_model_from_elsewhere_is_found():
    image, uri = "registry.example.com/scores@sha256:aa", "s3://models/scores/1"
    assert list(served.objections([made("another:1", uri)], image, uri)) == [f"pod one runs another:1, not {image}"]
    for found, said in ((made(image), "no model"), (made(image, "s3://models/scores/2"), "s3://models/scores/2")):
        assert list(served.objections([found], image, uri)) == [f"pod one gets {said}, not {uri}"]
    assert list(served.objections([made(image, uri)], image, None)) == [
        f"pod one gets {uri}, not none, as the set says"
    ]
