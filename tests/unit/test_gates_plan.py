"""What judges a canary, read from what a chart renders; what the gates cannot take is refused at its line."""

from pathlib import Path

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError
from ci.canary import plan
from ci.checks import gates
from ci.commands import replays
from ci.manifests import manifests
from ci.manifests.chart import Chart, Rendering, Target, Values
from tests.harness.project import GATES

ROLLOUT = """\
# Source: fraud/templates/rollout.yaml
kind: Rollout
metadata: {name: fraud, namespace: lab}
spec:
  strategy:
    canary:
      steps:
        - setWeight: 20
        - pause: {duration: 60s}
        - analysis: &own
            templates: [{templateName: own}]
            args: [{name: revision, valueFrom: {podTemplateHashValue: Latest}}]
      analysis: *own
---
# Source: fraud/templates/monitor.yaml
kind: ServiceMonitor
metadata: {name: fraud}
spec:
  endpoints:
    - interval: 15s
      relabelings: [{targetLabel: model, replacement: fraud}, {targetLabel: service, replacement: fraud}]
---
# Source: fraud/templates/own.yaml
"""
TEMPLATE = """\
kind: AnalysisTemplate
metadata: {name: own}
spec:
  args:
    - name: least
      value: "0.95"
    - name: revision
  metrics:
    - name: first
      interval: 10s
      successCondition: result[0] >= {{args.least}}
      provider:
        prometheus:
          query: good{revision="{{args.revision}}"}
    - name: second
      interval: 10s
      successCondition: isNaN(result) || result >= {{ args.least }}
      failureCondition: >-
        !(result >= 0.5)
        && !isNaN(result)
      provider:
        prometheus:
          query: scalar(good)
"""


def read(template=TEMPLATE):
    return plan.read("lab/fraud", manifests.parse(ROLLOUT + template, {"templates/own.yaml": template}, "chart"))


def refused(template):
    with pytest.raises(plan.MetricsError) as error:
        read(template)
    return error.value


def test_a_chart_of_ones_own_is_read():
    found = read()
    assert [metric.success for metric in found.background] == ["result[0] >= 0.95", "isNaN(result) || result >= 0.95"]
    assert found.background[0].query == 'good{revision="${Latest}"}'
    assert found.background[0].about({"Latest": "7d9f"}) == 'good{revision="7d9f"}'


@pytest.mark.parametrize("gone", ["interval: 15s", "{targetLabel: model, replacement: fraud}, "])
def test_a_monitor_that_does_not_say_how_pods_are_scraped_makes_no_canary(gone):
    assert gone in ROLLOUT
    objects = manifests.parse(ROLLOUT.replace(gone, "port: http" if gone.startswith("i") else ""), {}, "chart")
    assert plan.scraped("lab/fraud", objects) is None


@pytest.mark.parametrize("own", ['code=~"5..$"', 'code=~"$|5.."', 'path="/a$1"', 'path="$5{x}"'])
def test_a_dollar_of_a_querys_own_stays(own):
    (metric, *_) = read(TEMPLATE.replace("good{", f"good{{{own}, ")).background
    assert metric.about({"Latest": "7d9f", "Stable": "5c4b"}) == f'good{{{own}, revision="7d9f"}}'


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("result[0] >= {{args.least}}", "result[0] >= 1 or len(result) == 0", 11, "metric first: successCondition: "),
        ("&& !isNaN(result)", "and !isNaN(result)", 18, "metric second: failureCondition: "),
        ("result[0] >= {{args.least}}", "default(result, 0) < 5", 11, "`default(result, 0)`"),
        ("result[0] >= {{args.least}}", 'result[0] == "{{args.least}}"', 11, "always an Error"),
    ],
)
def test_a_condition_that_the_gates_cannot_take_is_refused_at_its_line(old, new, line, what):
    error = refused(TEMPLATE.replace(old, new))
    (finding,) = error.findings
    assert (finding.file, finding.line) == ("chart/templates/own.yaml", line)
    assert what in finding.message
    assert error.message.startswith(f"chart/templates/own.yaml:{line}: AnalysisTemplate own: metric ")
    assert error.fix == finding.remedy


