"""An image that was built here is served only where the nodes say so."""

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
