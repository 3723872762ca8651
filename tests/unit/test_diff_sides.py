"""What each side of a change puts on the clusters: real repositories, rendered by Helm, compared."""

import json
import os
import re
import subprocess
import sys
import textwrap

import anyio
import pytest

from ci.base import command, paths, settings
from ci.base.errors import CheckFailedError, UsageError
from ci.diff import markdown, sides
from ci.diff.model import ApplicationChange
from ci.tree import git
from tests.harness import diff
from tests.harness import remote as remotes
from tests.harness.diff import CHART, TEMPLATES

DEV = "gitops/dev/sklearn-iris.yaml"
PROD = "gitops/prod/sklearn-iris.yaml"
OLD_MODEL, NEW_MODEL = "models/sklearn/1.0/model", "models/sklearn/2.0/model"


@pytest.fixture
def change(tmp_path):
    return diff.made(tmp_path)


def by_risk(difference):
    return {(each.risk, each.place, each.kind, each.name, each.change) for each in difference.objects}


def kinds(difference):
    return {(each.risk, each.place, each.kind) for each in difference.objects}


# --- risks ---


def test_a_new_model_starts_a_canary_and_the_field_is_named(change):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)

    difference = change.difference()

    assert by_risk(difference) == {("canary", "dev/sklearn-iris", "InferenceService", "sklearn-iris", "changed")}
    (effect,) = difference.effects
    assert (effect.place, effect.model, effect.outcome, effect.innocent) == (
        "dev/sklearn-iris",
        "sklearn-iris",
        "canary",
        False,
    )
    (field,) = effect.fields
    assert field.path == "spec.predictor.model.storageUri"
    assert (field.before, field.after) == tuple(f"gs://kfserving-examples/{model}" for model in (OLD_MODEL, NEW_MODEL))
    (each,) = difference.objects
    assert f"-      storageUri: gs://kfserving-examples/{OLD_MODEL}" in each.diff
    assert f"+      storageUri: gs://kfserving-examples/{NEW_MODEL}" in each.diff


def test_a_label_on_the_inferenceservice_is_told_to_start_a_canary_for_nothing(change):
    visibility = "    networking.kserve.io/visibility: cluster-local\n"
    change.edit(f"{TEMPLATES}/inferenceservice.yaml", visibility, f"{visibility}    team: ranking\n")

    difference = change.difference()

    (effect,) = difference.effects  # staging and prod are pinned to the chart that has no such label
    assert (effect.place, effect.outcome, effect.innocent) == ("dev/sklearn-iris", "canary", True)
    assert [(field.path, field.before, field.after) for field in effect.fields] == [
        ("metadata.labels.team", "", "ranking")
    ]


def test_a_label_on_anything_else_starts_none(change):
    labels = '{{- include "ml-serving.labels" . | nindent 4 }}\n'
    change.edit(f"{TEMPLATES}/rollout.yaml", labels, f"{labels}    team: ranking\n")

    difference = change.difference()

    assert by_risk(difference) == {("rest", "dev/sklearn-iris", "Rollout", "sklearn-iris-predictor", "changed")}
    assert [(effect.outcome, effect.fields) for effect in difference.effects] == [("none", ())]


def test_the_charts_version_alone_is_noise(change):
    change.edit(f"{CHART}/Chart.yaml", "version: 0.1.0", "version: 0.2.0")

    difference = change.difference()

    assert difference.objects == ()
    assert difference.effects == ()
    assert difference.noise > 5


def test_what_is_deleted_comes_before_what_is_changed(change):
    change.edit(DEV, "values: {}", "values: {features: {autoscaling: false}}")

    difference = change.difference("dev")

    assert kinds(difference) == {
        ("deleted", "dev/sklearn-iris", "HorizontalPodAutoscaler"),
        ("rest", "dev/sklearn-iris", "Rollout"),
    }
    assert difference.objects[0].change == "deleted"
    assert all(line.startswith(("-", "@@")) for line in difference.objects[0].diff)


