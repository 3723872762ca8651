"""What Argo CD is given: it fits the project file, the chart, the tree of applications, and what KServe reports."""

import itertools
import json
import subprocess

import pytest
import yaml
from lupa import lua51

from ci import project
from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.checks import argocd as checks
from ci.tree import argocd, tree
from ci.tree import render as checked
from tests.harness import cli

CONFIG = yaml.safe_load((ROOT / "k8s/argocd/patches/argocd-cm.yaml").read_text())["data"]
ENVIRONMENTS = ("dev", "staging", "prod")
OURS = """
repository = "https://git.example.com/models.git"

[[environments]]
name = "dev"
namespace = "ml-serving-dev"

[[environments]]
name = "staging"
namespace = "ml-serving-staging"

[[environments]]
name = "prod"
namespace = "ml-serving"
protected = true
windows = [{ schedule = "0 7 * * 1-5", duration = "10h", description = "While people are at work" }]
"""
"""The chart has values for these environments."""
THEIRS = """
repository = "ssh://git@git.acme.example/platform.git"
branch = "release/1.x"

[paths]
tree = "what runs"
chart = "charts/serving"
argocd = "argo"

[argocd]
namespace = "gitops"
project = "scoring"

[[environments]]
name = "play"
namespace = "scoring"

[[environments]]
name = "1e3"
namespace = "on"
protected = true

[[environments]]
name = "live"
namespace = "scoring"
cluster = "arn:aws:eks:eu-west-1:1:cluster/live"
protected = true
windows = [
    { schedule = "0 7 * * 1-5", duration = "1d", timezone = "Europe/Paris", manual = false },
    { schedule = "30 22 * * 6", duration = "90" },
]

[[environments]]
name = "live-eu"
namespace = "scoring"
cluster = "live-eu"
"""
"""Nothing as in this repository."""


def made(text=OURS, prefix=""):
    """Return the specs of the AppProjects, by name, and of the ApplicationSet that a project file makes."""
    projects, application_set = argocd.render(project.parse(text.encode()), prefix).values()
    specs = {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(projects)}
    return specs, yaml.safe_load(application_set)["spec"]


PROJECTS, APPLICATION_SET = made()
TEMPLATE = APPLICATION_SET["template"]
WAVE = "argocd.argoproj.io/sync-wave"
FLAGS = ("kserve", "canaryDeployment", "sloMonitoring", "autoscaling")
COMBINATIONS = [dict(zip(FLAGS, switches, strict=True)) for switches in itertools.product((True, False), repeat=4)]
EVERYTHING_ELSE = {
    "networkPolicy": {"enabled": True},
    "namespace": {"create": True},
    "exampleModel": {"storageSecret": "models"},
}
FILE = {
    "chart": {"revision": "main"},
    "model": {"version": "v1", "storageUri": "s3://models/sklearn-iris/v1"},
    "image": {"repository": "docker.io/kserve/sklearnserver", "tag": "v0.20.0", "digest": ""},
    "values": {},
}


def generators(application_set):
    """Return the environments that the list generator has, and the git generator."""
    (generator,) = application_set["generators"]
    listed, git = generator["matrix"]["generators"]
    return {element["environment"]: element for element in listed["list"]["elements"]}, git["git"]


def kinds(objects):
    """Return group and kind of what Argo CD deploys; it leaves out Helm's test hooks."""
    return {
        (item["apiVersion"].rpartition("/")[0], item["kind"])
        for item in objects.values()
        if item["metadata"].get("annotations", {}).get("helm.sh/hook") != "test"
    }


def listed(entries):
    return {(entry["group"], entry["kind"]) for entry in entries}


