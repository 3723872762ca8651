"""What `pytest tests/integration --app NAME` collects: the real suite, helm and kubectl, and a release to look at."""

import base64
import gzip
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from ci.base.paths import CHART, ROOT
from ci.stages import alone
from ci.stages import suite as suites
from tests.harness import chart, project
from tests.harness.remote import run

APP, NAMESPACE = "fraud-score", "acme-lab"
KNOWN = {"protocol": "json", "path": "/ask", "request": {"sum": 7}, "at": "$.score", "expected": 0.5}
QUESTIONS = {
    "name": APP,
    "version": 1,
    "source": "written down by hand",
    "gates": {"all": {"accuracy": 1}},
    "inputs": [{"id": "one", "instance": [1.5], "expected": 2}],
}
OFF = {
    "features": {"canaryDeployment": False, "sloMonitoring": False, "autoscaling": False},
    "podDisruptionBudget": {"enabled": False},
}
SAMPLES_ALONE = {
    *("test_inference.py", "test_canary.py", "test_first_deploy.py", "test_two_releases.py", "test_upgrade.py"),
    *("test_uninstall.py", "test_gateway.py", "test_dashboards.py", "test_gitops.py", "test_bad_releases.py"),
}


def stored(values):
    """A release as Helm keeps it, of a model of the tests' own: a Secret with JSON that is packed twice."""
    model = {chart.EXAMPLE: {**chart.VALUES, **values.get(chart.EXAMPLE, {})}}
    release = {
        "name": APP,
        "namespace": NAMESPACE,
        "version": 1,
        "info": {"status": "deployed"},
        "chart": {
            "metadata": {"name": "serving", "version": "1.0.0", "apiVersion": "v2"},
            "values": yaml.safe_load((CHART / "values.yaml").read_text()),
        },
        "config": {**values, **model},
    }
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{APP}.v1",
            "namespace": NAMESPACE,
            "labels": {"name": APP, "owner": "helm", "status": "deployed", "version": "1"},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(packed).decode()},
    }


class API(BaseHTTPRequestHandler):
    """As much of an API server as it takes to say what is installed: the Secrets of one release."""

    secret = None

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == f"/api/v1/namespaces/{NAMESPACE}/secrets":
            (selector,) = parse_qs(url.query).get("labelSelector", [""])
            wanted = dict(each.split("=") for each in selector.split(",") if each)
            there = wanted.items() <= self.secret["metadata"]["labels"].items()
            self.answer({"kind": "SecretList", "apiVersion": "v1", "items": [self.secret] if there else []})
        elif url.path.endswith("/secrets"):
            self.answer({"kind": "SecretList", "apiVersion": "v1", "items": []})
        else:
            self.answer(
                {"kind": "APIVersions", "versions": ["v1"], "major": "1", "minor": "36", "gitVersion": "v1.36.0"}
            )

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture(scope="module")
def cluster():
    """Its address, and what may be installed there."""
    installed = type("Installed", (API,), {"secret": stored({})})
    with ThreadingHTTPServer(("127.0.0.1", 0), installed) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}", installed
        listener.shutdown()


class Suite:
    """The suite, as a stage starts it, with a cluster that has one release, and a project with its application."""

    def __init__(self, folder, cluster, tools):
        url, self.installed = cluster
        self.folder = folder
        self.project = project.made(folder / "project")
        self.kubeconfig = folder / "kubeconfig"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "here",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))
        found = [str(tool.parent) for tool in tools]
        path = os.pathsep.join([*found, os.environ["PATH"]])
        self.env = {"PATH": path, "ML_SERVING_CI_SUPPLY": "upstream", "ML_SERVING_CI_CACHE": str(folder)}

    def collect(self, *options):
        """Return how it ended, and the names of its tests."""
        listed = self.folder / "listed.json"
        program = ["-E", "-P", alone.__file__, ROOT, "tests/integration", "--collect-only", "-q", f"--listed={listed}"]
        given = (f"--kubeconfig={self.kubeconfig}", f"--namespace={NAMESPACE}", f"--project={self.project.folder}")
        ended = run([sys.executable, *program, *given, *options], cwd=ROOT, check=False, env=self.env)
        return ended, json.loads(listed.read_bytes()) if listed.exists() else []

    def of(self, values, *, golden=True):
        """Return the names of the tests for the application as it is installed, and what was said."""
        self.installed.secret = stored(values)
        if golden:
            self.project.write(f"golden/{APP}.yaml", yaml.safe_dump(QUESTIONS))
        ended, tests = self.collect(f"--app={APP}")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return tests, ended.stdout


