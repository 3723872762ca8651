"""What a project's clusters have of their own: CRDs and policies, each with its line."""

import pytest

from ci import project as projects
from ci.manifests import brought
from tests.harness import project

LIMITS = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: small}\n"
CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: models.example.org}\n"


@pytest.fixture
def made(tmp_path):
    made = project.made(tmp_path, environments=("lab",), applications=())
    file = made.folder / projects.FILE
    file.write_text(file.read_text().replace("[paths]\n", '[paths]\ncrds = "apis"\npolicies = "cluster"\n'))
    return made


def test_a_project_that_names_no_folder_has_none(tmp_path):
    made = project.made(tmp_path, environments=("lab",), applications=())
    assert brought.objects(made.folder, made.project) == []
    assert list(brought.strays(made.folder, made.project)) == []


def test_the_objects_of_both_folders_are_there_with_their_lines(made):
    made.write("apis/model.yaml", CRD)
    made.write("cluster/lab.yaml", f"# ours\n{LIMITS}---\n{LIMITS}")
    found = [(each.document["kind"], each.file, each.line) for each in brought.objects(made.folder, made.project)]
    assert found == [
        ("CustomResourceDefinition", "apis/model.yaml", 1),
        ("LimitRange", "cluster/lab.yaml", 2),
        ("LimitRange", "cluster/lab.yaml", 6),
    ]
    assert list(brought.strays(made.folder, made.project)) == []


def test_what_is_no_manifest_is_named(made):
    (missing,) = brought.strays(made.folder, made.project)
    assert (missing.file, missing.message) == (projects.FILE, "paths.policies: there is no folder cluster")
    made.write("cluster/patch.yaml", "- op: remove\n")
    (stray,) = brought.strays(made.folder, made.project)
    assert (stray.file, stray.message) == ("cluster/patch.yaml", "no manifest of Kubernetes")
