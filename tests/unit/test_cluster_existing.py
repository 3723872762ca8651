import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
import yaml

from ci.base.errors import CIError, CommandError, MachineError, UsageError
from ci.cluster.cluster import Cluster
from ci.cluster.existing import existing_cluster
from ci.cluster.kubectl import Kubectl

CLOSED = "http://127.0.0.1:9"


class API(BaseHTTPRequestHandler):
    """As much of an API server as kubectl asks for here: one ConfigMap, and nobody else may look at Secrets."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api":
            self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        elif path == "/api/v1":
            kinds = {"configmaps": "ConfigMap", "secrets": "Secret"}
            resources = [
                {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
                for name, kind in kinds.items()
            ]
            self.answer(200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources})
        elif path == "/api/v1/namespaces/default/configmaps/there":
            self.answer(200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "there"}})
        elif "/secrets/" in path:
            self.status(403, "Forbidden", "secrets is forbidden: this user cannot get it")
        else:
            self.status(404, "NotFound", f"{path} not found")

    def status(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
        self.answer(code, status | {"message": message, "reason": reason, "code": code})

    def answer(self, code: int, body: dict) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), API) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}"
        listener.shutdown()


def kubeconfig(tmp_path: Path, server: str, *, contexts: tuple[str, ...] = ("here",), current: str = "here") -> Path:
    file = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in contexts],
        "current-context": current,
    }
    file.write_text(yaml.safe_dump(content))
    return file


def refusal(kubectl: Path, file: Path, context: str | None = None) -> CIError:
    with pytest.raises(CIError) as caught:
        anyio.run(existing_cluster, kubectl, file, context)
    return caught.value


def test_a_cluster_that_answers_is_taken_with_the_current_context(kubectl: Path, tmp_path: Path, server: str) -> None:
    file = kubeconfig(tmp_path, server, contexts=("here", "there"))

    assert anyio.run(existing_cluster, kubectl, file) == Cluster("here", file, "here", None)
    assert anyio.run(existing_cluster, kubectl, file, "there").context == "there"


def test_no_such_file(kubectl: Path, tmp_path: Path) -> None:
    error = refusal(kubectl, tmp_path / "nowhere")

    assert isinstance(error, UsageError)
    assert "nowhere: no such file" in error.message
    assert error.fix == "export KUBECONFIG=FILE, or --kubeconfig FILE"


def test_not_a_kubeconfig(kubectl: Path, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("{{{")

    error = refusal(kubectl, file)

    assert isinstance(error, UsageError)
    assert "not a kubeconfig" in error.message


def test_an_unknown_context_is_answered_with_the_known_ones(kubectl: Path, tmp_path: Path) -> None:
    error = refusal(kubectl, kubeconfig(tmp_path, CLOSED, contexts=("blue", "green")), "red")

    assert isinstance(error, UsageError)
    assert "--context red" in error.message
    assert "blue, green" in (error.fix or "")


def test_no_current_context(kubectl: Path, tmp_path: Path) -> None:
    error = refusal(kubectl, kubeconfig(tmp_path, CLOSED, current=""))

    assert isinstance(error, UsageError)
    assert "--context" in (error.fix or "")


def test_a_cluster_that_does_not_answer(kubectl: Path, tmp_path: Path) -> None:
    error = refusal(kubectl, kubeconfig(tmp_path, CLOSED))

    assert isinstance(error, MachineError)
    assert "context here does not answer" in error.message
    assert "refused" in error.message


def test_an_object_that_is_not_there_is_none(kubectl: Path, tmp_path: Path, server: str) -> None:
    client = Kubectl(kubectl, Cluster("here", kubeconfig(tmp_path, server), "here", None))

    found = anyio.run(client.get, "configmap", "there", "default")
    assert found is not None
    assert found["metadata"]["name"] == "there"
    assert anyio.run(client.get, "configmap", "elsewhere", "default") is None


def test_what_the_api_server_refuses_is_an_error_that_says_so(kubectl: Path, tmp_path: Path, server: str) -> None:
    client = Kubectl(kubectl, Cluster("here", kubeconfig(tmp_path, server), "here", None))

    with pytest.raises(CommandError, match="secrets is forbidden: this user cannot get it"):
        anyio.run(client.get, "secret", "there", "default")