@pytest.fixture
def suite(tmp_path, cluster, kubectl, chart):
    return Suite(tmp_path, cluster, [kubectl, Path(chart.helm)])


def names(tests, file):
    return {test.partition("::")[2] for test in tests if test.startswith(f"tests/integration/{file}::")}


def files(tests):
    return {Path(test.partition("::")[0]).name for test in tests}


def test_an_application_with_every_part_of_the_chart_has_all_that_is_not_the_samples_alone(suite):
    tests, said = suite.of({"exampleModel": {"knownAnswer": KNOWN}})

    every = {file.name for file in (ROOT / "tests" / "integration").glob("test_*.py")}
    assert files(tests) == every - SAMPLES_ALONE
    assert names(tests, "test_rollout_control.py") == {"test_the_plugin_shows_the_rollout_as_the_guide_has_it"}
    assert f"{APP}: " in said
    assert "left out, which need sample" in said
    assert "which need features" not in said


def test_what_an_application_has_turned_off_is_not_asked_of_it_and_is_told(suite):
    tests, said = suite.of(OFF, golden=False)

    assert files(tests) == {suites.ALWAYS}
    assert names(tests, suites.ALWAYS) == {
        "test_every_pod_runs_the_model_and_a_sidecar",
        "test_a_service_account_of_its_own",
    }
    for value in ("exampleModel.knownAnswer", "features.canaryDeployment", "podDisruptionBudget.enabled"):
        assert f"left out, which need {value}" in said


def test_without_a_known_answer_figures_are_made_by_the_golden_inputs_and_without_these_they_are_not_asked_for(suite):
    figures = "test_requests_are_counted_by_service_model_revision_and_code"
    without, said = suite.of({}, golden=False)
    assert figures not in names(without, "test_monitored.py")
    assert "test_each_pod_is_scraped_exactly_once" in names(without, "test_monitored.py")
    assert "left out, which need question" in said

    tests, _ = suite.of({})

    assert figures in names(tests, "test_monitored.py")
    assert "test_golden.py" in files(tests)
    assert not {"test_known_answer.py", "test_helm_test.py"} & files(tests)


def test_without_an_application_it_is_the_samples_and_asks_no_cluster_what_there_is(suite):
    suite.kubeconfig.unlink()
    ended, tests = suite.collect()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    asked_for = {"test_gitops.py", "test_bad_releases.py"}
    assert SAMPLES_ALONE - asked_for <= files(tests)
    assert "test_golden.py" not in files(tests)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--app=price-rank",), f"no release price-rank in namespace {NAMESPACE}"),
        (("--app=",), "--app: an empty name"),
        ((f"--app={APP}", "--project=/nowhere"), "/nowhere/ml-serving-ci.toml: no such file"),
    ],
)
def test_what_cannot_be_looked_at_is_told_in_one_line(suite, options, said):
    ended, _ = suite.collect(*options)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {said}" in ended.stderr, ended.stderr


def test_a_golden_file_that_is_wrong_is_named(suite):
    suite.project.write(f"golden/{APP}.yaml", yaml.safe_dump({**QUESTIONS, "gates": {}}))
    ended, _ = suite.collect(f"--app={APP}")
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"golden/{APP}.yaml" in ended.stderr
    assert "gates.all: not declared" in ended.stderr