def test_selectors_and_crds_come_first(change):
    change.edit(
        f"{TEMPLATES}/services.yaml",
        '    {{- include "ml-serving.podSelector" . | nindent 4 }}\n{{- end }}\n{{- end }}',
        '    {{- include "ml-serving.podSelector" . | nindent 4 }}\n    tier: gold\n{{- end }}\n{{- end }}',
    )
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "crawlers.example.com"},
    }
    change.write(f"{CHART}/crds/crawlers.yaml", json.dumps(crd))

    difference = change.difference()

    assert by_risk(difference) == {
        ("structure", "dev/sklearn-iris", "CustomResourceDefinition", "crawlers.example.com", "added"),
        ("structure", "dev/sklearn-iris", "Service", "sklearn-iris-predictor-metrics", "changed"),
    }
    assert ("spec.selector.tier",) in [each.fields for each in difference.objects]


def test_rbac_is_told_from_the_rest(change):
    role = textwrap.dedent("""\
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: {name: reader, namespace: {{ .Release.Namespace }}}
        rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
        """)
    change.write(f"{TEMPLATES}/role.yaml", role)
    change.edit("k8s/argocd/appproject.yaml", "namespace: ml-serving-dev\n", "namespace: '*'\n")
    change.edit("k8s/argocd/argocd-applications.yaml", "limit: 5", "limit: 6")

    difference = change.difference()

    assert by_risk(difference) == {
        ("rbac", "dev/sklearn-iris", "Role", "reader", "added"),
        ("rbac", "k8s/argocd", "AppProject", "ml-serving-dev", "changed"),
        ("rest", "k8s/argocd", "ApplicationSet", "ml-serving", "changed"),
    }
    assert [each.risk for each in difference.objects] == ["rbac", "rbac", "rest"]


def test_a_patch_that_is_no_object_is_compared_as_text(change):
    change.edit("k8s/argocd/patches/argocd-cm.yaml", "local missing = {}", "local missing = {1}")

    difference = change.difference()

    assert difference.objects == ()
    (each,) = difference.files
    assert (each.path, each.change, each.said) == ("k8s/argocd/patches/argocd-cm.yaml", "changed", "")
    assert "+    local missing = {1}" in each.diff


# --- all that lies beside the manifests of Argo CD ---

ARGOCD = "k8s/argocd"
RULES = "rules:\n  - {{apiGroups: [''], resources: [pods], verbs: [{}]}}\n"
ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {}}}\n" + RULES
JOB = "apiVersion: batch/v1\nkind: Job\nmetadata: {{generateName: migrate-}}\nspec: {{suspend: {}}}\n"
BARE = "apiVersion: batch/v1\nkind: Job\nspec: {{suspend: {}}}\n"


def listed(*objects):
    items = "".join(textwrap.indent(each, "    ").replace("    ", "  - ", 1) for each in objects)
    return f"apiVersion: v1\nkind: List\nitems:\n{items}"


def documents(*texts):
    return "---\n".join(texts)


def beside(change, before, after):
    """Have files beside Argo CD's own, and others in their place; return the difference."""
    folder = change.clone.folder / ARGOCD
    for files in (before, after):
        for name in before:
            (folder / name).unlink(missing_ok=True)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if files is before:
            base = change.commit()
    return change.difference("dev", base=base)


