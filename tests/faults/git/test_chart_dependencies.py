"""A change of a chart that an application's own depends on is a change of the application: shown, planned, proven anew.

What Helm makes of such a chart, and all that is refused, is in tests/unit/test_tree_dependencies.py.
"""

import json
from pathlib import PurePosixPath

import pytest
import yaml

from ci.evidence.envelope import EvidenceError
from tests.harness import scene as scenes
from tests.harness.remote import bump, ci
from tests.harness.scene import APP, CHART, PROD, STAGING, promote, release

COMMON = f"{PurePosixPath(CHART).parent}/common"
MAP = f"{COMMON}/templates/map.yaml"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: common}}\ndata: {{said: {}}}\n"
NEAR = "file://../common"
FAR = "https://charts.example.com"
NOT_OF_GIT = f"Argo CD would get it from {FAR}, and what that answers is no commit's"


def depend(clone, repository=NEAR):
    """Have the chart depend on another, beside it; its schema knows the values that Helm makes of that."""
    folder = clone.folder / CHART
    head = yaml.safe_load((folder / "Chart.yaml").read_text())
    head["dependencies"] = [{"name": "common", "version": "1.x.x", "repository": repository}]
    schema = json.loads((folder / "values.schema.json").read_text())
    schema["properties"] |= {"common": {"type": "object"}, "global": {"type": "object"}}
    (folder / "values.schema.json").write_text(json.dumps(schema))
    (clone.folder / MAP).parent.mkdir(parents=True, exist_ok=True)
    (clone.folder / COMMON / "Chart.yaml").write_text("apiVersion: v2\nname: common\nversion: 1.0.0\n")
    (clone.folder / MAP).write_text(CONFIG_MAP.format("before"))
    clone.git("add", "--all")
    clone.commit(f"{CHART}/Chart.yaml", yaml.safe_dump(head, sort_keys=False).encode(), "Depend on common")


def changed(clone):
    clone.commit(MAP, CONFIG_MAP.format("after").encode(), "Change common alone")


def test_it_is_taken_by_a_bump(clone, remote):
    depend(clone)
    bump(clone, "2.0", "--push")
    assert remote.data()["model"]["version"] == "2.0"


def test_a_change_of_what_it_depends_on_is_shown(clone, tmp_path):
    depend(clone)
    changed(clone)
    shown = ci(clone, "diff", "--base=HEAD~1", f"--out={tmp_path / 'diff.json'}")
    found = json.loads((tmp_path / "diff.json").read_text())
    assert {(each["kind"], each["name"], each["place"]) for each in found["objects"]} == {
        ("ConfigMap", "common", f"{environment}/{APP}") for environment in ("dev", "staging", "prod")
    }
    assert "said: after" in shown.stdout


def test_a_comment_in_what_it_depends_on_is_named_as_one_of_the_chart_is(clone):
    depend(clone)
    clone.commit(f"{COMMON}/README.md", b"Common\n")
    assert MAP not in ci(clone, "diff", "--base=HEAD~1").stdout
    assert f"{COMMON}/README.md" in ci(clone, "diff", "--base=HEAD~1").stdout


def test_a_change_of_what_it_depends_on_is_planned(clone):
    depend(clone)
    changed(clone)
    planned = json.loads(ci(clone, "plan", "--base=HEAD~1", "--json").stdout)
    assert [(each["environment"], each["kind"], each["why"]) for each in planned["applications"]] == [
        (environment, "changed", [{"path": MAP, "said": ""}]) for environment in ("dev", "staging", "prod")
    ]
    assert planned["aside"] == []


def test_a_change_beside_it_is_not(clone):
    depend(clone)
    clone.commit("helm/charts/another/values.yaml", b"a: 1\n")
    planned = json.loads(ci(clone, "plan", "--base=HEAD~1", "--json").stdout)
    assert planned["applications"] == []
    assert [each["path"] for each in planned["aside"]] == ["helm/charts/another/values.yaml"]


def test_evidence_of_the_chart_holds_until_what_it_depends_on_differs(tmp_path, monkeypatch):
    scene = scenes.made(tmp_path)
    depend(scene.clone)
    pinned = scene.clone.git("rev-parse", "HEAD")
    for path in (STAGING, PROD):
        release(scene.clone, path, revision=pinned)
    file = scene.evidence(monkeypatch, scene.said())
    changed(scene.clone)
    release(scene.clone, STAGING, revision=scene.clone.git("rev-parse", "HEAD"))
    with pytest.raises(EvidenceError, match=r"chart\.gitTree: "):
        promote(scene, file)

    release(scene.clone, STAGING, revision=pinned)
    promote(scene, file)
    assert yaml.safe_load(scene.clone.git("show", f"main:{PROD}"))["model"]["version"] == "2.0"


def test_evidence_of_a_work_tree_whose_common_chart_was_not_committed_proves_nothing(tmp_path, monkeypatch):
    scene = scenes.made(tmp_path)
    depend(scene.clone)
    for path in (STAGING, PROD):
        release(scene.clone, path, revision=scene.clone.git("rev-parse", "HEAD"))
    (scene.clone.folder / MAP).write_text(CONFIG_MAP.format("not committed"))
    with pytest.raises(EvidenceError, match=f"predicate.project.folders {COMMON}: "):
        promote(scene, scene.evidence(monkeypatch, scene.said()))


@pytest.mark.parametrize("command", ["bump", "diff", "publish"])
@pytest.mark.parametrize(
    ("repository", "said"),
    [(FAR, NOT_OF_GIT), ("file://../../../../common", "file://../../../../common is outside of the repository")],
)
def test_what_no_commit_has_is_refused_by_file_and_line_and_nothing_is_written(
    clone, remote, command, repository, said
):
    depend(clone, repository)
    before = remote.commits()
    lines = (clone.folder / CHART / "Chart.yaml").read_text().splitlines()
    named = f"{CHART}/Chart.yaml:{lines.index('- name: common') + 1}: dependency common: {said}"
    ended = {
        "bump": lambda: bump(clone, "2.0", "--push", check=False),
        "diff": lambda: ci(clone, "diff", "--base=HEAD~1", check=False),
        "publish": lambda: ci(clone, "publish", "--dry-run", "--registry=oci://registry.example.com/c", check=False),
    }[command]()
    assert (ended.returncode, named in ended.stderr) == (2, True), ended.stderr
    assert f"helm dependency update {CHART}, and commit {CHART}/charts" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert remote.commits() == before


def test_the_change_that_packs_it_is_shown_with_all_that_is_deployed_by_it(clone):
    depend(clone, FAR)
    clone.git("checkout", "--quiet", "-b", "pack")
    depend(clone, NEAR)
    shown = ci(clone, "diff")
    assert NOT_OF_GIT in shown.stderr
    assert "ConfigMap" in shown.stdout
