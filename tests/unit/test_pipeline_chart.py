"""What helm says about a broken chart or its values becomes findings at the right place; helm really runs on each."""

import pytest
import yaml

from ci.checks.chart import left_out
from ci.manifests.chart import DEFAULTS
from tests.harness import chart as charts
from tests.harness import project as projects
from tests.harness.project import CHART_FOLDER, TREE

TARGET = "lab/fraud-score"
APPLICATION = f"{TREE}/lab/fraud-score.yaml"
IN_TREE = f"{TREE}/lab/values.yaml"
IN_CHART = f"{CHART_FOLDER}/values/lab.yaml"
OWN = f"{CHART_FOLDER}/values.yaml"
SCALER = f"{CHART_FOLDER}/templates/hpa.yaml"


@pytest.fixture
def made(tmp_path):
    return projects.made(tmp_path, environments=("lab",), applications=("fraud-score",))


@pytest.fixture
def findings(made, chart):
    """What is found of an application, by `helm lint` or by `helm template`."""

    def found(what="template"):
        of_target = made.helm(chart.helm, what, defaults=False)[TARGET]
        return list(of_target if what == "lint" else of_target.findings)

    return found


def append(made, path, text):
    file = made.folder / path
    file.write_text(file.read_text() + text)
    return len(file.read_text().splitlines())


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_project_as_it_should_be_has_no_finding(findings, command):
    assert findings(command) == []


@pytest.mark.parametrize("command", ["lint", "template"])
@pytest.mark.parametrize("file", [IN_TREE, IN_CHART])
def test_a_wrong_type_names_the_key_and_its_line(made, findings, command, file):
    made.write(file, "canary:\n  rollbackWindow: 1\nautoscaling:\n  minReplicas: many\n")

    (finding,) = findings(command)

    assert (finding.file, finding.line) == (file, 4)
    assert "autoscaling.minReplicas" in finding.message
    assert "want integer" in finding.message


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_wrong_value_of_an_application_is_found_in_its_file(made, findings, command):
    made.deploy("lab", "fraud-score", values={"autoscaling": {"minReplicas": "many"}, "exampleModel": {"replica": 2}})

    found = {(finding.line, finding.message.partition(":")[0]) for finding in findings(command)}

    lines = (made.folder / APPLICATION).read_text().splitlines()
    assert {finding.file for finding in findings(command)} == {APPLICATION}
    assert {(lines[line - 1].strip(), name) for line, name in found} == {
        ("minReplicas: many", "autoscaling.minReplicas"),
        ("replica: 2", "exampleModel.replica"),
    }


def test_what_the_set_says_is_found_where_the_set_says_it(made, findings):
    text = projects.application("fraud-score").replace("digest: ''", "digest: sha256:no", 1)
    made.write(APPLICATION, text)

    (finding,) = findings()

    assert finding.file == APPLICATION
    assert text.splitlines()[finding.line - 1].strip() == "digest: sha256:no"


@pytest.mark.parametrize("command", ["lint", "template"])
def test_the_strongest_file_that_has_the_value_is_named(made, findings, command):
    made.write(IN_CHART, "autoscaling: {minReplicas: few}\n")
    made.write(IN_TREE, "autoscaling: {minReplicas: many}\n")

    (finding,) = findings(command)

    assert finding.file == IN_TREE


@pytest.mark.parametrize("command", ["lint", "template"])
def test_an_unknown_key_names_itself(made, findings, command):
    made.write(IN_TREE, "# a comment\nautoscaling:\n  maxReplica: 3\nnothing: 1\n")

    found = {(finding.line, finding.message) for finding in findings(command)}

    assert found == {(3, "autoscaling.maxReplica: unknown key"), (4, "nothing: unknown key")}


@pytest.mark.parametrize("command", ["lint", "template"])
@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("autoscaling:\n  cpu: 500m\n  minReplicas: null\n", 3, "autoscaling.minReplicas"),
        ("exampleModel:\n  probes:\n", 2, "exampleModel.probes"),
        ("# nothing differs yet\ncanary:\n", 2, "canary"),
        ("slo: {latency: {p99Threshold: ~}}\n", 1, "slo.latency.p99Threshold"),
    ],
)
@pytest.mark.parametrize("file", [IN_TREE, IN_CHART])
def test_null_where_the_chart_needs_a_value_names_the_key_and_its_line(made, findings, command, file, text, line, key):
    made.write(file, text)

    (finding,) = findings(command)

    assert (finding.file, finding.line) == (file, line)
    assert finding.message == f"{key}: null, and the chart needs a value here"