def test_no_two_objects_are_taken_for_one(change):
    cases = {
        "lists": (
            documents(listed(ROLE.format("a", "get")), listed(ROLE.format("b", "get"))),
            documents(listed(ROLE.format("a", "'*'")), listed(ROLE.format("b", "get"))),
            {("a", "")},
        ),
        "nested": (
            listed(listed(ROLE.format("c", "get"), ROLE.format("d", "get"))),
            listed(listed(ROLE.format("c", "get"), ROLE.format("d", "'*'"))),
            {("d", "")},
        ),
        "twice": (
            documents(ROLE.format("e", "get"), ROLE.format("e", "list")),
            documents(ROLE.format("e", "'*'"), ROLE.format("e", "list")),
            {("e", "number 1 of 2 with this name in k8s/argocd/twice.yaml")},
        ),
        "turned": (
            documents(ROLE.format("f", "get"), ROLE.format("f", "list")),
            documents(ROLE.format("f", "list"), ROLE.format("f", "get")),
            {("f", f"number {number} of 2 with this name in k8s/argocd/turned.yaml") for number in (1, 2)},
        ),
        "added": (
            ROLE.format("g", "get"),
            documents(ROLE.format("g", "get"), ROLE.format("g", "'*'")),
            {("g", "number 2 of 2 with this name in k8s/argocd/added.yaml")},
        ),
        "generated": (
            documents(JOB.format("true"), JOB.format("true")),
            documents(JOB.format("true"), JOB.format("false")),
            {("", "number 2 in k8s/argocd/generated.yaml, its name is generated from migrate-")},
        ),
        "bare": (
            documents(BARE.format("true"), BARE.format("true")),
            documents(BARE.format("false"), BARE.format("true")),
            {("", "number 1 in k8s/argocd/bare.yaml")},
        ),
        "one": (ROLE.format("h", "get"), ROLE.format("h", "get"), set()),
        "other": (
            ROLE.format("h", "list"),
            ROLE.format("h", "'*'"),
            {("h", "number 1 of 2 with this name in k8s/argocd/other.yaml")},
        ),
    }

    difference = beside(change, *({f"{name}.yaml": case[side] for name, case in cases.items()} for side in (0, 1)))

    assert {(each.name, each.which) for each in difference.objects} == set().union(
        *(case[2] for case in cases.values())
    )
    assert difference.files == ()
    (shown,) = markdown.render(difference)
    assert "ClusterRole.rbac.authorization.k8s.io e</code> in <code>k8s/argocd</code>, number 1 of 2" in shown


def test_what_is_no_manifest_is_shown_as_text(change):
    role, kustomize = ROLE.format("a", "get"), "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    cases = {
        "patch.yaml": ("- {op: remove, path: /a}\n", "- {op: remove, path: /b}\n", "+- {op: remove, path: /b}"),
        "patch.json": ('[{"op": "remove"}]', '[{"op": "add"}]', '+[{"op": "add"}]'),
        "kustomization.yaml": ("resources: [a.yaml]\n", "resources: [b.yaml]\n", "+resources: [b.yaml]"),
        "over/kustomization.yml": (f"{kustomize}namePrefix: a-\n", f"{kustomize}namePrefix: b-\n", "+namePrefix: b-"),
        "docs/README.md": ("# one\n", "# two\n", "+# two"),
        "broken.yaml": (role, f"{role}x: [\n", "+x: ["),
        "conflict.yaml": (f"<<<<<<< HEAD\n{role}", role, "-<<<<<<< HEAD"),
        "list.yaml": ("- a\n", role, "-- a"),
        "mark.yaml": ("--- {a: 1}\n", "--- {a: 2}\n", "+--- {a: 2}"),
        "script.sh": ("exit 0\n", "exit 0", "-"),
    }

    difference = beside(change, *({name: case[side] for name, case in cases.items()} for side in (0, 1)))

    assert difference.objects == ()
    assert {each.path: (each.change, each.said) for each in difference.files} == {
        f"{ARGOCD}/{name}": ("changed", "") for name in cases
    }
    for each in difference.files:
        assert cases[each.path.removeprefix(f"{ARGOCD}/")][2] in each.diff


NOT_SHOWN = "no object that is shown differs by it"


def test_what_no_diff_shows_is_named(change):
    role = ROLE.format("a", "get")
    cases = {
        "logo.png": (b"\x89PNG\0a", b"\x89PNG\0ab", "changed", "binary, 7 bytes"),
        "latin.yaml": ("a: é\n".encode("latin-1"), "a: è\n".encode("latin-1"), "changed", "binary, 5 bytes"),
        "long.md": ("", "x" * 300_000, "changed", "not shown: 300000 bytes"),
        "moved.yaml": (None, ROLE.format("b", "get"), "renamed", f"was {ARGOCD}/from.yaml; {NOT_SHOWN}"),
        "from.yaml": (ROLE.format("b", "get"), None, None, None),
        "why.yaml": (ROLE.format("c", "get"), f"# why\n{ROLE.format('c', 'get')}", "changed", NOT_SHOWN),
        "lines.yaml": (ROLE.format("d", "get"), ROLE.format("d", "get").replace("\n", "\r\n"), "changed", NOT_SHOWN),
        "empty.yaml": ("", "apiVersion: v1\nkind: List\nitems: []\n", "changed", NOT_SHOWN),
        "secret.yaml": (role, "kind: Secret\ndata: {a: aHVudGVyMg==\n", "changed", "not shown: it may hold a Secret"),
        "secret.json": ("[]", '[{"path": "/data/password", "value": "aHVudGVyMg=="}]', "changed",
                        "not shown: it may hold a Secret"),
    }  # fmt: skip
    sides = [{name: case[side] for name, case in cases.items() if case[side] is not None} for side in (0, 1)]

    difference = beside(change, *sides)

    assert difference.objects == ()
    assert {each.path: (each.change, each.said, each.diff) for each in difference.files} == {
        f"{ARGOCD}/{name}": (*case[2:], ()) for name, case in cases.items() if case[2]
    }
    (shown,) = markdown.render(difference)
    assert "nothing changes" not in shown
    assert all(each.path in shown for each in difference.files)
    assert "aHVudGVyMg" not in shown


