"""How the ApplicationSet has Helm called: what of it is carried out, what is refused, and what may be anything."""

import pytest
import yaml

from ci import project
from ci.base.errors import UsageError
from ci.manifests import manifests
from ci.tree import application_set, argocd, tree
from tests.harness import remote as remotes

FILE = "k8s/argocd/argocd-applications.yaml"
CHART = "helm/charts/ml-serving"
SOURCE = ("spec", "template", "spec", "source")
HELM = (*SOURCE, "helm")
ELEMENTS = ("spec", "generators", 0, "matrix", "generators", 0, "list", "elements")
GIT = ("spec", "generators", 0, "matrix", "generators", 1, "git")
SAID = project.parse(remotes.PROJECT.encode())
GONE = object()


def changed(path, value, said=SAID, prefix=""):
    """The ApplicationSet of a project file with one value changed, added, or gone."""
    found = yaml.safe_load(argocd.render(said, prefix)[FILE])
    inner = found
    for part in path[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    if value is GONE:
        del inner[path[-1]]
    elif isinstance(inner, list):
        inner.append(value)
    else:
        inner[path[-1]] = value
    return yaml.safe_dump(found, sort_keys=False).encode()


def files(content, environment="prod", said=SAID, prefix=""):
    application = tree.read(said, environment, "sklearn-iris", remotes.application(environment).content)
    return application_set.read(content, said, prefix).files(application)


def test_what_the_project_file_makes_names_the_environments_values_of_chart_and_tree():
    content = argocd.render(SAID)[FILE]
    assert files(content, "dev") == (f"{CHART}/values/dev.yaml", "gitops/dev/values.yaml")
    assert application_set.read(content, SAID) == application_set.made(SAID)


def test_paths_are_from_the_project_file_in_a_sub_folder():
    content = argocd.render(SAID, "teams/iris")[FILE]
    assert files(content, "dev", prefix="teams/iris") == (
        f"{CHART}/values/dev.yaml",
        "gitops/dev/values.yaml",
    )


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["values/dev.yaml"], (f"{CHART}/values/dev.yaml",)),
        (["/gitops/all.yaml", "values/{{.environment}}.yaml"], ("gitops/all.yaml", f"{CHART}/values/prod.yaml")),
        (['/gitops/of/{{ trimSuffix ".yaml" .path.filename }}.yaml'], ("gitops/of/sklearn-iris.yaml",)),
        (["/gitops/{{ .namespace }}.yaml"], ("gitops/ml-serving.yaml",)),
        # Argo CD leaves out the second
        (["values/prod.yaml", "values/dev.yaml", f"/{CHART}/values/{{{{ .environment }}}}.yaml"],
         (f"{CHART}/values/prod.yaml", f"{CHART}/values/dev.yaml")),
        ([], ()),
        (None, ()),
    ],
)  # fmt: skip
def test_other_values_files_are_carried_out(named, expected):
    assert files(changed((*HELM, "valueFiles"), named)) == expected


def test_without_values_files_there_are_none():
    assert files(changed((*HELM, "valueFiles"), GONE)) == ()


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (None, False), (GONE, False)])
def test_a_missing_values_file_is_left_out_where_the_set_says_so(value, expected):
    content = changed((*HELM, "ignoreMissingValueFiles"), value)
    assert application_set.read(content, SAID).ignore_missing is expected


@pytest.mark.parametrize(
    "named",
    [
        "values/{{ .region }}.yaml",
        "values/{{ .environment | upper }}.yaml",
        "values/{{- .environment }}.yaml",
        "values/{{ .environment }.yaml",
        "values/$ARGOCD_APP_NAME.yaml",
        "$values/prod.yaml",
        "values/*.yaml",
        "values/../values.yaml",
        "./values/prod.yaml",
        "https://example.com/values.yaml",
        "/other/values.yaml",
        "/gitopsy/values.yaml",
        "values/prod.yaml\n",
        7,
        None,
    ],
)
def test_a_values_file_that_may_be_another_to_argo_cd_is_refused_with_its_line(named):
    content = changed((*HELM, "valueFiles"), ["values/dev.yaml", named])
    with pytest.raises(UsageError) as refused:
        application_set.read(content, SAID)
    lines = [line.strip() for line in content.decode().splitlines()]
    where = lines.index("- values/dev.yaml") + 2
    assert refused.value.message.startswith(f"{FILE}:{where}: spec.template.spec.source.helm.valueFiles[1]: ")


