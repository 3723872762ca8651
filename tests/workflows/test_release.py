"""The release workflow, as it is, on a runner of this machine: green with evidence, red without, before anything moved.

What it talks to is real: git over HTTP on a bare repository, a registry with a password, the chart, Helm, the evidence
and its keys. GitHub's REST API and Argo CD's are served by tests/workflows/github.py and cluster.py.
"""

import io
import json
import tarfile

import pytest
import yaml

from ci.evidence import statement
from tests.harness.git_server import TOKEN
from tests.workflows import cluster as clusters
from tests.workflows import registry as registries
from tests.workflows.conftest import PROD, STAGING

WORKFLOW = "release.yaml"
EVIL = 'x";echo${IFS}pwned;#'
CHART = "charts/ml-serving"


@pytest.fixture
def act(act, clone, hub, registry, cluster, keys, report):
    """The repository's settings as docs/release.md asks for them, and the report of a green run on main."""
    hub.reports[clone.git("rev-parse", "HEAD")] = report
    act.variables |= {
        "ML_SERVING_CI_PUBLIC_KEY": keys.public.read_text(),
        "ML_SERVING_CI_REGISTRY": f"http://{registry}/charts",
        "ML_SERVING_CI_REGISTRY_USER": registries.USER,
    }
    act.secrets |= {
        "ML_SERVING_CI_KUBECONFIG": clusters.kubeconfig(cluster.address),
        "ML_SERVING_CI_REGISTRY_PASSWORD": registries.PASSWORD,
    }
    return act


def event(**inputs):
    return {"repository": {"default_branch": "main"}, "inputs": inputs}


def test_prod_gets_what_is_proven_by_one_commit_and_the_chart_is_published(act, clone, remote, hub, registry, report):
    before = remote.commits()

    run = act.run("workflow_dispatch", WORKFLOW, event(by="commit", why=EVIL))

    assert run.returncode == 0, run.stdout
    assert remote.commits()[1:] == before, "one commit, on top of what was there"
    assert remote.commits()[0] == "Promote sklearn-iris from staging to prod: model v2"
    moved, proven = remote.data(PROD), remote.data(STAGING)
    assert [moved[key] for key in ("chart", "model", "image")] == [proven[key] for key in ("chart", "model", "image")]
    assert "prod-sklearn-iris: Synced and Healthy" in run.stdout
    # Fault 22: what a person typed stays data, from the form to the commit.
    assert f"Why: {EVIL}" in remote.git("log", "-1", "--format=%B", "main")
    assert not [line for line in run.stdout.splitlines() if line.rstrip().endswith("| pwned")]
    assert registries.tags(registry, CHART) == ["0.1.0"]
    (release,) = hub.releases
    assert (release["tag_name"], release["draft"]) == ("v0.1.0", False)
    assert release["target_commitish"] == clone.git("rev-parse", "HEAD")
    assets = {name: content for (_, name), content in hub.files.items()}
    assert assets == report, "every file of the report, and the very chart that was tested"
    with tarfile.open(fileobj=io.BytesIO(assets["ml-serving-0.1.0.tgz"])) as archive:
        packaged = archive.extractfile("ml-serving/Chart.yaml").read()
    assert yaml.safe_load(packaged) == yaml.safe_load(clone.read("helm/charts/ml-serving/Chart.yaml"))


def test_a_tag_opens_a_pull_request_and_leaves_prod_to_it(act, clone, remote, hub, registry):
    clone.git("tag", "v0.1.0")
    clone.git("push", str(remote.folder), "v0.1.0")
    before = remote.commits()

    run = act.run("push", WORKFLOW, event(), ref="refs/tags/v0.1.0")

    assert run.returncode == 0, run.stdout
    assert remote.commits() == before
    (pull,) = hub.pulls
    assert (pull["head"], pull["base"]) == ("ml-serving-ci/prod.sklearn-iris.promote", "main")
    assert len(remote.git("rev-list", f"main..{pull['head']}").split()) == 1
    assert registries.tags(registry, CHART) == ["0.1.0"]


def tampered(report):
    """Change one letter of what the evidence says; the signature is left as it was."""
    envelope = json.loads(report[statement.EVIDENCE])
    payload = bytearray(envelope["payload"].encode())
    payload[1000] ^= 1 if payload[1000] != ord("A") else 2
    return {**report, statement.EVIDENCE: json.dumps({**envelope, "payload": payload.decode()}).encode()}


def unsigned(report):
    return {
        **report,
        statement.EVIDENCE: json.dumps({**json.loads(report[statement.EVIDENCE]), "signatures": []}).encode(),
    }


def with_another_report(report):
    return {**report, "report.json": report["report.json"].replace(b"passed", b"failed")}


def without(report):
    return {name: content for name, content in report.items() if name != statement.EVIDENCE}


@pytest.mark.parametrize("change", [tampered, unsigned, with_another_report, without])
def test_without_good_evidence_nothing_moves(act, clone, remote, hub, registry, report, change):
    hub.reports[clone.git("rev-parse", "HEAD")] = change(report)
    before = remote.git("rev-parse", "main")

    run = act.run("workflow_dispatch", WORKFLOW, event(by="commit"))

    assert run.returncode != 0
    assert "error:" in run.stdout
    assert remote.git("rev-parse", "main") == before
    assert remote.git("branch", "--list").split() == ["*", "main"]
    assert registries.tags(registry, CHART) == []
    assert hub.releases == hub.pulls == []
    assert TOKEN not in run.stdout


def test_a_commit_that_no_run_has_proven_does_not_move(act, remote, hub):
    hub.reports.clear()

    run = act.run("workflow_dispatch", WORKFLOW, event(by="commit"))

    assert run.returncode != 0
    assert "has no green run of pull-request.yaml" in run.stdout
    assert hub.releases == hub.pulls == []
