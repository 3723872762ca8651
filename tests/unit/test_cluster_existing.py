import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
import yaml

from ci.base.errors import CIError, CommandError, MachineError, UsageError
from ci.cluster.cluster import Cluster
from ci.cluster.existing import existing_cluster, identity
from ci.cluster.kubectl import Kubectl
from ci.project import FILE
from ci.results import ExistingCluster, Report
from ci.stages import cluster as stage
from ci.stages import scope as scopes
from ci.stages.run import Options, Run
from ci.supply.supply import Supply
from tests.harness import project

UID = "5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11"
CLOSED = "http://127.0.0.1:9"


class API(BaseHTTPRequestHandler):
    """As much of an API server as kubectl asks for here: one ConfigMap, and nobody else may look at Secrets."""

    open = True
    """Whether this user may read the namespace kube-system."""

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/api":
            self.answer(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            self.answer(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        elif path == "/api/v1":
            kinds = {"configmaps": "ConfigMap", "secrets": "Secret", "namespaces": "Namespace"}
            resources = [
                {
                    "name": name,
                    "singularName": kind.lower(),
                    "namespaced": name != "namespaces",
                    "kind": kind,
                    "verbs": ["get"],
                }
                for name, kind in kinds.items()
            ]
            self.answer(200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources})
        elif path == "/api/v1/namespaces/default/configmaps/there":
            self.answer(200, {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "there"}})
        elif path == "/api/v1/namespaces/kube-system" and self.open:
            self.answer(200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": UID}})
        elif "/secrets/" in path or "/namespaces/kube-system" in path:
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


def test_a_cluster_is_known_by_what_no_kubeconfig_can_say(kubectl: Path, tmp_path: Path, server: str) -> None:
    file = kubeconfig(tmp_path, server, contexts=("here", "staging-eu"), current="")

    found = anyio.run(identity, Kubectl(kubectl, Cluster("staging-eu", file, "staging-eu", None)))

    assert found == ExistingCluster("staging-eu", server, UID)


@pytest.fixture
def ran(kubectl: Path, tmp_path: Path, server: str, monkeypatch):
    """Run the stage `cluster` on the server, of a project and a change of it; the report is what comes of it."""
    folder = tmp_path / "project"
    folder.mkdir()
    made = project.made(folder, environments=("lab", "live"), applications=("fraud-score",))
    made.commit()
    monkeypatch.setattr(Supply, "tool", lambda self, name: kubectl)

    def run(*, since: str | None = None, before: str = "", now: str = "", left_out: tuple[str, ...] = ()) -> Report:
        for text in (before, now):
            made.write(FILE, project.toml(("lab", "live")) + text)
            made.commit() if made.git("status", "--porcelain") else None

        async def stages() -> Report:
            scope = await scopes.since(folder, since, "origin") if since else None
            options = Options(folder, "lab", False, kubeconfig(tmp_path, server), None, False, tmp_path)
            report = Report("test", "now", left_out=list(left_out))
            async with AsyncExitStack() as cleanup:
                run = Run(options, Supply("source", tmp_path), report, cleanup, scope=scope, platform=False)
                await stage.execute(run)
            return report

        return anyio.run(stages)

    return run


NAMED = f'\n[cluster.evidence]\nstaging-eu = "{UID}"\n'


def test_a_run_counts_on_a_cluster_that_the_project_file_names(ran, server: str) -> None:
    report = ran(now=NAMED)

    assert report.unproven == ""
    assert report.cluster == ExistingCluster("here", server, UID)


def test_a_run_elsewhere_counts_nowhere_and_says_which_line_would_change_that(ran, capsys) -> None:
    report = ran(now=NAMED.replace("5f0f7a0e", "00000000").replace("staging-eu", "here"))

    line = f'its line under [cluster.evidence]: "here" = "{UID}"'
    assert report.unproven == f"{FILE} does not count this cluster; {line}"
    assert f"no evidence will be written: {report.unproven}" in " ".join(capsys.readouterr().err.split())


def test_no_change_lets_a_cluster_of_its_own_in(ran) -> None:
    report = ran(since="HEAD~1", before="# a word\n", now=NAMED)

    assert report.unproven.startswith(f"{FILE} of ")
    assert "does not count this cluster" in report.unproven


def test_once_it_is_in_the_base_it_counts_for_every_change(ran) -> None:
    assert ran(since="HEAD~1", before=NAMED, now=f"{NAMED}# a word\n").unproven == ""


def test_a_narrowed_run_says_nothing_of_evidence_that_it_would_not_write_anyway(ran, capsys) -> None:
    ran(left_out=("gitops",))

    assert "no evidence" not in capsys.readouterr().err


def test_credentials_that_cannot_tell_which_cluster_it_is_prove_nothing(ran, monkeypatch) -> None:
    monkeypatch.setattr(API, "open", False)

    report = ran(now=NAMED)

    assert report.unproven.startswith("the cluster of context here does not tell which it is: ")
    assert report.cluster is None
