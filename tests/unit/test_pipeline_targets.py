"""What is judged of a project: each application as its environment has it, and a finding for a file that is wrong."""

import dataclasses
import shutil

import pytest

from ci import project
from ci.base.errors import UsageError
from ci.checks import rules
from ci.checks.targets import Chosen
from ci.manifests.chart import DEFAULTS, environment_values
from ci.stages.scope import Scope
from ci.supply import pins
from ci.tree.change import ApplicationChange, Change
from tests.harness import cli
from tests.harness import project as projects
from tests.harness.project import APPLICATIONS, CHART_FOLDER, ENVIRONMENTS, TREE

FIRST = f"{TREE}/lab/fraud-score.yaml"


@pytest.fixture
def made(tmp_path):
    return projects.made(tmp_path)


def names(found):
    return [target.name for target in found.judged]


def everything():
    return [DEFAULTS, *(f"{environment}/{name}" for environment in ENVIRONMENTS for name in APPLICATIONS)]


def test_every_application_of_every_environment_is_judged_and_the_charts_own_values(made):
    found = made.judged()

    assert names(found) == everything()
    assert found.findings == []
    assert {target.namespace for target in found.judged if target.environment == "trial"} == {"acme-trial"}
    assert {target.release for target in found.judged[1:]} == set(APPLICATIONS)


def test_a_stronger_file_of_values_comes_first(made):
    made.write(f"{CHART_FOLDER}/values/lab.yaml", "{}\n")

    files = {target.name: [values.file for values in target.values] for target in made.judged().judged}

    own = f"{CHART_FOLDER}/values.yaml"
    assert files[DEFAULTS] == [own]
    assert files["lab/fraud-score"] == [FIRST, f"{TREE}/lab/values.yaml", f"{CHART_FOLDER}/values/lab.yaml", own]
    assert files["live/fraud-score"] == [f"{TREE}/live/fraud-score.yaml", f"{TREE}/live/values.yaml", own]


def test_a_chart_has_values_for_an_environment_or_none(made):
    chart = made.folder / CHART_FOLDER
    assert environment_values(chart, "lab") == []
    file = made.write(f"{CHART_FOLDER}/values/lab.yaml", "{}\n")
    assert environment_values(chart, "lab") == [file]


def test_of_a_change_that_is_its_applications_alone_these_are_judged(made):
    changed = [("lab", "fraud-score"), ("live", "price-rank")]
    scope = Scope(
        Change(None, "", applications=tuple(ApplicationChange(*key, "changed") for key in changed)), None, None
    )
    assert scope.checked == Chosen()

    alone = dataclasses.replace(scope, change=dataclasses.replace(scope.change, alone=True))

    assert names(made.judged(among=alone.checked.among)) == ["lab/fraud-score", "live/price-rank"]


@pytest.mark.parametrize(
    ("chosen", "judged"),
    [
        ({"environment": "trial"}, ["trial/fraud-score", "trial/price-rank"]),
        ({"application": "price-rank"}, ["lab/price-rank", "trial/price-rank", "live/price-rank"]),
        ({"environment": "live", "application": "price-rank"}, ["live/price-rank"]),
        ({"environment": DEFAULTS}, [DEFAULTS]),
        ({"defaults": False}, everything()[1:]),
    ],
)
def test_a_person_may_have_a_part_judged(made, chosen, judged):
    assert names(made.judged(**chosen)) == judged


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"environment": "dev"}, "dev: not one of the environments lab, trial, live"),
        ({"environment": DEFAULTS, "defaults": False}, "defaults: not one of the environments"),
        ({"application": "fraud"}, "--app fraud: there is no deploy/*/fraud.yaml"),
        ({"application": "fraud", "environment": "lab"}, "there is no deploy/lab/fraud.yaml"),
        ({"application": "values"}, "--app values: not the name of an application: TREE/ENVIRONMENT/values.yaml has"),
        ({"environment": "quarantine"}, "quarantine: not one of the environments lab, trial, live: the folder of sets"),
    ],
)
def test_a_part_that_is_not_there_is_wrong_use(made, chosen, said):
    with pytest.raises(UsageError) as refused:
        made.judged(**chosen)
    assert said in refused.value.message


