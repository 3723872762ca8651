"""A wait for a model ends early where waiting does not help, and names the container; else it goes on."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.cluster import diagnostics, readiness
from ci.cluster.cluster import Cluster
from ci.cluster.kubectl import Kubectl

LOG = "loading /mnt/models\nLightGBMError: Unknown model format\n\n"
SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "prices", "namespace": "apps", "generation": 1},
    "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "NotYet"}]},
}


class API(BaseHTTPRequestHandler):
    """As much of an API server as kubectl asks for here: an InferenceService that is not ready, pods and a log."""

    pods = ()

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path.endswith("/log"):
            wanted = path.endswith("/pods/prices-new/log") and "previous=true" in query and "container=server" in query
            return self.answer(LOG.encode() if wanted else b"another log\n", "text/plain")
        listed = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/api/v1": resources("v1", {"pods": "Pod"}),
            "/apis": {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": "serving.kserve.io",
                        "versions": [{"groupVersion": "serving.kserve.io/v1beta1", "version": "v1beta1"}],
                    }
                ],
            },
            "/apis/serving.kserve.io/v1beta1": resources(
                "serving.kserve.io/v1beta1", {"inferenceservices": "InferenceService"}
            ),
            "/apis/serving.kserve.io/v1beta1/namespaces/apps/inferenceservices/prices": SERVICE,
            "/api/v1/namespaces/apps/pods": {"kind": "PodList", "apiVersion": "v1", "items": list(self.server.pods)},
            **{f"/api/v1/namespaces/apps/pods/{each['metadata']['name']}": each for each in self.server.pods},
        }
        return self.answer(json.dumps(listed[path]).encode(), "application/json")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def resources(version, kinds):
    listed = [
        {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
        for name, kind in kinds.items()
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}


@pytest.fixture
def waited(kubectl, tmp_path, monkeypatch):
    """Wait for the InferenceService of some pods; return what ended the wait."""
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), API) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        file = tmp_path / "kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{listener.server_port}"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }
        file.write_text(yaml.safe_dump(content))
        client = Kubectl(kubectl, Cluster("here", file, "here", None))

        def wait(*pods, seconds=60.0):
            listener.pods = pods
            with pytest.raises(CheckFailedError) as ended:
                anyio.run(readiness.inference_service, client, "apps", "prices", seconds)
            return ended.value

        yield wait
        listener.shutdown()


def pod(status, name="prices-new", born="2026-01-02T00:00:00Z", revision="2"):
    labels = {"serving.kserve.io/inferenceservice": "prices", "pod-template-hash": revision}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "apps", "creationTimestamp": born, "labels": labels},
        "spec": {"containers": [{"name": "server"}]},
        "status": {"phase": "Pending", "containerStatuses": [status]},
    }


def waiting(reason, restarts=0, code=None, why="Error", name="server"):
    ended = {"lastState": {"terminated": {"exitCode": code, "reason": why}}} if code is not None else {}
    state = {"waiting": {"reason": reason}}
    return {"name": name, "restartCount": restarts, "ready": False, "state": state, **ended}


def crashed(restarts=2, code=1, **more):
    return waiting("CrashLoopBackOff", restarts, code, **more)


def test_a_container_that_ends_again_and_again_ends_the_wait_and_is_named(waited):
    error = waited(pod(crashed()))

    assert not isinstance(error, WaitTimeoutError)
    assert error.message == (
        "InferenceService prices is Ready: waiting does not help: pod apps/prices-new, container server: "
        "ended with exit code 1, restarted 2 times: LightGBMError: Unknown model format"
    )


def test_what_the_revision_before_failed_of_is_over(waited):
    old = pod(crashed(), "prices-old", "2026-01-01T00:00:00Z", "1")

    assert isinstance(waited(pod(waiting("PodInitializing")), old, seconds=1.0), WaitTimeoutError)


@pytest.mark.parametrize(
    "status",
    [
        crashed(),
        crashed(code=0),
        crashed(code=137, why="OOMKilled"),
        crashed(name="storage-initializer"),
        waiting("ErrImageNeverPull"),
        waiting("InvalidImageName"),
    ],
)
def test_what_no_later_try_changes_is_final(status):
    assert diagnostics.is_final(status)


@pytest.mark.parametrize(
    "status",
    [
        crashed(restarts=1),
        crashed(code=137),
        crashed(code=143, restarts=5),
        waiting("ImagePullBackOff"),
        waiting("CreateContainerConfigError"),
        waiting("PodInitializing"),
        {"name": "server", "restartCount": 4, "ready": False, "state": {"running": {}}},
    ],
    ids=["once", "killed", "killed often", "a pull", "a Secret", "it begins", "it runs again"],
)
def test_what_may_heal_is_not(status):
    assert not diagnostics.is_final(status)