@pytest.fixture(scope="module")
def rendered(chart):
    """Every kind that any environment renders with any combination of features."""
    found = set()
    for env, flags in itertools.product(ENVIRONMENTS, COMBINATIONS):
        found |= kinds(chart.render({"features": flags, **EVERYTHING_ELSE}, env=env))
    return found


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_allows_what_the_chart_renders_and_nothing_else(rendered, name):
    allowed = listed(PROJECTS[name]["namespaceResourceWhitelist"])
    cluster_wide = listed(PROJECTS[name]["clusterResourceWhitelist"])
    assert cluster_wide == {("", "Namespace")}
    assert allowed | cluster_wide == rendered
    assert not allowed & cluster_wide


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_lets_an_environment_own_its_own_namespace_and_no_others(name):
    (destination,) = PROJECTS[name]["destinations"]
    (own,) = PROJECTS[name]["clusterResourceWhitelist"]
    assert own["name"] == destination["namespace"]


# --- the ApplicationSet, rendered by helm's own Go templates ---


@pytest.fixture
def render(chart, tmp_path):
    """Return what the ApplicationSet makes of a file of the tree, given one of its templates."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: templates\nversion: 0.0.0\n")
    (tmp_path / "templates" / "one.yaml").write_text("text: {{ tpl .Values.text .Values.parameters | quote }}\n")

    def execute(text, content=FILE, file="gitops/dev/sklearn-iris.yaml", check=True, application_set=APPLICATION_SET):
        folder, _, name = file.rpartition("/")
        path = {"path": folder, "basename": folder.rpartition("/")[2], "filename": name}
        environments, _ = generators(application_set)
        # As Argo CD's matrix merges them; Helm looks for its own Template in what it renders with.
        parameters = {**content, "path": path, **environments[path["basename"]]}
        parameters["Template"] = {"BasePath": "", "Name": ""}
        result = subprocess.run(
            [chart.helm, "template", "x", tmp_path, "-f", "-"],
            input=json.dumps({"text": text, "parameters": parameters}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if not check:
            return result
        assert result.returncode == 0, result.stderr
        return yaml.safe_load(result.stdout)["text"]

    return execute


def values(render, content=FILE, **options):
    return yaml.safe_load(render(TEMPLATE["spec"]["source"]["helm"]["values"], content, **options))


def test_an_application_is_named_by_environment_and_file(render):
    file = "gitops/prod/wine.v2.yaml"
    assert render(TEMPLATE["metadata"]["name"], file=file) == "prod-wine.v2"
    helm = TEMPLATE["spec"]["source"]["helm"]
    assert render(helm["releaseName"], file=file) == "wine.v2"
    assert [render(name, file=file) for name in helm["valueFiles"]] == ["values/prod.yaml", "/gitops/prod/values.yaml"]
    assert helm["ignoreMissingValueFiles"] is True, "an environment may have either, or none"


def test_the_chart_runs_what_the_file_says(render, chart):
    content = {**FILE, "values": {"autoscaling": {"maxReplicas": 7}}}

    made = values(render, content)

    objects = chart.render(made, env="dev", release="sklearn-iris")
    predictor = objects["InferenceService", "sklearn-iris"]["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == "s3://models/sklearn-iris/v1"
    assert predictor["model"]["image"] == "docker.io/kserve/sklearnserver:v0.20.0"
    assert objects["HorizontalPodAutoscaler", "sklearn-iris-predictor-hpa"]["spec"]["maxReplicas"] == 7


@pytest.mark.parametrize("digest", ["", "sha256:" + "1f" * 32])
@pytest.mark.parametrize("own", [{}, {"autoscaling": {"maxReplicas": 2}, "exampleModel": {"storageSecret": "models"}}])
def test_what_is_checked_before_a_commit_is_what_argo_cd_renders(render, digest, own):
    content = {**FILE, "values": own, "image": {**FILE["image"], "digest": digest}}
    file = tree.read(project.parse(OURS.encode()), "dev", "sklearn-iris", yaml.safe_dump(content).encode())

    assert values(render, content) == checked.values(file)


def test_an_image_with_a_digest_is_named_by_it(render):
    content = {**FILE, "image": {**FILE["image"], "digest": "sha256:abc"}}
    assert values(render, content)["exampleModel"]["image"] == "docker.io/kserve/sklearnserver:v0.20.0@sha256:abc"


@pytest.mark.parametrize("own", [{}, None, {"exampleModel": None}])
def test_a_file_without_values_of_its_own_is_a_file(render, own):
    assert set(values(render, {**FILE, "values": own})["exampleModel"]) == {"name", "storageUri", "image"}


def test_a_model_is_pinned_where_its_file_pins_it(render):
    pinned = {**FILE, "model": {**FILE["model"], "digest": f"sha256:{'a' * 64}"}}
    assert values(render, pinned)["exampleModel"]["digest"] == pinned["model"]["digest"]
    for digest in ({"digest": ""}, {}):
        assert "digest" not in values(render, {**FILE, "model": {**FILE["model"], **digest}})["exampleModel"]


def test_no_value_stands_for_another_version(render):
    own = {"exampleModel": {"storageUri": "s3://other", "image": "evil", "name": "other", "drainSeconds": 3}}
    assert values(render, {**FILE, "values": own})["exampleModel"] == {
        "name": "sklearn-iris",
        "storageUri": "s3://models/sklearn-iris/v1",
        "image": "docker.io/kserve/sklearnserver:v0.20.0",
        "drainSeconds": 3,
    }


@pytest.mark.parametrize(("env", "finalizers"), [("dev", 1), ("staging", 1), ("prod", 0)])
def test_what_runs_in_production_outlives_its_application(render, env, finalizers):
    patch = yaml.safe_load(render(APPLICATION_SET["templatePatch"], file=f"gitops/{env}/x.yaml"))
    assert len(patch["metadata"]["finalizers"]) == finalizers
    # Otherwise the controller gives a finalizer to every Application that has none.
    assert APPLICATION_SET["syncPolicy"]["preserveResourcesOnDeletion"] is True


@pytest.mark.parametrize(("text", "prefix"), [(OURS, ""), (THEIRS, "teams/scoring")])
def test_each_application_is_in_its_environments_project_which_lets_it_nowhere_else(render, text, prefix):
    projects, application_set = made(text, prefix)
    environments, git = generators(application_set)
    template = application_set["template"]["spec"]
    assert len(projects) == len(environments)
    for name in environments:
        options = {"file": f"x/{name}/y.yaml", "application_set": application_set}
        rendered = {key: render(value, **options) for key, value in template["destination"].items()}
        own = projects[render(template["project"], **options)]
        assert own["destinations"] == [{key: value for key, value in rendered.items() if value}]
        assert own["sourceRepos"] == [git["repoURL"]] == [template["source"]["repoURL"]]


def test_no_file_of_the_tree_says_where_it_goes(render):
    elsewhere = {"environment": "prod", "namespace": "kube-system", "cluster": "live", "protected": "true"}
    content = {**FILE, **elsewhere}
    destination = TEMPLATE["spec"]["destination"]
    assert {key: render(value, content) for key, value in destination.items()} == {
        "server": "https://kubernetes.default.svc",
        "name": "",
        "namespace": "ml-serving-dev",
    }
    assert render(TEMPLATE["metadata"]["name"], content) == "dev-sklearn-iris"


def test_a_project_file_makes_what_it_says():
    """In a sub-folder, on several clusters, with names that YAML takes for numbers."""
    said = project.parse(THEIRS.encode())
    rendered = argocd.render(said, "teams/scoring")
    assert list(rendered) == ["argo/appproject.yaml", "argo/argocd-applications.yaml"]
    *app_projects, application_set = (each for content in rendered.values() for each in yaml.safe_load_all(content))
    assert application_set["metadata"] == {"name": "scoring", "namespace": "gitops"}
    assert {each["metadata"]["namespace"] for each in app_projects} == {"gitops"}
    assert {each["metadata"]["name"]: each["spec"]["destinations"] for each in app_projects} == {
        "scoring-play": [{"server": "https://kubernetes.default.svc", "namespace": "scoring"}],
        "scoring-1e3": [{"server": "https://kubernetes.default.svc", "namespace": "on"}],
        "scoring-live": [{"name": "arn:aws:eks:eu-west-1:1:cluster/live", "namespace": "scoring"}],
        "scoring-live-eu": [{"name": "live-eu", "namespace": "scoring"}],
    }
    environments, git = generators(application_set["spec"])
    assert tuple(environments) == said.names
    assert [each["protected"] for each in environments.values()] == ["false", "true", "true", "false"]
    assert (git["repoURL"], git["revision"]) == ("ssh://git@git.acme.example/platform.git", "release/1.x")
    watched = "teams/scoring/what runs/{{ .environment }}"
    assert git["files"] == [
        {"path": f"{watched}/*.yaml"},
        {"path": f"{watched}/values.yaml", "exclude": True},
        {"path": f"{watched}/*/*.yaml", "exclude": True},
    ]
    template = application_set["spec"]["template"]
    assert template["metadata"]["labels"]["app.kubernetes.io/part-of"] == "scoring"
    assert template["spec"]["source"]["path"] == "teams/scoring/charts/serving"
    assert template["spec"]["source"]["helm"]["valueFiles"][1] == f"/{watched}/values.yaml"


def test_every_parameter_of_an_environment_has_a_value():
    """Argo CD's matrix leaves out what is empty, and a file of the tree could say it then."""
    for text in (OURS, THEIRS):
        for element in generators(made(text)[1])[0].values():
            assert set(element) == {"environment", "namespace", "cluster", "protected"}
            assert all(isinstance(value, str) and value for value in element.values())