def test_a_mode_a_link_and_a_submodule_are_told(change):
    file = change.clone.folder / ARGOCD / "run.yaml"
    file.write_text(ROLE.format("a", "get"))
    (change.clone.folder / ARGOCD / "link.yaml").symlink_to("run.yaml")
    change.commit()
    change.clone.git("push", "--quiet", "origin", "HEAD:main")
    change.clone.git("fetch", "--quiet", "origin")
    file.chmod(0o755)
    (change.clone.folder / ARGOCD / "link.yaml").unlink()
    (change.clone.folder / ARGOCD / "link.yaml").symlink_to("/etc/passwd")
    change.commit()
    head = change.clone.git("rev-parse", "HEAD")
    change.clone.git("update-index", "--add", "--cacheinfo", f"160000,{head},{ARGOCD}/sub")
    change.clone.git("commit", "--quiet", "--message=A submodule")

    difference = change.difference("dev", commit=False)

    assert difference.objects == ()
    assert {(each.path, each.change, each.said) for each in difference.files} == {
        (f"{ARGOCD}/run.yaml", "changed", f"mode 100644 → 100755; {NOT_SHOWN}"),
        (f"{ARGOCD}/link.yaml", "changed", ""),
        (f"{ARGOCD}/sub", "added", ""),
    }
    assert {line for each in difference.files for line in each.diff if line.startswith("+")} == {
        "+link to /etc/passwd",
        f"+submodule at {head}",
    }


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (DEV, "values: {}", "values: {} # none yet", NOT_SHOWN),
        (f"{CHART}/Chart.yaml", "version: 0.1.0", "version: 0.1.1", NOT_SHOWN),
        ("ml-serving-ci.toml", "repository = ", "# ours\nrepository = ", ""),
    ],
)
def test_a_file_of_the_tree_or_the_chart_that_changes_no_object_is_named(change, path, old, new, said):
    change.edit(path, old, new)
    difference = change.difference("dev")
    assert difference.objects == ()
    assert [(each.path, each.said) for each in difference.files] == [(path, said)]
    assert "nothing changes" not in "".join(markdown.render(difference))


def test_a_file_of_an_environment_that_is_not_looked_at_is_left_out(change):
    change.edit(PROD, "values: {}", "values: {} # none yet")
    difference = change.difference("dev")
    assert difference.nothing


def test_what_an_object_shows_is_not_listed_again(change):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    assert change.difference("dev").files == ()


# --- applications ---


def test_everything_of_a_new_application_appears_without_a_canary(change):
    change.write("gitops/dev/wine.yaml", (change.clone.folder / DEV).read_text())

    difference = change.difference()

    assert difference.applications == (ApplicationChange("dev/wine", "added"),)
    assert {(each.place, each.change) for each in difference.objects} == {("dev/wine", "added")}
    assert [(effect.model, effect.outcome) for effect in difference.effects] == [("wine", "first")]


def test_everything_of_an_application_that_goes_is_deleted(change):
    (change.clone.folder / PROD).unlink()

    difference = change.difference()

    assert difference.applications == (ApplicationChange("prod/sklearn-iris", "deleted"),)
    assert {(each.risk, each.place, each.change) for each in difference.objects} == {
        ("deleted", "prod/sklearn-iris", "deleted")
    }
    assert "InferenceService" in {each.kind for each in difference.objects}
    assert "Pod" not in {each.kind for each in difference.objects}, "Argo CD leaves Helm's tests out"