def test_a_values_file_outside_of_the_project_is_refused():
    with pytest.raises(UsageError, match=r"/gitops/all\.yaml: is outside of helm/charts/ml-serving and gitops"):
        application_set.read(
            changed((*HELM, "valueFiles"), ["/gitops/all.yaml"], prefix="teams/iris"), SAID, "teams/iris"
        )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*HELM, "parameters"), [{"name": "exampleModel.image", "value": "elsewhere"}]),
        ((*HELM, "fileParameters"), [{"name": "a", "path": "b"}]),
        ((*HELM, "valuesObject"), {"autoscaling": {"maxReplicas": 1}}),
        ((*HELM, "values"), "a: b"),
        ((*HELM, "releaseName"), "other"),
        ((*HELM, "releaseName"), GONE),
        ((*HELM, "kubeVersion"), "1.20"),
        ((*HELM, "apiVersions"), ["v1"]),
        ((*HELM, "namespace"), "kube-system"),
        ((*HELM, "skipCrds"), True),
        ((*HELM, "skipSchemaValidation"), True),
        ((*SOURCE, "repoURL"), "https://github.com/other/models.git"),
        ((*SOURCE, "path"), "charts/other"),
        ((*SOURCE, "targetRevision"), "main"),
        ((*SOURCE, "kustomize"), {"namePrefix": "x-"}),
        ((*SOURCE, "plugin"), {"name": "envsubst"}),
        (("spec", "template", "spec", "sources"), [{"repoURL": "https://github.com/acme/models.git", "path": "x"}]),
        (("spec", "template", "spec", "sourceHydrator"), {"drySource": {}}),
        (("spec", "template", "spec", "destination", "namespace"), "kube-system"),
        (("spec", "template", "spec", "destination", "server"), "https://elsewhere"),
        (("spec", "template", "spec", "project"), "default"),
        (("spec", "template", "metadata", "name"), "{{ .path.filename }}"),
        (("spec", "templatePatch"), "spec: {source: {helm: {parameters: [{name: a, value: b}]}}}"),
        (("spec", "templatePatch"), GONE),
        (("spec", "goTemplate"), False),
        (("spec", "goTemplateOptions"), ["missingkey=zero"]),
        (("spec", "syncPolicy", "applicationsSync"), "create-only"),
        (("spec", "ignoreApplicationDifferences"), [{"jsonPointers": ["/spec/source"]}]),
        (("spec", "generators", 1), {"list": {"elements": [{"environment": "prod"}]}}),
        ((*ELEMENTS, 2, "namespace"), "kube-system"),
        ((*ELEMENTS, 2, "cluster"), "elsewhere"),
        ((*ELEMENTS, 0, "region"), "eu"),
        ((*GIT, "revision"), "next"),
        ((*GIT, "files"), [{"path": "gitops/*/*.yaml"}]),
        ((*GIT, "values"), {"environment": "dev"}),
        (("spec", "generators", 0, "matrix", "template"), {"metadata": {"name": "x"}, "spec": {"project": "x"}}),
        (("kind",), "Application"),
        (("metadata", "name"), "other"),
    ],
)
def test_what_would_deploy_something_else_is_refused_by_name_and_line(path, value):
    with pytest.raises(UsageError) as refused:
        application_set.read(changed(path, value), SAID)
    place, _, said = refused.value.message.partition(": ")
    assert place.startswith(f"{FILE}:") and place.rpartition(":")[2].isdecimal()
    assert said.startswith(project.dotted(path if isinstance(path[-1], str) else path[:-1]))
    assert "argocd render" in refused.value.fix


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "annotations"), {"team": "scoring"}),
        (("spec", "template", "metadata", "annotations", "notifications.argoproj.io/subscribe.x.slack"), "ml"),
        (("spec", "template", "metadata", "labels", "team"), "scoring"),
        (("spec", "template", "metadata", "labels", "where"), "{{ .environment }}-{{.namespace}}"),
        (("spec", "template", "metadata", "annotations", "model"), '{{ trimSuffix ".yaml" .path.filename }}'),
        (("spec", "template", "metadata", "annotations", "link"), "https://x/{{ .model.version }}"),
        (("spec", "template", "spec", "info"), [{"name": "cluster", "value": "{{ .cluster }}"}]),
        (("spec", "template", "spec", "syncPolicy", "managedNamespaceMetadata", "labels", "of"), "{{ .namespace }}"),
        (("spec", "template", "spec", "syncPolicy", "syncOptions"), ["Replace=true"]),
        (("spec", "template", "spec", "syncPolicy", "automated"), GONE),
        (("spec", "template", "spec", "syncPolicy", "managedNamespaceMetadata", "labels", "team"), "scoring"),
        (("spec", "template", "spec", "ignoreDifferences"), GONE),
        (("spec", "template", "spec", "info"), [{"name": "docs", "value": "https://example.com"}]),
        (("spec", "template", "spec", "revisionHistoryLimit"), 3),
        (("spec", "strategy"), {"type": "RollingSync", "rollingSync": {"steps": []}}),
        (("spec", "syncPolicy", "applicationsSync"), "create-update"),
        ((*GIT, "requeueAfterSeconds"), 60),
    ],
)  # fmt: skip
def test_what_says_when_and_how_argo_cd_syncs_may_be_anything(path, value):
    assert application_set.read(changed(path, value), SAID) == application_set.made(SAID)


