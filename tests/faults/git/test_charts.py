"""A chart is the files that git has for it: what Argo CD would add to them is refused before anything is written."""

import pytest

from tests.harness import project as projects
from tests.harness.remote import bump, ci, tried

CHART = "helm/charts/ml-serving"
OVERRIDES = b"helm: {parameters: [{name: exampleModel.storageUri, value: gs://elsewhere/model}]}\n"


def overrides_of_one(clone):
    path = f"{CHART}/.argocd-source-prod-sklearn-iris.yaml"
    clone.commit(path, OVERRIDES)
    return path


def overrides_of_all(clone):
    path = f"{CHART}/.argocd-source.yaml"
    clone.commit(path, OVERRIDES)
    return path


def submodule(clone):
    path = f"{CHART}/templates/sub"
    head = clone.git("rev-parse", "HEAD")
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{head},{path}")
    push(clone)
    return path


def link_out(clone):
    return linked(clone, "shared.yaml", "../../../../gitops/dev/sklearn-iris.yaml")


def link_to_a_folder(clone):
    return linked(clone, "more", "/etc")


def linked(clone, name, target):
    path = f"{CHART}/templates/{name}"
    (clone.folder / path).symlink_to(target)
    clone.git("add", "--", path)
    push(clone)
    return path


def push(clone):
    clone.git("commit", "--quiet", "--message=Somebody else's change")
    clone.git("push", "--quiet", "origin", "main")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (overrides_of_one, "has parameters for Argo CD alone, over those of the tree"),
        (overrides_of_all, "has parameters for Argo CD alone, over those of the tree"),
        (submodule, "is a submodule, which Argo CD fetches and renders"),
        (link_out, "is a link, which Argo CD follows in its own checkout"),
        (link_to_a_folder, "is a link, which Argo CD follows in its own checkout"),
    ],
)
@pytest.mark.parametrize("command", ["bump", "diff", "publish"])
def test_what_argo_cd_would_add_is_refused_by_name_and_nothing_is_written(clone, remote, added, said, command):
    path = added(clone)
    before = remote.commits()
    ended = tried(clone, command)
    assert (ended.returncode, f"{path}: {said}" in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr
    assert remote.commits() == before
    assert clone.git("status", "--porcelain", "--untracked-files=all", "--ignore-submodules") == ""


def test_a_change_that_mends_it_is_shown(clone):
    path = overrides_of_all(clone)
    clone.git("rm", "--quiet", path)
    clone.commit(
        f"{CHART}/templates/more.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n", "Mend it"
    )
    assert "ConfigMap" in ci(clone, "diff", "--base", "HEAD~1").stdout


def test_an_executable_file_and_files_that_begin_with_a_dot_are_a_charts_own(clone):
    for name in (".helmignore", ".argocd", "files/run.sh"):
        clone.commit(f"{CHART}/{name}", b"*.orig\n")
    clone.git("update-index", "--chmod=+x", f"{CHART}/files/run.sh")
    push(clone)
    bump(clone, "2.0")


@pytest.mark.parametrize("name", [".argocd-source.yaml", "templates/link.yaml"])
def test_lint_finds_it_in_the_work_tree_for_each_application_that_follows_the_branch(tmp_path, name):
    made = projects.made(tmp_path)
    file = made.folder / projects.CHART_FOLDER / name
    if name.startswith("."):
        file.write_bytes(OVERRIDES)
    else:
        file.symlink_to("../values.yaml")
    found = made.judged()
    assert found.judged == []
    assert {each.file for each in found.findings} == {
        f"{projects.CHART_FOLDER}/{name}",
        *(f"{projects.TREE}/{each}/{name}.yaml" for each in projects.ENVIRONMENTS for name in projects.APPLICATIONS),
    }
