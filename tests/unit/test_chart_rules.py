"""The SLO rules, run by promtool over the series of tests/rules, and what leads people from an alert to its mending."""

import json
import re
import subprocess

import pytest
import yaml

from ci.base.paths import CHART, ROOT
from ci.checks import rules
from ci.manifests import manifests
from ci.manifests.chart import Chart, Target, Values

TESTS = sorted((ROOT / rules.TESTS).glob("*_test.yaml"))
OWN = ROOT / rules.TESTS / f"own_test.yaml{rules.TEMPLATE}"
TEMPLATE = "templates/prometheusrule.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTING = (ROOT / "docs" / "alerting.md").read_text()
SECONDS = 900
"""Thirty days of series are a minute's work, and many times that where a machine does it last of all."""


FIXED = yaml.safe_load((ROOT / rules.TESTS / rules.VALUES).read_text())


@pytest.fixture
def parsed(chart):
    """The PrometheusRule that values make, as lint sees it."""

    def parse(values):
        templates = {TEMPLATE: (CHART / TEMPLATE).read_text()}
        objects = manifests.parse(chart.template(values).stdout, templates, str(CHART.relative_to(ROOT)))
        return rules.sources(objects)

    return parse


@pytest.fixture
def rendered(parsed):
    """What the tests in tests/rules are written for."""
    return parsed(FIXED)


