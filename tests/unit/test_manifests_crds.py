"""CRDs of a project's own: which there are, and what does not belong among them."""

import pytest

from ci.manifests import brought, crds
from tests.harness import project

CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: models.example.org}
spec: {group: example.org}
"""
CRD_FOLDER = "apis"


@pytest.fixture
def made(tmp_path):
    made = project.made(tmp_path, environments=("lab",), applications=())
    file = made.folder / "ml-serving-ci.toml"
    file.write_text(file.read_text().replace("[paths]\n", f'[paths]\ncrds = "{CRD_FOLDER}"\n'))
    return made


def strays(made):
    return [(each.file, each.line, each.message) for each in crds.strays(made.folder, made.project)]


def test_a_project_that_names_no_folder_has_none(tmp_path):
    made = project.made(tmp_path, environments=("lab",), applications=())
    assert (crds.own(made.folder, made.project), strays(made)) == ([], [])


def test_those_of_all_files_count(made):
    made.write(f"{CRD_FOLDER}/models/one.yaml", CRD)
    made.write(f"{CRD_FOLDER}/two.yml", f"{CRD.replace('example.org', 'example.com')}---\n{CRD}")
    groups = [each["spec"]["group"] for each in crds.own(made.folder, made.project)]
    assert sorted(groups) == ["example.com", "example.org", "example.org"]
    assert strays(made) == []


def test_what_is_none_is_named_with_its_line(made):
    assert strays(made) == [("ml-serving-ci.toml", 0, f"paths.crds: there is no folder {CRD_FOLDER}")]
    made.write(f"{CRD_FOLDER}/one.yaml", f"{CRD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\n")
    made.write(f"{CRD_FOLDER}/README.md", "# Ours\n")
    made.write(f"{CRD_FOLDER}/two.yaml", "- op: remove\n")
    assert strays(made) == [
        (f"{CRD_FOLDER}/one.yaml", 6, "ConfigMap, and no CustomResourceDefinition"),
        (f"{CRD_FOLDER}/two.yaml", 0, "no manifest of Kubernetes"),
    ]


def test_the_stack_s_own_are_refused_and_do_not_count(made):
    own = "applications.argoproj.io"  # the stack has others of this group
    pinned = "inferenceservices.serving.kserve.io"
    made.write(
        f"{CRD_FOLDER}/one.yaml", "---\n".join(CRD.replace("models.example.org", name) for name in (own, pinned))
    )
    said = f"CustomResourceDefinition {pinned}: the stack has it, and its pinned version counts"
    assert strays(made) == [(f"{CRD_FOLDER}/one.yaml", 6, said)]
    assert [each["metadata"]["name"] for each in crds.own(made.folder, made.project)] == [own]
    assert [each.document["metadata"]["name"] for each in brought.objects(made.folder, made.project)] == [own]