def test_a_change_that_puts_a_file_right_is_shown_and_the_side_that_cannot_be_read_named(change):
    good = (change.clone.folder / DEV).read_text()
    change.write(DEV, f"{good}image: {{}}\n")
    base = change.commit()
    change.write(DEV, good)

    difference = change.difference(base=base)

    line = good.count("\n") + 1
    (application,) = difference.applications
    assert (application.place, application.change) == ("dev/sklearn-iris", "unreadable")
    assert application.said.startswith(f"{DEV}:{line}: image: the key is there twice")
    assert {(each.place, each.change) for each in difference.objects} == {("dev/sklearn-iris", "added")}
    assert difference.effects == (), "whether a canary starts is not known"
    assert f"could not be read, `{application.said}`" in "".join(markdown.render(difference))


def test_a_file_that_cannot_be_read_and_goes_is_named_and_one_that_comes_is_refused(change):
    good = (change.clone.folder / PROD).read_text()
    change.write(PROD, "values: {}\n")
    base = change.commit()
    (change.clone.folder / PROD).unlink()
    (application,) = change.difference(base=base).applications
    assert (application.place, application.change) == ("prod/sklearn-iris", "deleted")
    assert PROD in application.said

    change.write(PROD, f"{good}image: {{}}\n")
    with pytest.raises(UsageError, match=f"{PROD}:.* image: the key is there twice"):
        change.difference(base=base)


def test_a_file_that_could_not_be_read_before_and_is_as_it_was_blocks_no_change(change, capsys):
    change.write(PROD, "values: {}\n")
    change.write("gitops/dev/No_Name.yaml", "values: {}\n")
    base = change.commit()
    change.edit(DEV, OLD_MODEL, NEW_MODEL)

    difference = change.difference(base=base)

    assert {each.place for each in difference.objects} == {"dev/sklearn-iris"}
    assert difference.applications == ()
    told = capsys.readouterr().err
    assert f"not of this change: {PROD}:1: " in told
    assert "not of this change: gitops/dev/No_Name.yaml: not the name of an application" in told

    change.write(PROD, "values: {}  # touched\n")
    with pytest.raises(UsageError, match=f"{PROD}:1: "):
        change.difference(base=base)


def test_values_that_an_application_reads_at_its_own_revision_are_told_to_arrive_later(change, monkeypatch):
    monkeypatch.chdir(change.clone.folder)
    revision = re.search(r"revision: (\w+)", (change.clone.folder / PROD).read_text())[1]
    for environment in ("dev", "prod"):
        change.write(f"gitops/{environment}/values.yaml", "autoscaling: {maxReplicas: 7}\n")

    difference = change.difference()

    assert {each.place for each in difference.objects} == {"dev/sklearn-iris"}
    (file,) = difference.files
    assert file.path == "gitops/prod/values.yaml"
    assert file.said.startswith(f"prod/sklearn-iris reads it at chart.revision {revision[:12]}: it arrives there once")


# --- which commits ---


def test_what_main_got_meanwhile_is_not_part_of_the_change(change, tmp_path):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    change.commit()
    other = remotes.Remote(tmp_path / "remote.git", tmp_path).clone("theirs")
    other.commit(PROD, other.read(PROD).replace(OLD_MODEL.encode(), b"models/sklearn/9.9/model"))
    change.clone.git("fetch", "--quiet", "origin")

    difference = change.difference(commit=False)

    assert {each.place for each in difference.objects} == {"dev/sklearn-iris"}
    assert difference.base == change.clone.git("merge-base", "origin/main", "HEAD")


def test_an_application_that_follows_another_branch_gets_that_branch_on_both_sides(change):
    change.clone.git("push", "--quiet", "origin", "main:refs/heads/next")
    change.clone.git("fetch", "--quiet", "origin")
    change.edit(DEV, "revision: main", "revision: next")
    change.commit()
    change.clone.git("push", "--quiet", "origin", "change:refs/heads/main")
    change.clone.git("fetch", "--quiet", "origin")
    change.edit(f"{TEMPLATES}/hpa.yaml", "autoscaling/v2\n", "autoscaling/v2\nkindless: true\n")

    assert change.difference().objects == ()