def test_all_that_is_refused_is_told_once():
    error = refused(TEMPLATE.replace("result[0] >= {{args.least}}", "len(result)").replace("isNaN(result) ||", "not"))
    assert [finding.line for finding in error.findings] == [11, 17]
    assert error.message.endswith("(and 1 more)")


def test_a_question_about_a_range_is_refused():
    ranged = TEMPLATE.replace("query: scalar(good)", "query: good\n          rangeQuery: {start: 'now()'}")
    (finding,) = refused(ranged).findings
    assert "metric second: rangeQuery" in finding.message
    assert finding.line == TEMPLATE.splitlines().index("          query: scalar(good)") + 2


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE.replace('value: "0.95"', "valueFrom: {secretKeyRef: {name: limits, key: least}}"),
        TEMPLATE.replace("args.least", "args.most"),
    ],
    ids=["of a secret", "that is none"],
)
def test_an_argument_without_a_value_is_refused_by_its_name(template):
    with pytest.raises(CheckFailedError, match=r"chart/templates/own\.yaml: .* its argument (least|most)"):
        read(template)


FURTHER = ROLLOUT.partition("---\n")[0].replace("name: fraud,", "name: wine,")
GREEN = "kind: Rollout\nmetadata: {name: blue}\nspec: {strategy: {blueGreen: {activeService: blue}}}\n---\n"
STEPLESS = "kind: Rollout\nmetadata: {name: front}\nspec: {strategy: {canary: {maxSurge: 1}}}\n---\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{ROLLOUT}{TEMPLATE}---\n{FURTHER}", ["wine"]),
        (f"{FURTHER}---\n{GREEN}{FURTHER.replace('wine', 'third')}---\n{ROLLOUT}{TEMPLATE}", ["third", "fraud"]),
        (f"{GREEN}{ROLLOUT}{TEMPLATE}", []),
        (f"{ROLLOUT}{TEMPLATE}---\n{GREEN}{STEPLESS}", []),
        (f"{FURTHER}---\n{FURTHER.replace('wine', 'third')}", []),
    ],
    ids=["another", "two others", "after one without", "beside others without", "without anything measured"],
)
def test_a_canary_beside_the_one_that_is_read_is_told(text, names):
    assert [each.name for each in plan.unread(manifests.parse(text, {}, "chart"))] == names


def test_the_first_rollout_with_a_canary_is_the_one_that_is_read():
    assert plan.read("lab/fraud", manifests.parse(GREEN + ROLLOUT + TEMPLATE, {}, "chart")) == read()


def rendering(tmp_path, text):
    chart = Chart(tmp_path, "chart")
    target = Target("lab", "fraud", "fraud", "acme-lab", chart, [Values("lab/fraud.yaml", "")], "1.37.0")
    return Rendering(target, text)


def test_the_canaries_beside_one_that_is_replayed_are_named(tmp_path, capsys):
    replays.tell_unjudged(rendering(tmp_path, f"{ROLLOUT}{TEMPLATE}---\n{FURTHER}"))
    said = " ".join(capsys.readouterr().err.split())
    assert "lab/fraud: Rollout wine: this canary is not judged: of an application the gates judge one" in said

    replays.tell_unjudged(rendering(tmp_path, f"{ROLLOUT}{TEMPLATE}"))
    assert capsys.readouterr().err == ""


def test_the_gates_refuse_a_canary_that_they_do_not_judge(tmp_path):
    (tmp_path / "gates.yaml").write_text(yaml.safe_dump(GATES))
    own = TEMPLATE.replace("query: scalar(good)", "query: good\n          rangeQuery: {start: 'now()'}")
    two = rendering(tmp_path, f"{ROLLOUT}{own}---\n{FURTHER}")
    found = anyio.run(gates.assess, Path("none"), Path("none"), tmp_path, ".", [two]).findings

    (said,) = [each.message for each in found if each.file == "chart/templates/rollout.yaml"]
    assert said.startswith("Rollout wine: this canary is not judged: of an application the gates judge one, the first")
    assert [each.severity for each in found] == ["error", "error"]  # what is wrong with the first is told as well