def test_null_that_says_nothing_of_the_charts_own_names_the_key_and_its_line(made, findings):
    made.write(IN_TREE, "exampleModel:\n  labels:\n    team: null\n")

    (finding,) = findings()

    assert finding.place == f"{IN_TREE}:3"
    assert finding.message == "exampleModel.labels.team: null is no value here"
    assert finding.remedy == "give it a value, or remove the line"


def test_a_wrong_type_in_the_chart_s_own_values_is_found_there(made, findings):
    text = (made.folder / OWN).read_text()
    made.write(OWN, text.replace("p95Threshold: 0.5", "p95Threshold: fast"))

    (finding,) = findings()

    assert finding.file == OWN
    assert "p95Threshold" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize("command", ["lint", "template"])
@pytest.mark.parametrize("file", [IN_TREE, IN_CHART])
def test_values_that_are_no_yaml_name_file_and_line(made, findings, command, file):
    made.write(file, "a: 1\nb: [1\nc: 2\n")

    (finding,) = findings(command)

    assert (finding.file, finding.line) == (file, 3)
    assert finding.message.startswith("no YAML")


@pytest.mark.parametrize("command", ["lint", "template"])
def test_an_environment_needs_no_values_of_its_own(made, findings, command):
    (made.folder / IN_TREE).unlink()

    assert findings(command) == []


def test_a_template_that_refuses_the_values_says_why_and_where(made, findings):
    line = append(made, SCALER, '\n{{ fail "one thing contradicts another" }}\n')

    (finding,) = findings()

    assert (finding.file, finding.line) == (SCALER, line)
    assert finding.message == "one thing contradicts another"


def line_of(made, path, text):
    """The number of the line that begins with a text, in a file of the project."""
    (number,) = (n for n, line in enumerate((made.folder / path).read_text().splitlines(), 1) if line.strip() == text)
    return number


def test_values_that_a_template_refuses_are_found_where_the_application_has_them(made, findings):
    made.deploy("lab", "fraud-score", values={"exampleModel": {"drainSeconds": 599}})

    (finding,) = findings()

    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, "drainSeconds: 599"))
    assert finding.message.startswith("exampleModel.drainSeconds (599) leaves nothing of ")
    assert "templates/" not in finding.message + finding.remedy


def test_values_that_a_template_stumbles_over_are_found_there_too_and_the_template_is_named(made, findings):
    line = append(made, SCALER, "\n{{ len .Values.autoscaling.maxReplicas }}\n")
    made.deploy("lab", "fraud-score", values={"autoscaling": {"maxReplicas": 2}})

    (finding,) = findings()

    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, "maxReplicas: 2"))
    assert f" (said by {SCALER}:{line})" in finding.message


@pytest.mark.parametrize(
    ("part", "amount", "line"),
    [
        # A template says the one, the schema the other.
        ("requests", {"nvidia.com/gpu": 1}, "nvidia.com/gpu: 1"),
        ("requests", {"ephemeral-storage": "2Gi", "nvidia.com/gpu": 3}, "nvidia.com/gpu: 3"),
        ("limits", {"nvidia.com/gpu": "one"}, "nvidia.com/gpu: one"),
    ],
)
def test_a_key_with_dots_and_slashes_is_found_where_the_application_has_it(made, findings, part, amount, line):
    made.deploy("lab", "fraud-score", values={"exampleModel": {"resources": {part: amount}}})

    (finding,) = findings()

    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, line))
    assert "nvidia.com/gpu" in finding.message


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"exampleModel": {"resources": {"requests": {"memory": "2Gi"}}}}, "memory: 2Gi"),
        ({"exampleModel": {"resources": {"limits": {"cpu": "50m"}}}}, "cpu: 50m"),
        ({"autoscaling": {"memory": 0}}, "memory: 0"),
        ({"exampleModel": {"resources": {"limits": None}}}, "limits: null"),
        ({"canary": {"progressDeadlineSeconds": 180}}, "progressDeadlineSeconds: 180"),
        ({"canary": {"maxSurge": 1}}, "maxSurge: 1"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable: 0"),
        ({"monitoring": {"scrapeInterval": "5m"}, "canary": {"analysis": {"window": "10m"}}}, "scrapeInterval: 5m"),
        (
            {"slo": {"availability": {"target": 0.9}}, "canary": {"analysis": {"errorBudgetBurn": 2}}},
            "target: 0.9",
        ),
        ({"monitoring": {"prometheusAddress": "http://{{a}}"}}, "prometheusAddress: http://{{a}}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_contradiction_is_found_at_the_applications_own_part_of_it(made, findings, values, line):
    made.deploy("lab", "fraud-score", values=values)

    (finding,) = findings()

    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, line))


