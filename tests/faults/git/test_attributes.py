"""Argo CD reads what its checkout has: a file that `.gitattributes` changes on the way out is refused by name."""

import pytest

from tests.harness.remote import bump, tried

APPLICATION = "gitops/dev/sklearn-iris.yaml"
VALUES = "helm/charts/ml-serving/values/dev.yaml"
TEMPLATE = "helm/charts/ml-serving/templates/rollout.yaml"


@pytest.mark.parametrize(
    ("place", "line", "file", "why"),
    [
        (".gitattributes", "*.yaml eol=crlf", APPLICATION, "eol=crlf"),
        ("gitops/.gitattributes", "dev/* working-tree-encoding=UTF-16", APPLICATION, "working-tree-encoding=UTF-16"),
        ("gitops/dev/.gitattributes", "* filter=lfs diff=lfs merge=lfs -text", APPLICATION, "filter=lfs"),
        (".gitattributes", "helm/**/rollout.yaml ident", TEMPLATE, "ident"),
        ("helm/.gitattributes", f"{VALUES.removeprefix('helm/')} filter=git-crypt", VALUES, "filter=git-crypt"),
    ],
)
@pytest.mark.parametrize("command", ["bump", "diff"])
def test_a_file_that_a_checkout_changes_is_refused_and_nothing_is_written(
    clone, remote, place, line, file, why, command
):
    clone.commit(place, f"{line}\n".encode())
    before = remote.commits()

    ended = tried(clone, command)

    assert ended.returncode == 2, ended.stderr
    told = " ".join(ended.stderr.split())
    assert f"{file}: .gitattributes has git change it on the way out ({why})" in told
    assert "Traceback" not in told
    assert remote.commits() == before


@pytest.mark.parametrize(
    "line",
    [
        "* text=auto",
        "*.yaml text eol=lf",
        "*.yaml -text eol=crlf",
        "*.tgz filter=lfs diff=lfs merge=lfs -text",
        "*.yaml linguist-generated ident=no working-tree-encoding=UTF-8",
        "*.bat eol=crlf",
        "gitops/dev/* filter=lfs\ngitops/dev/* !filter",
    ],
)
def test_attributes_that_change_none_of_its_files_are_taken(clone, line):
    clone.commit(".gitattributes", f"{line}\n".encode())

    bump(clone, "2.0", "--push")
