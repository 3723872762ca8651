"""The ApplicationSet as git has it decides what is rendered; what of it is not carried out here is refused by name."""

import json

import pytest
import yaml

from ci import project
from ci.tree import argocd
from tests.harness import project as projects
from tests.harness import remote as remotes
from tests.harness.remote import bump, ci, tried

FILE = "k8s/argocd/argocd-applications.yaml"
VALUES_FILES = "/spec/template/spec/source/helm/valueFiles"
PARAMETERS = b"          parameters: [{name: exampleModel.image, value: elsewhere}]\n"
PRODS = "values/{{ .environment }}.yaml"


@pytest.fixture
def clone(clone):
    """The project with what Argo CD is given."""
    for path, content in argocd.render(project.load(clone.folder)).items():
        clone.commit(path, content)
    return clone


def with_parameters(clone):
    content = clone.read(FILE)
    line = b"          ignoreMissingValueFiles: true\n"
    clone.commit(FILE, content.replace(line, line + PARAMETERS))
    return content.decode().splitlines().index(line.decode().rstrip("\n")) + 2


def elsewhere(clone):
    content = clone.read(FILE)
    clone.commit(FILE, content.replace(b"namespace: ml-serving\n", b"namespace: kube-system\n"))
    return content.decode().splitlines().index("                  namespace: ml-serving") + 1


def of_another_branch(clone):
    content = clone.read(FILE)
    clone.commit(FILE, content.replace(b"'{{ .chart.revision }}'", b"next"))
    return content.decode().splitlines().index("        targetRevision: '{{ .chart.revision }}'") + 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_parameters, "spec.template.spec.source.helm.parameters: is not carried out here"),
        (elsewhere, "namespace: is 'kube-system', and ml-serving-ci.toml makes it 'ml-serving'"),
        (
            of_another_branch,
            "source.targetRevision: is 'next', and ml-serving-ci.toml makes it '{{ .chart.revision }}'",
        ),
    ],
)
@pytest.mark.parametrize("command", ["bump", "diff", "plan"])
def test_what_is_not_carried_out_is_refused_with_file_and_line_and_nothing_is_written(
    clone, remote, change, said, command
):
    line = change(clone)
    before = remote.commits()
    ended = tried(clone, command)
    assert ended.returncode == 2, ended.stderr
    assert f"error: {FILE}:{line}: spec." in ended.stderr and said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert remote.commits() == before


@pytest.mark.parametrize("command", ["bump", "diff", "plan"])
@pytest.mark.parametrize("other", ["k8s/argocd/more.yaml", "k8s/argocd/team/sets.yml"])
def test_a_second_one_of_its_name_is_refused_with_both_places(clone, remote, command, other):
    clone.commit(
        other, b"# ours\n---\n" + clone.read(FILE).replace(b"values/{{ .environment }}.yaml", b"values/dev.yaml")
    )
    before = remote.commits()
    ended = tried(clone, command)
    assert ended.returncode == 2, ended.stderr
    lines = [number for number, line in enumerate(clone.read(FILE).splitlines(), 1) if not line.startswith(b"#")]
    said = f"error: {other}:{lines[0] + 2}: ApplicationSet ml-serving: is there twice, first in {FILE}:{lines[0]}: "
    assert said in " ".join(ended.stderr.split())
    assert remote.commits() == before


def test_an_application_set_of_another_name_or_of_another_argo_cd_is_beside_it(clone):
    content = clone.read(FILE)
    clone.commit("k8s/argocd/more.yaml", content.replace(b"  name: ml-serving\n", b"  name: monitoring\n", 1))
    clone.commit("k8s/argocd/theirs.yaml", content.replace(b"namespace: argocd\n", b"namespace: theirs\n", 1))
    clone.commit("k8s/argocd/notes.txt", content)
    bump(clone, "2.0")


def test_a_change_that_puts_it_right_is_shown_and_what_was_before_is_said(clone):
    before = clone.read(FILE)
    with_parameters(clone)
    clone.commit(FILE, before)
    ended = ci(clone, "diff", "--base", "HEAD~1")
    assert "before, rendered as ml-serving-ci.toml has it: " in ended.stderr
    assert "spec.template.spec.source.helm.parameters" in ended.stdout


def test_other_values_files_are_rendered_through_in_each_environment(clone):
    clone.commit(FILE, clone.read(FILE).replace(PRODS.encode(), b"values/dev.yaml"))
    file = clone.folder.parent / "diff.json"
    ci(clone, "diff", "--base", "HEAD~1", f"--out={file}")
    changed = {each["place"] for each in json.loads(file.read_text())["objects"]}
    assert changed == {"k8s/argocd", "staging/sklearn-iris", "prod/sklearn-iris"}