BROKEN = {
    "no YAML": ("chart:\n  revision: [\nvalues: {}\n", 4, "not YAML"),
    "not UTF-8": (b"chart:\n  revision: \xff\n", 2, "not UTF-8"),
    "empty": ("", 0, "the file has nothing in it"),
    "a list": ("- chart\n", 1, "the top has no chart"),
    "a key is missing": (projects.application("x").replace("  version: '7'\n", ""), 4, "model has no version"),
    "values are a list": (projects.application("x").replace("values: {}", "values: [1]"), 11, "values: is no mapping"),
    "the model's values are a string": (
        projects.application("x", values={"exampleModel": "iris"}),
        12,
        "values.exampleModel: is no mapping",
    ),
    "a revision that git does not have": (projects.application("x", "v9"), 2, "git has no v9"),
    "an empty revision": (projects.application("x", ""), 2, "chart.revision: is empty"),
    "what the project file says": ("namespace: here\n" + projects.application("x"), 1, "namespace"),
}


@pytest.mark.parametrize(("content", "line", "said"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_wrong_is_found_at_its_line_and_the_others_are_judged(made, content, line, said):
    made.commit()
    made.write(f"{TREE}/trial/broken.yaml", content)

    found = made.judged()

    (finding,) = found.findings
    assert (finding.file, finding.line) == (f"{TREE}/trial/broken.yaml", line), finding
    assert said in finding.message
    assert finding.remedy
    assert names(found) == everything()


def test_of_500_applications_one_is_malformed(tmp_path):
    many = [f"model-{number}" for number in range(500)]
    made = projects.made(tmp_path, environments=("lab",), applications=many)
    made.write(f"{TREE}/lab/model-7.yaml", "chart: {}\n")

    found = made.judged(defaults=False)

    (finding,) = found.findings
    assert finding.place == f"{TREE}/lab/model-7.yaml:1"
    assert len(found.judged) == 499


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{TREE}/prod/fraud-score.yaml", "prod is no environment"),
        (f"{TREE}/lab/Fraud_Score.yaml", "Fraud_Score is no name of an application"),
    ],
)
def test_what_argo_cd_does_not_deploy_is_found(made, path, said):
    made.write(path, projects.application("x"))

    (finding,) = made.judged().findings

    assert finding.file == path
    assert said in finding.message


def test_what_values_say_of_the_set_in_vain_is_told(made):
    own = {"name": "other", "image": "elsewhere:1", "storageUri": "s3://acme/fraud-score/7", "port": 9000}
    made.deploy("lab", "fraud-score", values={"exampleModel": own})

    told = {each.message: each for each in made.judged(lambda found: found.warnings)}

    image = (
        "values.exampleModel.image: changes nothing, image says what is deployed: registry.example.com/fraud-score:3.1"
    )
    name = "values.exampleModel.name: changes nothing, the file's name says what is deployed: fraud-score"
    assert {*told} == {image, name}
    text = (made.folder / FIRST).read_text().splitlines()
    assert [text[told[each].line - 1].strip() for each in (image, name)] == ["image: elsewhere:1", "name: other"]
    assert {each.severity for each in told.values()} == {"warning"}


DEFAULTED = "exampleModel: {replicas: 1}\nautoscaling: {minReplicas: 1}\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "remedy"),
    [
        ("values:", "autoscaling: {minReplicas: 2}\nvalues:", 11, "autoscaling: unknown key", "values.autoscaling"),
        ("values:", "replicas: 3\nvalues:", 11, "replicas: unknown key", "values.exampleModel.replicas"),
        ("values:", "imgae: {tag: x}\nvalues:", 11, "imgae: unknown key; nearest is image", "call it image"),
        ("  storageUri:", "  uri: x\n  storageUri:", 5, "model.uri: unknown key; there are version,", "remove it"),
        ("  tag:", "  pullPolicy: Always\n  tag:", 9, "image.pullPolicy: unknown key; there are repo", "remove it"),
        ("  digest: ''\nimage", "  digest: ''\n  digests: x\nimage", 7, "nearest is digest", "call it digest"),
    ],
)
def test_a_key_that_nothing_reads_is_found_with_what_is_meant(made, old, new, line, said, remedy):
    made.write(f"{CHART_FOLDER}/values.yaml", DEFAULTED)
    made.write(FIRST, projects.application("fraud-score").replace(old, new, 1))

    found = made.judged()
    warned = made.judged(lambda found: list(found.warnings))

    (finding,) = [*found.findings, *warned]
    severity = "error" if remedy.startswith("values.") else "warning"
    assert (finding.file, finding.line, finding.severity) == (FIRST, line, severity)
    assert said in finding.message
    assert remedy in finding.remedy
    assert names(found) == everything()


