"""lint tells what a chart makes anew each time: Helm renders it twice."""

import subprocess

import pytest

from ci import project as projects
from ci.checks import varying
from ci.manifests.chart import Chart, Rendering, Target, Values
from tests.unit.conftest import find_tool

PROJECT = projects.parse(
    b'repository = "https://github.com/acme/x"\nbranch = "main"\n'
    b'[[environments]]\nname = "lab"\nnamespace = "ml-lab"\n'
    b'[[environments]]\nname = "live"\nnamespace = "ml-live"\nprotected = true\n'
)
SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  of: iris\n  password: %s\n"


@pytest.fixture
def target(tmp_path):
    """An application of a chart with this template, in an environment."""

    def make(template, environment="lab", values="{}", place="templates"):
        file = tmp_path / place / "secret.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(template)
        (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 1.0.0\n")
        if place != "templates":
            (tmp_path / place).parent.joinpath("Chart.yaml").write_text("apiVersion: v2\nname: part\nversion: 1.0.0\n")
        chart = Chart(tmp_path, "chart")
        return Target(environment, "fraud", "fraud", "ml-lab", chart, [Values("tree/fraud.yaml", values)], "1.37.0")

    return make


def found(target):
    def rendered():
        words = [find_tool("helm"), "template", "fraud", target.chart.folder]
        return Rendering(target, subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    return [(name, each) for name, each in varying.rendered(PROJECT, [rendered()], [rendered()])]


@pytest.mark.parametrize(
    "expression",
    ["{{ randAlphaNum 20 }}", "{{ uuidv4 }}", '{{ htpasswd "a" "b" | quote }}', "{{ now.UnixNano | quote }}"],
)
def test_what_is_another_one_each_time_is_named(target, expression):
    made = target(SECRET % expression)

    assert varying.may_be(made)
    ((name, finding),) = found(made)
    assert (name, finding.file, finding.line, finding.severity) == (
        "lab/fraud",
        "chart/templates/secret.yaml",
        7,
        "warning",
    )
    assert finding.message.startswith("Secret x: stringData.password: is another one each time")


def test_a_protected_environment_has_none(target):
    ((_, finding),) = found(target(SECRET % "{{ randAlphaNum 20 }}", "live"))
    assert finding.severity == "error"


def test_another_number_of_objects_is_told(target):
    made = target(SECRET % "x")
    one, two = Rendering(made, SECRET % "x"), Rendering(made, f"{SECRET % 'x'}---\n{SECRET % 'y'}")
    ((name, finding),) = varying.rendered(PROJECT, [one], [two])
    assert (name, finding.message.partition(":")[0]) == ("lab/fraud", "makes 1 objects, and then 2")


def test_what_a_chart_of_its_own_in_it_asks_is_seen(target):
    assert varying.may_be(target(SECRET % "{{ genCA 'x' 1 }}", place="charts/part/templates"))


def test_what_values_ask_by_tpl_is_seen(target):
    assert varying.may_be(target(SECRET % "{{ tpl .Values.x . }}", values='x: "{{ randAlpha 3 }}"'))


@pytest.mark.parametrize("value", ["{{ .Values.x | default 3 | quote }}", "known", "{{ .Release.Name }}-agora"])
def test_what_is_the_same_each_time_is_not(target, value):
    made = target(SECRET % value)
    assert not varying.may_be(made)
    assert found(made) == []


def test_a_name_alone_is_nothing(target):
    made = target(SECRET % "now")
    assert varying.may_be(made), "worth a look"
    assert found(made) == []