def test_git_finds_the_applications_and_nothing_else(tmp_path):
    """Argo CD asks `git ls-files` with the generator's patterns."""
    folder = tmp_path / "teams/scoring/what runs/live"
    for name in ("wine.yaml", "wine.v2.yaml", "values.yaml", "deeper/not.yaml", "deeper/and/not.yaml", "README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a: b\n")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "."], check=True)
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for each in generators(made(THEIRS, "teams/scoring")[1])[1]["files"]:
        pattern = each["path"].replace("{{ .environment }}", "live")
        listed = subprocess.run(
            ["git", "-C", tmp_path, "ls-files", "-z", "--", pattern], check=True, capture_output=True, text=True
        )
        found[each.get("exclude", False)] |= set(listed.stdout.split("\0")) - {""}
    watched = "teams/scoring/what runs/live"
    assert found[False] - found[True] == {f"{watched}/wine.yaml", f"{watched}/wine.v2.yaml"}


@pytest.mark.parametrize("prefix", ["teams/*", "a:b", "{{ x }}", "$HOME"])
def test_a_folder_that_argo_cd_reads_as_something_else_is_refused(prefix):
    with pytest.raises(UsageError, match="cannot watch a folder"):
        argocd.render(project.parse(OURS.encode()), prefix)


def test_a_namespace_that_is_made_is_in_the_mesh():
    policy = TEMPLATE["spec"]["syncPolicy"]
    assert "CreateNamespace=true" in policy["syncOptions"]
    assert policy["managedNamespaceMetadata"]["labels"] == {"istio-injection": "enabled"}