def test_a_note_beside_the_sections_is_a_warning_and_one_that_is_named_so_none(made):
    made.write(FIRST, "owner: team-search\nx-steps: &steps [1]\n" + projects.application("fraud-score"))

    (finding,) = made.judged(lambda found: [*found.findings, *found.warnings])

    assert (finding.line, finding.severity) == (1, "warning")
    assert "owner: unknown key" in finding.message
    assert "x-owner" in finding.remedy


def test_two_applications_that_argo_cd_would_call_the_same_are_found_each_with_the_other(tmp_path):
    made = projects.made(tmp_path, environments=("live", "live-us"), applications=["fraud-score"])
    first = made.deploy("live", "us-fraud-score")

    found = made.judged()

    second = f"{TREE}/live-us/fraud-score.yaml"
    assert [each.file for each in found.findings] == [first, second]
    for finding, other in zip(found.findings, (second, first), strict=True):
        assert finding.message == f"Argo CD would call it live-us-fraud-score, and {other} as well"
    assert names(found) == [DEFAULTS, "live/fraud-score"]
    (alone,) = made.judged(environment="live", application="us-fraud-score").findings
    assert alone == found.findings[0]


def test_a_folder_that_cannot_be_read_as_a_file_is_found(made):
    (made.folder / TREE / "lab" / "odd.yaml").mkdir()

    (finding,) = made.judged().findings

    assert finding.file == f"{TREE}/lab/odd.yaml"


def test_sets_in_quarantine_and_what_gates_are_held_to_are_no_applications(made):
    made.write(f"{TREE}/quarantine/fraud-score.yaml", "since: today\n")

    assert names(made.judged()) == everything()


def test_a_revision_outside_of_any_repository_is_found_and_the_way_out_told(made):
    made.deploy("live", "fraud-score", "v1")

    (finding,) = made.judged().findings

    assert "not a git repository" in finding.message
    assert finding.place == f"{TREE}/live/fraud-score.yaml:2"


def test_an_application_gets_chart_and_values_of_its_revision_out_of_git(made, chart):
    first = made.commit()
    made.deploy("live", "fraud-score", first)
    made.deploy("live", "price-rank", first[:12])
    made.write(f"{TREE}/live/values.yaml", "autoscaling:\n  maxReplicas: 9\n")
    made.write(f"{CHART_FOLDER}/templates/configmap.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: new}\n")

    rendered = made.helm(chart.helm, "template")

    def new(name):
        return any(each.name == "new" for each in rendered[name].objects)

    assert new("lab/fraud-score")
    assert not new("live/fraud-score")
    assert not new("live/price-rank")
    (scaler,) = [each for each in rendered["live/fraud-score"].objects if each.kind == "HorizontalPodAutoscaler"]
    assert scaler.dig("spec", "maxReplicas") == 7
    assert scaler.file.startswith(f"{first[:12]}:{CHART_FOLDER}/templates/")


def test_revisions_with_the_same_chart_share_its_files(made):
    first = made.commit()
    made.deploy("live", "fraud-score", first)
    made.write("README.md", "more\n")
    made.deploy("live", "price-rank", made.commit())

    charts = [target.chart for target in made.judged(environment="live").judged]

    assert charts[0] is charts[1]


def test_a_revision_without_the_chart_is_found(made):
    made.git("init", "--quiet", "--initial-branch=trunk")
    made.git("add", TREE)
    made.git("commit", "--quiet", "--message=Before the chart")
    made.deploy("live", "fraud-score", made.git("rev-parse", "HEAD"))

    (finding,) = made.judged().findings

    assert finding.message.endswith(f"has no {CHART_FOLDER}")


def test_a_project_in_a_folder_of_a_repository_finds_its_charts_past(tmp_path, chart):
    made = projects.made(tmp_path / "serving" / "models")
    top = projects.Made(tmp_path)
    made.deploy("live", "fraud-score", top.commit())

    rendered = made.helm(chart.helm, "template", environment="live")

    assert rendered["live/fraud-score"].findings == ()


