"""What helm says about a broken chart becomes findings at the right place; helm really runs on each."""

import shutil
import subprocess

import pytest

from ci.base.paths import CHART, ROOT
from ci.checks import chart as pipeline

PATH = str(CHART.relative_to(ROOT))


@pytest.fixture
def copy(tmp_path, chart):
    """A checkout with a copy of the chart, and what the findings are when helm runs on it."""
    folder = tmp_path / PATH
    shutil.copytree(CHART, folder)
    described = pipeline.Chart(tmp_path, PATH, "v1.35.0")

    def findings(command):
        arguments = ["lint", ".", "--strict", "--quiet"] if command == "lint" else ["template", "ml-serving", "."]
        result = subprocess.run(
            [chart.helm, *arguments, *described.options("dev")],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        output = result.stdout + result.stderr
        assert result.returncode != 0, output
        return pipeline.findings(described, "dev", output)

    return folder, findings


def append(file, text):
    file.write_text(file.read_text() + text)


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_wrong_type_names_the_key_and_its_line(copy, command):
    folder, findings = copy
    values = folder / "values" / "dev.yaml"
    values.write_text("canary:\n  maxSurge: 1\nautoscaling:\n  maxReplicas: many\n")
    (finding,) = findings(command)
    assert (finding.file, finding.line) == (f"{PATH}/values/dev.yaml", 4)
    assert "autoscaling.maxReplicas" in finding.message
    assert "want integer" in finding.message


@pytest.mark.parametrize("command", ["lint", "template"])
def test_an_unknown_key_names_itself(copy, command):
    folder, findings = copy
    (folder / "values" / "dev.yaml").write_text("# a comment\nautoscaling:\n  maxReplica: 3\nnothing: 1\n")
    found = {(finding.line, finding.message) for finding in findings(command)}
    assert found == {(3, "autoscaling.maxReplica: unknown key"), (4, "nothing: unknown key")}


def test_a_wrong_type_in_the_chart_s_own_values_is_found_there(copy):
    folder, findings = copy
    values = folder / "values.yaml"
    text = values.read_text()
    values.write_text(text.replace("p95Threshold: 0.5", "p95Threshold: fast"))
    (folder / "values" / "dev.yaml").write_text("{}\n")
    (finding,) = findings("template")
    assert finding.file == f"{PATH}/values.yaml"
    assert "p95Threshold" in values.read_text().splitlines()[finding.line - 1]


@pytest.mark.parametrize("command", ["lint", "template"])
def test_values_that_are_no_yaml_name_file_and_line(copy, command):
    folder, findings = copy
    (folder / "values" / "dev.yaml").write_text("a: 1\nb: [1\nc: 2\n")
    (finding,) = findings(command)
    assert (finding.file, finding.line) == (f"{PATH}/values/dev.yaml", 3)
    assert finding.message.startswith("no YAML")


@pytest.mark.parametrize("command", ["lint", "template"])
def test_an_environment_without_values_is_named(copy, command):
    folder, findings = copy
    (folder / "values" / "dev.yaml").unlink()
    (finding,) = findings(command)
    assert (finding.file, finding.line) == (f"{PATH}/values/dev.yaml", 0)


def test_a_template_that_refuses_the_values_says_why_and_where(copy):
    folder, findings = copy
    append(folder / "templates" / "hpa.yaml", '\n{{ fail "one thing contradicts another" }}\n')
    (finding,) = findings("template")
    assert finding.file == f"{PATH}/templates/hpa.yaml"
    assert finding.line == len((folder / "templates" / "hpa.yaml").read_text().splitlines())
    assert finding.message == "one thing contradicts another"


@pytest.mark.parametrize("command", ["lint", "template"])
@pytest.mark.parametrize("fault", ["{{ .Values.no.such.key }}", "{{ if }}"])
def test_a_template_that_fails_is_named_with_its_line(copy, command, fault):
    folder, findings = copy
    file = folder / "templates" / "hpa.yaml"
    append(file, f"\n{fault}\n")
    (finding,) = findings(command)
    assert (finding.file, finding.line) == (f"{PATH}/templates/hpa.yaml", len(file.read_text().splitlines()))


@pytest.mark.parametrize("command", ["lint", "template"])
def test_a_template_that_renders_no_yaml_is_named(copy, command):
    folder, findings = copy
    append(folder / "templates" / "hpa.yaml", "\n---\na: [1\n")
    (finding,) = findings(command)
    assert finding.file == f"{PATH}/templates/hpa.yaml"


def test_a_warning_of_helm_lint_is_a_finding(copy):
    folder, findings = copy
    (folder / "templates" / "odd.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Odd_name\n")
    (finding,) = findings("lint")
    assert finding.file == f"{PATH}/templates/odd.yaml"
    assert "Odd_name" in finding.message