def test_a_name_that_is_too_long_is_found_in_the_file_that_has_it(made, chart):
    name = "fraud-score-" + "i" * 33
    (made.folder / APPLICATION).unlink()
    file = made.deploy("lab", name)

    (finding,) = made.helm(chart.helm, "template", defaults=False)[f"lab/{name}"].findings

    assert (finding.file, finding.line) == (file, line_of(made, file, "model:"))
    assert finding.message.startswith(f"exampleModel.name ({name}) is too long for namespace acme-lab")


def test_of_two_values_that_contradict_each_other_the_stronger_files_is_named(made, findings):
    made.deploy("lab", "fraud-score", values={"autoscaling": {"maxReplicas": 2}})
    made.write(IN_TREE, "autoscaling:\n  minReplicas: 9\n")

    (finding,) = findings()

    assert finding.message.startswith("autoscaling.minReplicas (9) is above autoscaling.maxReplicas (2)")
    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, "maxReplicas: 2"))


def test_a_contradiction_of_the_charts_own_values_is_found_in_its_template(made, findings):
    (made.folder / IN_TREE).unlink()
    text = (made.folder / OWN).read_text()
    made.write(OWN, text.replace("  p95Threshold: 0.5", "  p95Threshold: 500"))

    (finding,) = findings()

    assert "slo.latency.p95Threshold" in finding.message
    assert finding.file.startswith(f"{CHART_FOLDER}/templates/")


@pytest.fixture
def found_in(made, chart):
    """What a check says of a value of the InferenceService, once an application has some values."""

    def found(values, *path):
        made.deploy("lab", "fraud-score", values=values)

        def looked(renderings):
            (model,) = (each for each in renderings[TARGET].objects if each.kind == "InferenceService")
            return model.finding("schema", ("spec", "predictor", *path), "is wrong", "correct it")

        return looked(made.helm(chart.helm, "template", defaults=False))

    return found


CPU = ("model", "resources", "limits", "cpu")


def test_what_is_wrong_with_an_object_is_found_where_the_application_has_it(made, found_in):
    both = {"requests": {"cpu": "7"}, "limits": {"cpu": "7"}}

    finding = found_in({"exampleModel": {"resources": both}}, *CPU)

    lines = (made.folder / APPLICATION).read_text().splitlines()
    assert finding.file == APPLICATION
    assert [lines[finding.line - 2].strip(), lines[finding.line - 1].strip()] == ["limits:", "cpu: '7'"]
    assert finding.message.startswith(
        "InferenceService fraud-score: is wrong (exampleModel.resources.limits.cpu, rendered by "
    )
    assert f"{CHART_FOLDER}/templates/inferenceservice.yaml" in finding.message


def test_an_item_of_a_list_is_found_by_what_it_has(made, found_in):
    env = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyReff": {"name": "keys", "key": "b"}}}]

    finding = found_in({"exampleModel": {"env": env}}, "model", "env", 1, "valueFrom", "secretKeyReff")

    assert (finding.file, finding.line) == (APPLICATION, line_of(made, APPLICATION, "secretKeyReff:"))


MOUNTED = {"name": "cache", "mountPath": "/cache"}