def test_what_is_rendered_is_what_the_file_says(made, chart):
    made.deploy("lab", "fraud-score", values={"autoscaling": {"minReplicas": 3}, "exampleModel": {"replicas": 3}})

    rendered = made.helm(chart.helm, "template")["lab/fraud-score"]

    assert rendered.findings == ()
    objects = {each.kind: each for each in rendered.objects}
    service = objects["InferenceService"]
    assert service.name == "fraud-score"
    assert service.dig("metadata", "namespace") in (None, "acme-lab")
    assert service.dig("spec", "predictor", "model", "storageUri") == "s3://acme/fraud-score/7"
    assert service.dig("spec", "predictor", "model", "image") == "registry.example.com/fraud-score:3.1"
    scaler = objects["HorizontalPodAutoscaler"].data["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 7), "the application's over the environment's"


@pytest.mark.parametrize("command", ["lint", "template", "gates"])
def test_a_command_refuses_an_environment_of_another_project_before_it_does_anything(made, command):
    ended = cli.run(f"--project={made.folder}", command, "--env", "staging")

    assert ended.returncode == 2
    assert "staging: not one of the environments lab, trial, live" in " ".join(ended.stderr.split())


CAPABILITIES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: asked}
data:
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  rules: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" | quote }}
{{- if and (eq .Release.Namespace "acme-live") (not (.Capabilities.APIVersions.Has "acme.example/v1")) }}
{{- fail "wants acme.example/v1" }}
{{- end }}
"""


def test_a_chart_that_asks_for_capabilities_is_told_of_the_environments_cluster(made, tool):
    made.write(f"{CHART_FOLDER}/templates/asked.yaml", CAPABILITIES)
    text = projects.toml().replace(
        'namespace = "acme-live"\n',
        'namespace = "acme-live"\nkubernetes = "v1.31.2-eks-1"\n'
        'api_versions = ["monitoring.coreos.com/v1", "acme.example/v1"]\n',
    )
    made.write(project.FILE, text)

    found = made.helm(tool("helm"), "template")

    def asked(name):
        return next(each.data["data"] for each in found[name].objects if each.data["metadata"]["name"] == "asked")

    pinned = pins.load().modules["kubernetes"].version
    for name in (DEFAULTS, "lab/fraud-score"):
        assert asked(name) == {"kubernetes": pinned, "rules": "false"}, "as a throw-away cluster has it"
    assert asked("live/fraud-score") == {"kubernetes": "v1.31.2", "rules": "true"}


# --- a chart of charts ---

ALIASES = {name: {"exampleModel": {"name": name}} for name in ("forecast", "summaries")}


def test_a_dependencys_objects_are_found_in_the_files_that_the_repository_has(tmp_path, tool):
    made = projects.umbrella(tmp_path, ALIASES)
    made.commit()
    rendered = made.helm(tool("helm"), "template")["defaults"].objects

    wanted = [each for each in rendered if each.kind == "PrometheusRule"]
    assert {each.file for each in rendered} == {each.file for each in rendered if (tmp_path / each.file).is_file()}
    assert {each.file for each in wanted} == {"charts/ml-serving/templates/prometheusrule.yaml"}
    assert all(each.line(("metadata", "name")) for each in wanted)
    assert not list(rules.repeated(wanted))


def test_an_unpacked_dependency_is_found_where_it_lies_and_not_by_its_alias(tmp_path, tool):
    made = projects.umbrella(tmp_path, ALIASES)
    (tmp_path / CHART_FOLDER / "charts").mkdir()
    (tmp_path / "charts" / "ml-serving").rename(tmp_path / CHART_FOLDER / "charts" / "ml-serving")
    made.commit()
    rendered = made.helm(tool("helm"), "template")["defaults"].objects

    assert {each.file.partition("/templates/")[0] for each in rendered} == {f"{CHART_FOLDER}/charts/ml-serving"}


def test_a_chart_that_is_all_dependencies_needs_no_templates(tmp_path, tool):
    made = projects.umbrella(tmp_path, ALIASES)
    made.commit()
    assert made.helm(tool("helm"), "lint") == {"defaults": []}
    shutil.rmtree(tmp_path / "charts" / "ml-serving")
    made.write(f"{CHART_FOLDER}/Chart.yaml", "apiVersion: v2\nname: grid\nversion: 1.0.0\n")
    made.commit()
    (finding,) = made.helm(tool("helm"), "lint")["defaults"]
    assert "does not exist" in finding.message


def test_what_a_dependencys_template_refuses_is_found_in_its_file(tmp_path, tool):
    made = projects.umbrella(tmp_path, ALIASES)
    made.write("charts/ml-serving/templates/extra.yaml", '{{ fail "no" }}\n')
    made.commit()
    (finding,) = made.helm(tool("helm"), "template")["defaults"].findings
    assert finding.place == "charts/ml-serving/templates/extra.yaml:1"