def test_the_windows_bind_their_environment_alone():
    """By cluster and namespace, which no other has: `live-*` would be the applications of live-eu as well."""
    (window,) = PROJECTS["ml-serving-prod"]["syncWindows"]
    assert [name for name, spec in PROJECTS.items() if "syncWindows" in spec] == ["ml-serving-prod"]
    assert window == {
        "kind": "allow",
        "description": "While people are at work",
        "schedule": "0 7 * * 1-5",
        "duration": "10h",
        "timeZone": "UTC",
        "clusters": ["https://kubernetes.default.svc"],
        "namespaces": ["ml-serving"],
        "andOperator": True,
        "manualSync": True,
    }
    first, second = made(THEIRS)[0]["scoring-live"]["syncWindows"]
    for each in (first, second):
        assert each["clusters"] == ["arn:aws:eks:eu-west-1:1:cluster/live"]
        assert (each["namespaces"], each["andOperator"]) == (["scoring"], True)
    assert (first["timeZone"], first["manualSync"]) == ("Europe/Paris", False)
    assert [first["duration"], second["duration"]] == ["86400.0s", "90.0s"], "as Go reads it"


def test_without_windows_argo_cd_may_sync_at_any_time():
    (windows,) = [line for line in OURS.splitlines() if line.startswith("windows")]
    assert [spec for spec in made(OURS.replace(windows, ""))[0].values() if "syncWindows" in spec] == []