IN_MESH = ("spec", "syncPolicy", "managedNamespaceMetadata", "labels")
WEIGHTS = {
    "group": "networking.istio.io",
    "kind": "VirtualService",
    "jqPathExpressions": [".spec.http[].route[].weight"],
}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("metadata", "annotations", "argocd.argoproj.io/skip-reconcile"), "true", "apply nothing"),
        (("spec", "syncPolicy", "syncOptions"), ["RespectIgnoreDifferences=true"], "keep fields"),
        ((*IN_MESH, "istio-injection"), "disabled", "is 'disabled', and ml-serving-ci.toml makes it 'enabled'"),
        (IN_MESH, {"team": "x"}, "is not there, and ml-serving-ci.toml makes it 'enabled'"),
        (("spec", "ignoreDifferences"), [{"kind": "*", "jsonPointers": ["/spec/template"]}], "fields of every kind"),
        (("spec", "ignoreDifferences"), [WEIGHTS, {"kind": "Rollout", "jqPathExpressions": [".spec"]}], "of Rollout"),
        (
            ("spec", "ignoreDifferences"),
            [{"kind": "InferenceService", "managedFieldsManagers": ["kubectl"]}],
            "fields of InferenceService",
        ),
        (
            ("spec", "ignoreDifferences"),
            [{"kind": "PrometheusRule", "jsonPointers": ["/metadata/annotations/x", "/spec/groups/0"]}],
            "fields of PrometheusRule",
        ),
        (("spec", "ignoreDifferences"), [{"kind": "Inference*", "jsonPointers": ["/spec"]}], "like Inference"),
        (("spec", "ignoreDifferences"), [{"kind": "Roll?ut", "jqPathExpressions": ["."]}], "every kind like Roll"),
        (("spec", "ignoreDifferences"), [{"kind": "{Service,Secret}", "jsonPointers": ["/spec"]}], "every kind like"),
        (("spec", "ignoreDifferences"), [{"kind": "Virtual\\Service", "jsonPointers": ["/spec"]}], "every kind like"),
        (
            ("metadata", "annotations", "argocd.argoproj.io/manifest-generate-paths"),
            ".",
            "keep what it rendered of another commit",
        ),
        (
            ("spec", "ignoreDifferences"),
            [{"kind": '{{ "InferenceService" }}', "jsonPointers": ["/spec"]}],
            "an expression that is not carried out here",
        ),
        (
            ("spec", "ignoreDifferences"),
            [{"kind": "Rollout", "jsonPointers": ["/metadata/{{ .environment }}"]}],
            "an expression that is not carried out here",
        ),
        (("spec", "ignoreDifferences"), [WEIGHTS, {"kind": "{{ .x }}", "jsonPointers": ["/spec"]}], "an expression"),
        (("spec", "syncPolicy", "syncOptions", 9), '{{ "RespectIgnoreDifferences=true" }}', "an expression that"),
        (("spec", "syncPolicy", "syncOptions"), ['{{ "RespectIgnoreDifferences=true" }}'], "an expression that"),
        (("spec", "syncPolicy", "retry", "backoff", "duration"), "{{ .environment }}", "an expression that"),
        (("metadata", "annotations", '{{ "argocd.argoproj.io/skip-reconcile" }}'), "true", "an expression in a key"),
        (("metadata", "labels", "{{ .environment }}"), "x", "an expression in a key"),
        ((*IN_MESH, '{{ "istio-injection" }}'), "disabled", "an expression in a key"),
        (("metadata", "annotations", "team"), '{{ fail "no" }}', "an expression that is not carried out here"),
    ],
)
def test_what_has_argo_cd_not_apply_what_it_renders_is_refused(path, value, said):
    with pytest.raises(UsageError, match=rf"^{FILE}:\d+: spec\.template\..* {said}"):
        application_set.read(changed(("spec", "template", *path), value), SAID)


