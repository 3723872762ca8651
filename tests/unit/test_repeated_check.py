"""Two objects of one name are found by lint: a cluster keeps one of them."""

import textwrap

import pytest

from ci import project as projects
from ci.checks import repeated
from ci.manifests.chart import Chart, Rendering, Target, Values

PROJECT = """\
repository = "https://github.com/acme/models.git"

[paths]
argocd = "deploy/argocd"

[[environments]]
name = "lab"
namespace = "ml-lab"
"""
ARGOCD = "deploy/argocd"


def config(name, **metadata):
    fields = "".join(f", {key}: {value}" for key, value in metadata.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{fields}}}\n"


def listed(*objects):
    items = "".join(textwrap.indent(each, "    ").replace("    ", "  - ", 1) for each in objects)
    return f"apiVersion: v1\nkind: List\nitems:\n{items}"


def of_files(folder, files):
    for name, text in files.items():
        file = folder / ARGOCD / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found = repeated.files(folder, projects.parse(PROJECT.encode()))
    return [(each.place, each.message) for each in found]


def of_rendered(folder, *objects):
    text = "".join(f"---\n# Source: c/templates/t{number}.yaml\n{each}" for number, each in enumerate(objects))
    target = Target(
        "lab", "fraud", "fraud", "ml-lab", Chart(folder, "chart"), [Values("tree/fraud.yaml", "")], "1.37.0"
    )
    return [(name, each.file, each.message) for name, each in repeated.rendered([Rendering(target, text)])]


@pytest.mark.parametrize(
    ("files", "place", "first"),
    [
        ({"a.yaml": f"{config('x')}---\n# again\n{config('x')}"}, "a.yaml:6", "a.yaml:1"),
        ({"a.yaml": listed(config("x"), config("x"))}, "a.yaml:1", "a.yaml:1"),
        ({"a.yaml": config("x"), "b.yml": config("x")}, "b.yml:1", "a.yaml:1"),
        ({"Kustomization": "", "a.yaml": f"{config('x')}---\n{config('x')}"}, "a.yaml:5", "a.yaml:1"),
    ],
)  # fmt: skip
def test_an_object_that_its_folder_has_already_is_named_with_both_places(tmp_path, files, place, first):
    said = f"ConfigMap x: is there twice, first in {ARGOCD}/{first}: the last one alone counts"
    assert of_files(tmp_path, files) == [(f"{ARGOCD}/{place}", said)]


@pytest.mark.parametrize(
    "files",
    [
        {"a.yaml": config("x"), "b.yaml": config("x", namespace="other")},
        {"a.yaml": config("x"), "sub/a.yaml": config("x")},
        {"kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": config("x"), "patch.yaml": config("x")},
        {"a.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}\n" + "---\n" + config("x")},
        {"a.yaml": f"- {{op: remove, path: /a}}\n---\n{config('x')}---\n{config('x')}", "a.md": config("x")},
    ],
)
def test_what_may_be_meant_is_left_alone(tmp_path, files):
    assert of_files(tmp_path, files) == []


def test_an_object_that_is_rendered_twice_is_named_with_the_template_that_has_it_first(tmp_path):
    ((name, file, said),) = of_rendered(tmp_path, config("x"), config("x", namespace="ml-lab"), config("z"))
    assert (name, file) == ("lab/fraud", "chart/templates/t1.yaml")
    assert "is there twice, first by chart/templates/t0.yaml" in said


@pytest.mark.parametrize(
    "other", [config("x", namespace="other"), config("x", annotations="{helm.sh/hook: pre-upgrade}"), config("z")]
)
def test_other_objects_and_hooks_are_not_rendered_twice(tmp_path, other):
    assert of_rendered(tmp_path, config("x"), other) == []