def test_a_chart_that_moves_to_another_commit_is_rendered_at_that_commit(change):
    change.edit(f"{TEMPLATES}/hpa.yaml", "minReplicas: {{", "minReplicas: 1{{")
    commit = change.commit()
    pinned = next(line for line in (change.clone.folder / PROD).read_text().splitlines() if "  revision:" in line)
    change.edit(PROD, pinned, f"  revision: {commit}")

    difference = change.difference()

    assert {(each.place, each.kind) for each in difference.objects} == {
        ("dev/sklearn-iris", "HorizontalPodAutoscaler"),
        ("prod/sklearn-iris", "HorizontalPodAutoscaler"),
    }


def test_a_chart_revision_that_is_not_here_is_named_with_the_way_to_get_it(change):
    change.edit(DEV, "revision: main", "revision: v9.9.9")
    with pytest.raises(UsageError, match=r"gitops/dev/sklearn-iris.yaml: chart.revision v9.9.9") as failure:
        change.difference()
    assert failure.value.fix == "git fetch origin v9.9.9"


def test_a_base_that_is_not_here_is_named(change):
    with pytest.raises(UsageError, match="--upload-pack=x"):
        change.difference(base="--upload-pack=x", commit=False)


def test_without_a_main_a_base_is_asked_for(change):
    change.clone.git("remote", "remove", "origin")
    change.clone.git("branch", "--quiet", "-D", "main")
    with pytest.raises(UsageError, match="neither origin/main nor main") as failure:
        change.difference(commit=False)
    assert "--base REF" in failure.value.fix


def test_without_a_common_commit_nothing_is_compared(change):
    change.clone.git("checkout", "--quiet", "--orphan", "other")
    change.commit()
    with pytest.raises(UsageError, match="no commit in common"):
        change.difference(commit=False)


def test_an_application_that_helm_refuses_is_named_with_its_commit(change):
    change.edit(DEV, "values: {}", "values: {autoscaling: {maxReplicas: many}}")
    commit = change.commit()
    with pytest.raises(CheckFailedError, match=f"{commit[:12]}: gitops/dev/sklearn-iris.yaml"):
        change.difference(commit=False)