@pytest.fixture
def run_promtool(promtool, tmp_path):
    """Have promtool run tests, by their names, on rules."""

    def run(objects, tests):
        (tmp_path / rules.RULES_FILE).write_text(rules.text(objects))
        for name, text in tests.items():
            (tmp_path / name).write_text(text)
        for command in (["check", "rules", rules.RULES_FILE], ["test", "rules", *tests]):
            result = subprocess.run(
                [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            assert result.returncode == 0, result.stdout + result.stderr

    return run


@pytest.fixture
def alerts(rendered):
    return [rule for group in rendered[0].dig("spec", "groups") for rule in group["rules"] if "alert" in rule]


def test_the_rules_record_and_alert_as_written_in_tests_rules(rendered, run_promtool):
    run_promtool(rendered, {test.name: test.read_text() for test in TESTS})


SLOS = {
    "a lower target, faster answers": {
        "slo": {"availability": {"target": 0.995}, "latency": {"p95Threshold": 0.3, "p99Threshold": 0.3}}
    },
    "the lowest target": {"slo": {"availability": {"target": 0.9306, "minFailed": 1}}},
    "a high target, as text": {"slo": {"availability": {"target": "0.99999", "minFailed": 500}}},
    "another model, without canaries, for routes of its own": {
        "exampleModel": {"name": "fraud"},
        "features": {"canaryDeployment": False},
        "monitoring": {"alerts": {"labels": {"team": "fraud"}, "severity": {"page": "P1", "ticket": "P3"}}},
    },
}


def own_tests(own):
    """The tests of an application with values of its own."""
    texts = (yaml.safe_dump(own), (CHART / "values.yaml").read_text())
    values = [Values("values.yaml", text) for text in texts]
    return {
        "own_test.yaml": rules.written(OWN, Target("dev", "app", "app", "ml-serving", Chart(CHART, ""), values, ""))
    }


@pytest.mark.parametrize("own", SLOS.values(), ids=SLOS)
def test_an_application_s_own_values_have_tests_of_their_own(parsed, run_promtool, own):
    run_promtool(parsed(own), own_tests(own))


def test_a_limit_that_is_not_the_application_s_own_is_found(parsed, run_promtool):
    with pytest.raises(AssertionError, match='window=\\\\"1h'):
        run_promtool(parsed({"slo": {"availability": {"target": 0.9995}}}), own_tests({}))


def test_every_rule_has_a_test(rendered, read):
    texts = [test.read_text() for test in TESTS]
    assert rules.untested(rendered, texts, read(rules.expressions(texts))) == []


def test_a_rule_that_nobody_tests_is_found_at_its_line_in_the_chart(rendered, read):
    texts = [test.read_text().replace("window: 3d", "window: 7d") for test in TESTS]
    (finding,) = rules.untested(rendered, texts, read(rules.expressions(texts)))
    assert "window: 3d" in finding.message
    assert (ROOT / finding.file).read_text().splitlines()[
        finding.line - 1
    ].strip() == "- alert: InferenceErrorBudgetBurn"


def test_every_alert_can_be_routed_and_says_what_to_do(alerts):
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert alert["labels"]["slo"] in {"availability", "latency", "canary", "monitoring"}
        assert alert["annotations"].keys() == {"summary", "description", "action", "runbook_url"}


def test_fast_burn_pages_and_slow_burn_is_a_ticket(alerts):
    burn = [alert["labels"] for alert in alerts if alert["alert"] == "InferenceErrorBudgetBurn"]
    assert {labels["window"]: labels["severity"] for labels in burn} == {
        "1h": "critical",
        "6h": "critical",
        "1d": "warning",
        "3d": "warning",
    }


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(alerts):
    assert {alert["alert"] for alert in alerts} == {runbook.stem for runbook in RUNBOOKS.glob("*.md")}
    base = yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["runbookBase"]
    assert base.endswith(f"/{RUNBOOKS.relative_to(ROOT)}")
    for alert in alerts:
        assert alert["annotations"]["runbook_url"] == f"{FIXED['monitoring']['runbookBase']}/{alert['alert']}.md"


@pytest.mark.parametrize("base", ["https://git.example.org/runbooks", "https://git.example.org/runbooks/"])
def test_runbooks_may_be_somewhere_else(chart, base):
    spec = chart.render({"monitoring": {"runbookBase": base}})["PrometheusRule", "ml-serving-slo-alerts"]["spec"]
    (absent,) = [
        rule for group in spec["groups"] for rule in group["rules"] if rule.get("alert") == "InferenceTargetsAbsent"
    ]
    assert absent["annotations"]["runbook_url"] == "https://git.example.org/runbooks/InferenceTargetsAbsent.md"


def test_alerts_carry_the_labels_that_routes_go_by_and_the_way_to_their_dashboard(chart):
    monitoring = {
        "alerts": {"labels": {"team": "fraud"}, "severity": {"page": "P1", "ticket": "P3"}},
        "dashboards": {"grafanaAddress": "https://grafana.example.org/"},
    }
    found = chart.render({"monitoring": monitoring})
    shown = {
        json.loads(text)["uid"]
        for (kind, _), manifest in found.items()
        if kind == "ConfigMap"
        for text in manifest["data"].values()
    }
    groups = found["PrometheusRule", "ml-serving-slo-alerts"]["spec"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert {alert["labels"]["team"] for alert in alerts} == {"fraud"}
    assert {alert["labels"]["severity"] for alert in alerts} == {"P1", "P3"}
    assert {alert["annotations"]["dashboard_url"] for alert in alerts} == {
        f"https://grafana.example.org/d/{uid}" for uid in shown
    }


def test_without_canaries_nobody_looks_for_one(chart):
    found = chart.render({"features": {"canaryDeployment": False}})
    groups = found["PrometheusRule", "ml-serving-slo-alerts"]["spec"]["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert "InferenceNoReadyPod" in alerts
    assert not [name for name in alerts if "Canary" in name or "Rollout" in name]


def test_a_step_that_waits_for_a_person_is_not_a_stuck_canary(chart):
    found = chart.render({"canary": {"steps": [{"weight": 20, "pause": "1m"}, {"weight": 50}]}})
    groups = found["PrometheusRule", "ml-serving-slo-alerts"]["spec"]["groups"]
    stuck = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "InferenceCanaryStuck"]
    assert [rule["labels"]["cause"] for rule in stuck] == ["inconclusive"]


def test_the_table_of_alerts_is_the_chart_s(alerts):
    rows = re.findall(r"^\| \[`(\w+)`\]\((.+?)\) (?:`\w+=(\w+)` )?\| (\w+) \| (\w+) \|", ALERTING, re.MULTILINE)
    assert sorted(rows) == sorted(
        (
            alert["alert"],
            f"runbooks/{alert['alert']}.md",
            alert["labels"].get("window") or alert["labels"].get("cause", ""),
            alert["labels"]["severity"],
            alert["labels"]["slo"],
        )
        for alert in alerts
    )


def test_the_routing_example_sends_every_severity_somewhere(alerts):
    (text,) = re.findall(r"```yaml\n(.+?)```", ALERTING, re.DOTALL)
    routing = yaml.safe_load(text)
    receivers = {receiver["name"] for receiver in routing["receivers"]}
    routes = {matcher: route["receiver"] for route in routing["route"]["routes"] for matcher in route["matchers"]}
    assert {f'severity="{alert["labels"]["severity"]}"' for alert in alerts} <= routes.keys()
    assert {routing["route"]["receiver"], *routes.values()} <= receivers
    (inhibition,) = routing["inhibit_rules"]
    assert set(inhibition["equal"]) == {"namespace", "model", "slo"}