@pytest.mark.parametrize(
    "ignored",
    [
        [WEIGHTS],
        [WEIGHTS, {"group": "", "kind": "Secret", "jsonPointers": ["/data"]}],
        [{"group": "*", "kind": "*", "jsonPointers": ["/metadata/annotations/example.com~1seen"]}],
        [{"group": "argoproj.io", "kind": "Rollout", "jsonPointers": ["/spec/replicas"]}],
        [{"group": "*", "kind": "R*", "jsonPointers": ["/spec/replicas"]}],
        [{"group": "ap*", "kind": "Deployment", "jsonPointers": ["/spec/template"]}],
        [{"kind": "ValidatingWebhookConfiguration", "jqPathExpressions": [".webhooks[].clientConfig.caBundle"]}],
    ],
)
def test_differences_that_others_make_may_be_ignored(ignored):
    found = application_set.read(changed(("spec", "template", "spec", "ignoreDifferences"), ignored), SAID)
    assert found == application_set.made(SAID)


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a: [\n", b"a: 1\n---\nb: 2\n"])
def test_what_is_no_application_set_is_refused_with_its_file(content):
    with pytest.raises(UsageError, match=rf"^{FILE}:\d+: "):
        application_set.read(content, SAID)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        (
            lambda old: old[:-1],
            r"elements\[2\]: is not there, and ml-serving-ci.toml makes it {'environment': 'prod', ",
        ),
        (lambda old: old[1:], r"elements\[0\].environment: is 'staging', and ml-serving-ci.toml makes it 'dev'"),
        (lambda old: [*old, {"environment": "qa"}], r"elements\[3\]: is not carried out here"),
        (lambda old: [{**old[0], "cluster": "far"}, *old], r"elements\[0\].cluster: is 'far', and ml-serving-ci.toml"),
    ],
)
def test_of_lists_of_two_lengths_the_first_value_that_differs_is_named(elements, said):
    old = manifests.dig(application_set._made(SAID, ""), *ELEMENTS)
    with pytest.raises(UsageError, match=rf"^{FILE}:\d+: spec.generators.*{said}"):
        application_set.read(changed(ELEMENTS, elements(old)), SAID)


def test_a_patch_that_asks_for_it_is_named():
    said = project.parse(f'{remotes.PROJECT}\n[argocd]\npatches.ApplicationSet = "patches/set.json"\n'.encode())
    with pytest.raises(UsageError) as refused:
        application_set.read(changed((*HELM, "skipTests"), True, said), said)
    assert "k8s/argocd/patches/set.json" in refused.value.fix