# --- the files of a project, and its project file ---


@pytest.fixture
def folder(tmp_path):
    """A project in a sub-folder of its repository."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    folder = tmp_path / "teams" / "scoring"
    (folder / "argo" / "patches").mkdir(parents=True)
    (folder / "argo" / "patches" / "own.yaml").write_text("a: b\n")
    (folder / project.FILE).write_text(THEIRS)
    return folder


def written(folder):
    return cli.run("argocd", "render", cwd=folder, check=True).stdout


def findings(folder):
    return checks.findings(folder, project.load(folder), "teams/scoring")


def test_rendering_writes_two_files_and_lint_is_content(folder):
    assert [finding.message for finding in findings(folder)] == ["there is no such file"] * 2
    assert written(folder).split() == ["argo/appproject.yaml", "argo/argocd-applications.yaml"]
    assert findings(folder) == []
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert there == [
        "argo/appproject.yaml",
        "argo/argocd-applications.yaml",
        "argo/patches/own.yaml",
        "ml-serving-ci.toml",
    ]


def test_a_link_out_of_the_project_gets_nothing(folder, tmp_path):
    (folder / "argo").rename(folder / "away")
    (tmp_path / "elsewhere").mkdir()
    (folder / "argo").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(subprocess.CalledProcessError) as refused:
        written(folder)

    assert refused.value.returncode == 2
    assert "argo: a link that leads out of the project" in " ".join(refused.value.stderr.split())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["appproject.yaml", "argocd-applications.yaml"])
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_a_link_is_not_written_through(folder, name, there):
    other = folder / "other.yaml"
    if there:
        other.write_text("somebody: else's\n")
    (folder / "argo" / name).symlink_to("../other.yaml")

    refused = cli.run("argocd", "render", cwd=folder)

    assert refused.returncode == 2
    assert f"argo/{name}: a link, to ../other.yaml" in " ".join(refused.stderr.split())
    assert other.exists() == there
    assert not there or other.read_text() == "somebody: else's\n"
    assert sorted(path.name for path in (folder / "argo").iterdir()) == sorted([name, "patches"]), "nor the other one"


@pytest.mark.parametrize("name", ["appproject.yaml", "argocd-applications.yaml"])
def test_a_folder_in_the_place_of_one_file_leaves_the_other(folder, name):
    (folder / "argo" / name).mkdir()

    refused = cli.run("argocd", "render", cwd=folder)

    assert refused.returncode == 3
    assert f"argo/{name}: Is a directory" in " ".join(refused.stderr.split())
    assert sorted(path.name for path in (folder / "argo").iterdir()) == sorted([name, "patches"])


def test_a_link_to_another_folder_of_the_project_is_a_folder(folder):
    (folder / "argo").rename(folder / "away")
    (folder / "argo").symlink_to("away")
    written(folder)
    assert (folder / "away" / "appproject.yaml").is_file()
    assert findings(folder) == []


def test_what_is_changed_by_hand_is_found_and_rendered_away(folder):
    written(folder)
    file = folder / "argo" / "argocd-applications.yaml"
    file.write_text(file.read_text().replace("limit: 5", "limit: 6"))
    (finding,) = findings(folder)
    assert file.read_text().splitlines()[finding.line - 1].strip() == "limit: 6"
    assert finding.place == f"argo/argocd-applications.yaml:{finding.line}"
    assert finding.message == "has 'limit: 6', and the project file makes it 'limit: 5'"
    assert (finding.severity, finding.remedy) == ("error", "python ci/main.py argocd render")
    written(folder)
    assert findings(folder) == []


def test_a_change_of_the_project_file_is_findings(folder):
    written(folder)
    (folder / project.FILE).write_text(THEIRS.replace('namespace = "on"', 'namespace = "off"'))
    assert {finding.file for finding in findings(folder)} == {"argo/appproject.yaml", "argo/argocd-applications.yaml"}


def test_a_file_that_ends_too_early_is_findings(folder):
    written(folder)
    file = folder / "argo" / "appproject.yaml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]))
    (finding,) = findings(folder)
    assert (finding.line, "no more lines" in finding.message) == (len(lines), True)


PATCH = [
    {"op": "add", "path": "/spec/template/metadata/annotations/team", "value": "scoring & co: on"},
    {"op": "replace", "path": "/spec/template/spec/syncPolicy/retry/limit", "value": 9},
]


def patch(folder, content):
    (folder / project.FILE).write_text(
        THEIRS.replace("[argocd]", '[argocd]\npatches.ApplicationSet = "patches/own.json"')
    )
    (folder / "argo" / "patches" / "own.json").write_text(content)


def test_a_patch_that_the_project_file_names_is_no_difference(folder):
    written(folder)
    file = folder / "argo" / "argocd-applications.yaml"
    before = yaml.safe_load(file.read_text())
    patch(folder, json.dumps(PATCH))
    assert [finding.file for finding in findings(folder)] == ["argo/argocd-applications.yaml"]
    written(folder)
    assert findings(folder) == []
    after = yaml.safe_load(file.read_text())
    assert after["spec"]["template"]["metadata"]["annotations"].pop("team") == "scoring & co: on"
    assert after["spec"]["template"]["spec"]["syncPolicy"]["retry"].pop("limit") == 9
    before["spec"]["template"]["spec"]["syncPolicy"]["retry"].pop("limit")
    assert after == before, "and nothing else"
    assert 'environment: "1e3"' in file.read_text(), "to Go, a number without quotes"
    assert "own.json" in file.read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[\n{]", "argo/patches/own.json:2: no JSON: "),
        ('{"op": "add"}', "argo/patches/own.json: "),
        ('[{"op": "replace", "path": "/spec/nothing/here", "value": 1}]', "argo/patches/own.json: "),
        ('[{"op": "sing", "path": "/spec"}]', "argo/patches/own.json: Unknown operation 'sing'"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_in_one_line(folder, content, said):
    patch(folder, content)
    with pytest.raises(UsageError) as error:
        findings(folder)
    assert error.value.message.startswith(said)
    assert "\n" not in error.value.message


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f'[{{"op": "add", "path": "/spec/x", "value": {nested(3000)}}}]', "more than 100 levels deep"),
        (nested(200_000), "more than 100 levels deep"),
        (f'[{{"op": "add", "path": "/spec/x", "value": {nested(99)}}}]', "more than 100 levels deep"),
        (
            json.dumps([{"op": "add", "path": "/spec" + "/x" * depth, "value": {}} for depth in range(1, 300)]),
            "more than 100 levels deep",
        ),
        ('[{"op": "add", "path": "/spec/x", "value": ' + "1" * 5000 + "}]", "limit"),
        ('[{"op": "add", "path": "/spec/x", "value": NaN}]', ".nan: is a number that JSON has not"),
        ('[{"op": "add", "path": "/spec/x", "value": "\\ud800"}]', "not YAML"),
        ('[{"op": "replace", "path": "", "value": null}]', "is none any more"),
        ('[{"op": "replace", "path": "", "value": []}]', "is none any more"),
        ('[{"op": "replace", "path": "", "value": {"spec": {}}}]', "is none any more"),
        ('[{"op": "replace", "path": "/kind", "value": "AppProject"}]', "is none any more"),
        ('[{"op": "replace", "path": "/apiVersion", "value": "argoproj.io/v1"}]', "is none any more"),
        ('[{"op": "replace", "path": "/metadata", "value": "scoring"}]', "is none any more"),
        ('[{"op": "replace", "path": "/metadata/name", "value": null}]', "is none any more"),
        ('[{"op": "remove", "path": "/metadata/namespace"}]', "is none any more"),
        ('[{"op": "replace", "path": "/spec", "value": null}]', "is none any more"),
    ],
)
@pytest.mark.parametrize("kind", ["AppProject", "ApplicationSet"])
def test_a_patch_that_makes_no_object_of_it_is_refused(content, said, kind):
    text = THEIRS.replace("[argocd]", f'[argocd]\npatches.{kind} = "patches/own.json"')
    if kind == "AppProject":
        content = content.replace('"value": "AppProject"', '"value": "ApplicationSet"')
    with pytest.raises(UsageError, match=r"argo/patches/own\.json.*:") as error:
        argocd.render(project.parse(text.encode()), patches={kind: content.encode()})
    assert said in error.value.message
    assert "\n" not in error.value.message


def test_a_patch_of_every_project_may_change_what_it_is_for():
    text = THEIRS.replace("[argocd]", '[argocd]\npatches.AppProject = "patches/own.json"')
    patched = [
        {"op": "replace", "path": "/spec/description", "value": "ours"},
        {"op": "add", "path": "/metadata/labels", "value": {"team": "scoring"}},
        {"op": "add", "path": "/spec/syncWindows", "value": [{"kind": "deny"}]},
        {"op": "remove", "path": "/spec/orphanedResources"},
    ]
    files = argocd.render(project.parse(text.encode()), patches={"AppProject": json.dumps(patched).encode()})
    made = list(yaml.safe_load_all(files["argo/appproject.yaml"]))
    assert [each["metadata"]["name"] for each in made] == [
        "scoring-play",
        "scoring-1e3",
        "scoring-live",
        "scoring-live-eu",
    ]
    assert all(each["spec"]["syncWindows"] == [{"kind": "deny"}] for each in made)


def test_a_patch_that_is_not_there_is_told(folder):
    patch(folder, "[]")
    (folder / "argo" / "patches" / "own.json").unlink()
    with pytest.raises(UsageError, match=r"argocd.patches.ApplicationSet: argo/patches/own.json: No such file"):
        findings(folder)


def test_what_rollouts_moves_is_ignored_and_the_rest_the_chart_leaves_out(chart):
    (ignored,) = TEMPLATE["spec"]["ignoreDifferences"]
    assert ignored["kind"] == "VirtualService"
    objects = chart.render()
    weights = [route["weight"] for http in virtual_service(objects)["http"] for route in http["route"]]
    assert weights, "there is nothing at the path that is ignored"
    assert "replicas" not in objects["Rollout", "sklearn-iris-predictor"]["spec"]
    for role in ("stable", "canary"):
        assert "selector" not in objects["Service", f"sklearn-iris-predictor-{role}"]["spec"]


def virtual_service(objects):
    return objects["VirtualService", "sklearn-iris-predictor"]["spec"]


# --- health ---


@pytest.mark.parametrize("canary", [True, False])
def test_the_health_of_a_canarys_pods_is_the_rollouts(chart, canary):
    objects = chart.render({"features": {"canaryDeployment": canary}})
    annotations = objects["InferenceService", "sklearn-iris"]["metadata"]["annotations"]
    assert annotations.get("argocd.argoproj.io/ignore-healthcheck") == ("true" if canary else None)


def test_no_sync_waits_for_health_that_a_later_wave_brings(chart):
    """The InferenceService is not healthy before the Rollout's pods, by Argo CD's built-in check."""
    objects = chart.render(EVERYTHING_ELSE, env="prod")
    waves = {kind for (kind, _), item in objects.items() if WAVE in item["metadata"].get("annotations", {})}
    assert waves == {"Namespace"}


CANARY = {
    "metadata": {"annotations": {"serving.kserve.io/autoscalerClass": "none"}},
    "spec": {"predictor": {"minReplicas": 0}},
}
OWN_PODS = {"metadata": {}, "spec": {"predictor": {"minReplicas": 1}}}


def health(inference_service):
    """Run the check as Argo CD does: Lua 5.1 with the base and table libraries alone."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    for library in ("string", "math", "io", "debug", "package", "python"):
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(inference_service, recursive=True)
    return dict(lua.execute(CONFIG["resource.customizations.health.serving.kserve.io_InferenceService"]))