@pytest.mark.parametrize(
    ("values", "path", "text"),
    [
        ({"env": [{"name": "A", "value": "1"}] * 2}, ("model", "env", 1), "- name: A"),
        ({"env": [{"name": each, "value": "same"} for each in "AB"]}, ("model", "env", 1, "value"), "value: same"),
        ({"env": [{"name": "A", "value": each} for each in "12"]}, ("model", "env", 1, "name"), "- name: A"),
        ({"model": {"volumeMounts": [MOUNTED] * 2}}, ("model", "volumeMounts", 2), "- name: cache"),
        ({"predictor": {"volumes": [{"emptyDir": {}, "name": "c"}] * 2}}, ("volumes", 2, "name"), "name: c"),
    ],
)
def test_what_is_twice_in_a_list_is_found_at_the_second(made, found_in, monkeypatch, values, path, text):
    monkeypatch.setattr(yaml.SafeDumper, "ignore_aliases", lambda *_: True)

    finding = found_in({"exampleModel": values}, *path)

    lines = (made.folder / APPLICATION).read_text().splitlines()
    assert finding.file == APPLICATION
    assert [number for number, line in enumerate(lines, 1) if line.strip() == text][1] == finding.line


def test_what_two_values_may_be_is_found_in_the_template(found_in):
    both = {"podLabels": {"team": "same"}, "podAnnotations": {"team": "same"}}

    finding = found_in({"exampleModel": both}, "labels", "team")

    assert finding.file == f"{CHART_FOLDER}/templates/inferenceservice.yaml"


def test_what_the_chart_alone_says_is_found_in_the_template(found_in):
    finding = found_in({}, *CPU)

    assert finding.file == f"{CHART_FOLDER}/templates/inferenceservice.yaml"
    assert finding.message == "InferenceService fraud-score: is wrong"


@pytest.mark.parametrize("command", ["lint", "template"])
@pytest.mark.parametrize("fault", ["{{ .Values.no.such.key }}", "{{ if }}"])
def test_a_template_that_fails_is_named_with_its_line(made, findings, command, fault):
    line = append(made, SCALER, f"\n{fault}\n")

    (finding,) = findings(command)

    assert (finding.file, finding.line) == (SCALER, line)


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_template_that_renders_no_yaml_is_named(made, findings, command):
    append(made, SCALER, "\n---\na: [1\n")

    (finding,) = findings(command)

    assert finding.file == SCALER


def test_what_is_yaml_to_helm_alone_is_named(made, findings):
    made.write(
        f"{CHART_FOLDER}/templates/odd.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: !!binary aGk=}\n",
    )

    (finding,) = findings()

    assert finding.file == f"{CHART_FOLDER}/templates/odd.yaml"


def test_a_warning_of_helm_lint_is_a_finding(made, findings):
    odd = f"{CHART_FOLDER}/templates/odd.yaml"
    made.write(odd, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Odd_name\n")

    (finding,) = findings("lint")

    assert finding.file == odd
    assert "Odd_name" in finding.message


LISTED = """apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: listed}}
"""
ANEW = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: before-}\n"


@pytest.mark.parametrize("text", [LISTED, ANEW], ids=["List", "generateName"])
def test_what_needs_no_name_of_its_own_is_taken(made, findings, text):
    made.write(f"{CHART_FOLDER}/templates/own.yaml", text)
    assert findings("lint") == []
    made.write(f"{CHART_FOLDER}/templates/odd.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Odd_name\n")
    (finding,) = findings("lint")
    assert "Odd_name" in finding.message


LACKS = {"runtime": "kserve-lgbserver", "modelFormat": "lightgbm"}
"""What an application's file does not say by its own keys."""


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_chart_without_an_example_model_names_what_an_application_lacks(made, findings, command):
    charts.without_example(made.folder / CHART_FOLDER)
    assert {finding.message for finding in findings(command)} == {
        f"exampleModel: missing property '{key}'" for key in LACKS
    }

    made.deploy("lab", "fraud-score", values={"exampleModel": LACKS})
    assert findings(command) == []

    made.deploy("lab", "fraud-score", values={"exampleModel": {"runtime": ""}})
    assert findings(command) == [], "a container of its own"


@pytest.mark.parametrize(
    ("threshold", "environment", "judged"),
    [("0.5", None, False), ("0.5", DEFAULTS, True), ("fast", None, True)],
    ids=["it wants a model", "a person named it", "it is wrong as well"],
)
def test_a_chart_that_wants_values_is_not_judged_by_itself(made, chart, threshold, environment, judged):
    charts.without_example(made.folder / CHART_FOLDER)
    text = (made.folder / OWN).read_text()
    made.write(OWN, text.replace("p95Threshold: 0.5", f"p95Threshold: {threshold}"))

    found = made.helm(chart.helm, "template", environment=environment)[DEFAULTS]

    assert found.findings
    assert left_out(found.target, found.findings) is not judged