def test_a_patch_of_the_project_file_is_carried_out_by_bump(clone):
    """It asks for values that the chart refuses, which is seen before anything is committed."""
    patch = [{"op": "add", "path": f"{VALUES_FILES}/-", "value": "/gitops/all.yaml"}]
    clone.commit("k8s/argocd/patches/set.json", json.dumps(patch).encode())
    text = f'{remotes.PROJECT}\n[argocd]\npatches.ApplicationSet = "patches/set.json"\n'
    clone.commit("ml-serving-ci.toml", text.encode())
    ci(clone, "argocd", "render")
    clone.commit(FILE, clone.read(FILE))
    assert yaml.safe_load(clone.read(FILE))["spec"]["template"]["spec"]["source"]["helm"]["valueFiles"][2]
    bump(clone, "2.0")
    clone.commit("gitops/all.yaml", b"autoscaling: {maxReplicas: many}\n")

    ended = bump(clone, "3.0", check=False)

    assert ended.returncode == 1
    assert "does not take it" in ended.stderr
    assert "maxReplicas" in ended.stderr


def test_a_values_file_that_must_be_there_is_named_where_it_is_not(clone):
    clone.commit(FILE, clone.read(FILE).replace(b"ignoreMissingValueFiles: true", b"ignoreMissingValueFiles: false"))
    ended = bump(clone, "2.0", check=False)
    assert ended.returncode == 1
    assert f"there is no gitops/dev/values.yaml, and ignoreMissingValueFiles is not true in {FILE}" in ended.stderr
    clone.commit("gitops/dev/values.yaml", b"{}\n")
    bump(clone, "2.0")


@pytest.mark.parametrize("link", ["gitops/dev/values.yaml", "gitops/shared"])
def test_a_link_to_values_is_refused(clone, link):
    """Argo CD follows it; git's own files behind it are none to what reads them here."""
    (clone.folder / link).symlink_to("/etc" if link.endswith("shared") else "../../ml-serving-ci.toml")
    clone.git("add", "--", link)
    named = clone.read(FILE).replace(b"/gitops/{{ .environment }}/values.yaml", b"/gitops/shared/values.yaml")
    clone.commit(FILE, named if link.endswith("shared") else clone.read(FILE) + b"\n")
    ended = bump(clone, "2.0", check=False)
    assert ended.returncode == 2
    assert f"{link}: is a link, which Argo CD follows in its own checkout" in ended.stderr
    clone.git("rm", "--quiet", link)
    clone.commit("gitops/README.md", b"Mended\n")
    ci(clone, "diff", "--base", "HEAD~1")


def made(folder):
    found = projects.made(folder)
    for path, content in argocd.render(found.project).items():
        found.write(path, content)
    found.commit()
    return found


def changed(found, old, new):
    file = found.folder / "argo/argocd-applications.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    return text.splitlines()


def test_lint_finds_what_is_refused_and_judges_the_applications(tmp_path):
    found = made(tmp_path)
    lines = changed(found, "          ignoreMissingValueFiles: true\n", "          skipCrds: true\n")
    judged = found.judged()
    (finding,) = judged.findings
    where = lines.index("          ignoreMissingValueFiles: true") + 1
    assert (finding.check, finding.file, finding.line) == ("argocd", "argo/argocd-applications.yaml", where)
    assert finding.message.startswith("spec.template.spec.source.helm.skipCrds: is not carried out here")
    assert len(judged.judged) == 1 + len(projects.ENVIRONMENTS) * len(projects.APPLICATIONS)


def test_lint_judges_by_the_values_files_that_the_work_tree_names(tmp_path):
    found = made(tmp_path)
    found.write(f"{projects.TREE}/all.yaml", "{}\n")
    changed(
        found, f"            - '{PRODS}'\n", f"            - '/{projects.TREE}/all.yaml'\n            - values.yaml\n"
    )
    files = {each.name: [values.file for values in each.values] for each in found.judged().judged}
    chart = f"{projects.CHART_FOLDER}/values.yaml"
    assert files["live/price-rank"] == [
        f"{projects.TREE}/live/price-rank.yaml",
        f"{projects.TREE}/live/values.yaml",
        chart,
        f"{projects.TREE}/all.yaml",
        chart,
    ]


def test_lint_names_the_application_whose_values_file_must_be_there(tmp_path):
    found = made(tmp_path)
    changed(found, "ignoreMissingValueFiles: true", "ignoreMissingValueFiles: false")
    findings = found.judged().findings
    assert len(findings) == len(projects.ENVIRONMENTS) * len(projects.APPLICATIONS)
    assert all("there is no charts/serving/values/" in each.message for each in findings)
    for environment in projects.ENVIRONMENTS:
        found.write(f"{projects.CHART_FOLDER}/values/{environment}.yaml", "{}\n")
    assert found.judged().findings == []


def test_lint_finds_a_link_to_values(tmp_path):
    found = made(tmp_path)
    values = found.folder / projects.TREE / "lab" / "values.yaml"
    values.unlink()
    values.symlink_to("../live/values.yaml")
    findings = found.judged().findings
    assert {each.file for each in findings} == {f"{projects.TREE}/lab/{name}.yaml" for name in projects.APPLICATIONS}
    assert all("is a link, which Argo CD follows" in each.message for each in findings)