def conditions(**states):
    """Return conditions: a status, or a status with reason and message."""
    made = [{"type": "Stopped", "status": "False"}]
    for name, state in states.items():
        status, reason, message = state if isinstance(state, tuple) else (state, "", "")
        made.append({"type": name, "status": status, "reason": reason, "message": message})
    return made


READY = conditions(IngressReady="True", PredictorReady="True", Ready="True")
STARTING = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
LATE = ("False", "ProgressDeadlineExceeded", "ReplicaSet has timed out progressing.")
FORBIDDEN = ("False", "FailedCreate", "exceeded quota")
NO_PODS = {"transitionStatus": "InProgress", "states": {"targetModelState": "Pending"}}
BROKEN = {
    "transitionStatus": "BlockedByFailedLoad",
    "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "no such bucket"},
}
INVALID = {
    "transitionStatus": "InvalidSpec",
    "lastFailureInfo": {"reason": "RuntimeNotRecognized", "message": "no runtime"},
}


@pytest.mark.parametrize(
    ("kind", "status", "expected", "said"),
    [
        (CANARY, None, "Progressing", "Waiting for KServe"),
        (CANARY, {}, "Progressing", "Waiting for KServe"),
        # KServe has not seen the Rollout's pods.
        (CANARY, {"conditions": READY, "modelStatus": NO_PODS}, "Healthy", "Ready"),
        # In Standard mode it is the generation of KServe's Deployment.
        (CANARY, {"conditions": READY, "observedGeneration": 1}, "Healthy", "Ready"),
        # A canary that was aborted long ago; KServe has not looked again.
        (CANARY, {"conditions": READY, "modelStatus": BROKEN}, "Healthy", "Ready"),
        (OWN_PODS, {"conditions": READY, "modelStatus": {"transitionStatus": "UpToDate"}}, "Healthy", "Ready"),
        (OWN_PODS, {"conditions": READY, "modelStatus": BROKEN}, "Degraded", "no such bucket"),
        (CANARY, {"conditions": READY, "modelStatus": INVALID}, "Degraded", "RuntimeNotRecognized: no runtime"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=STARTING, Ready=STARTING)}, "Progressing", "availability"),
        (OWN_PODS, {"conditions": conditions(PredictorReady="Unknown", Ready="Unknown")}, "Progressing", "Unknown"),
        (OWN_PODS, {"conditions": conditions(IngressReady="True")}, "Progressing", "Waiting for KServe"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=LATE, Ready=LATE)}, "Degraded", "timed out"),
        (OWN_PODS, {"conditions": conditions(PredictorReady=FORBIDDEN, Ready=FORBIDDEN)}, "Degraded", "quota"),
        (CANARY, {"conditions": [{"type": "Stopped", "status": "True"}, *READY[1:]]}, "Suspended", "Stopped"),
    ],
)
def test_an_inference_service_is_as_healthy_as_it_says(kind, status, expected, said):
    found = health(kind if status is None else {**kind, "status": status})
    assert found["status"] == expected
    assert said in found["message"]


@pytest.mark.parametrize(
    ("text", "go"),
    [("10h", "10h"), ("1h30m", "1h30m"), ("2d", "172800.0s"), ("1d12h", "129600.0s"), ("45", "45.0s"), ("9ms", "9ms")],
)
def test_a_window_is_open_for_as_long_as_the_project_file_says_in_gos_words(text, go):
    assert argocd.go_duration(text) == go