def test_only_what_may_differ_is_rendered_and_each_of_it_once(change, tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    counting = tmp_path / "helm"
    counting.write_text(f'#!/bin/sh\necho "$2" >> {calls}\nexec {remotes.helm()} "$@"\n')
    counting.chmod(0o755)
    monkeypatch.setattr(sides.tools, "installed", lambda name: counting)
    monkeypatch.setattr("ci.tree.render._last", {})  # another test may have rendered the very same
    change.write("gitops/dev/wine.yaml", (change.clone.folder / DEV).read_text())
    change.edit(DEV, OLD_MODEL, NEW_MODEL)

    change.difference()

    assert sorted(calls.read_text().split()) == ["sklearn-iris", "sklearn-iris", "wine"]


def test_git_is_asked_the_same_few_times_however_many_applications_there_are(change, monkeypatch):
    asked = []
    run = command.run

    async def counted(argv, **options):
        asked.append(argv)
        return await run(argv, **options)

    monkeypatch.setattr(command, "run", counted)

    def times():
        monkeypatch.setattr("ci.tree.render._objects", {})
        monkeypatch.setattr("ci.tree.attributes._converted", {})
        monkeypatch.setattr("ci.tree.dependencies._known", {})
        monkeypatch.setattr("ci.tree.git._listings", {})
        base = change.commit()
        change.write("docs/notes.md", f"after {base}\n")
        asked.clear()
        assert change.difference(base=base).nothing
        return len(asked)

    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    few = times()
    for number in range(20):
        change.write(f"gitops/dev/wine-{number}.yaml", (change.clone.folder / DEV).read_text())
    assert times() == few


def test_a_chart_folder_that_is_missing_is_told(change):
    first = change.clone.git("rev-list", "--max-parents=0", "HEAD")
    tree = change.clone.git("hash-object", "-w", "-t", "tree", "/dev/null")
    empty = change.clone.git("commit-tree", tree, "-p", first, "-m", "Empty")
    change.edit(DEV, "revision: main", f"revision: {empty}")
    with pytest.raises(UsageError, match=f"no {CHART} at {empty[:12]}"):
        change.difference("dev")


# --- the command ---


def run(change, *args, check=True, env=None):
    return remotes.ci(change.clone, "diff", *args, check=check, env=env)


def test_the_command_prints_markdown_writes_files_and_says_the_same_every_time(change, tmp_path):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    change.edit(PROD, OLD_MODEL, NEW_MODEL)
    change.commit()
    files = [tmp_path / name for name in ("diff.md", "diff.json", "diff.html")]
    (tmp_path / "diff.2.md").write_text(f"{markdown.HEADING} (2 of 2)\n\nleft by an earlier run\n")

    runs = []
    for _ in range(2):
        result = run(change, *(f"--out={file}" for file in files))
        runs.append([result.stdout, *(file.read_text() for file in files)])

    assert runs[0] == runs[1]
    shown, written, data, page = runs[0]
    assert written == shown
    assert "**starts a canary**" in shown
    assert {effect["place"] for effect in json.loads(data)["effects"]} == {"dev/sklearn-iris", "prod/sklearn-iris"}
    assert "<strong>starts a canary</strong>" in page
    assert not (tmp_path / "diff.2.md").exists()


@pytest.mark.parametrize("room", [100_000, 700])
def test_into_githubs_job_summary_goes_what_github_takes_and_what_is_left_out_is_said(change, tmp_path, room):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    change.commit()
    whole = run(change, "--env=dev").stdout
    summary = tmp_path / "summary.md"
    summary.write_bytes(b"x" * ((1 << 20) - room))
    program = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={change.clone.folder}", "diff", "--env=dev"]
    with summary.open("ab") as output:
        environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
        subprocess.run(program, stdout=output, env=environment, check=True, timeout=300)
    shown = summary.read_text().lstrip("x")
    assert summary.stat().st_size < 1 << 20
    if len(whole.encode()) < room:
        assert shown.strip() == whole.strip()
    else:
        assert shown == (
            "*Left out, for GitHub takes 1 MiB of a step: part 1 of 1; diff --out FILE writes all of it.*\n"
        )


def test_nothing_to_tell_is_told(change):
    assert "nothing changes" in run(change, "--env=dev").stdout


def test_changes_that_are_not_committed_are_left_out_and_that_is_said(change):
    change.edit(DEV, OLD_MODEL, NEW_MODEL)
    result = run(change, "--env=dev")
    assert "nothing changes" in result.stdout
    assert "not committed" in result.stderr


@pytest.mark.parametrize("wrong", ["--env=moon", "--out=diff.pdf", "--base=nowhere"])
def test_wrong_use_is_named(change, wrong):
    result = run(change, wrong, check=False)
    assert result.returncode == 2
    assert wrong.rpartition("=")[2] in result.stderr


def test_a_comment_without_a_token_names_every_variable_that_may_hold_it(change):
    result = run(change, "--comment=7", check=False, env={"GITHUB_TOKEN": "", "ML_SERVING_CI_TOKEN": ""})
    assert result.returncode == 2
    assert "--comment: no token" in result.stderr
    assert {*settings.TOKENS, f"{settings.TOKEN}_FILE"} <= {*re.findall(r"\w+", result.stderr)}


def test_what_follows_the_branch_follows_the_projects_own_whatever_the_base_is_called(change):
    change.clone.git("push", "--quiet", "origin", "main:refs/heads/next")
    change.clone.git("fetch", "--quiet", "origin")

    async def branch(revision):
        repository = await git.opened(change.clone.folder)
        base, head, _ = await sides.both(repository, revision, "origin", ["dev"])
        assert base.snapshot.branch == head.snapshot.branch
        return base.snapshot.branch

    assert anyio.run(branch, "origin/next") == "main"
    assert anyio.run(branch, "change") == "main"
    assert anyio.run(branch, change.clone.git("rev-parse", "HEAD")) == "main"


def test_a_test_that_is_argo_cds_hook_as_well_is_deployed_and_shown(change):
    path = "helm/charts/ml-serving/templates/hook.yaml"
    annotations = "{helm.sh/hook: test, argocd.argoproj.io/hook: PreSync}"
    change.write(path, f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: hot, annotations: {annotations}}}\n")

    assert any("hot" in repr(each) for each in change.difference().objects)
