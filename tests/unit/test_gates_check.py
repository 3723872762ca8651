"""The catalogue against the chart's own gates, with Prometheus' own engine; and gates that are broken on purpose."""

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError, UsageError
from ci.base.paths import DEFAULTS, ROOT
from ci.canary import declared as declarations
from ci.canary import engine, judge
from ci.canary.series import Sample
from ci.checks import gates as check
from ci.manifests.chart import Chart
from tests.harness.gates import SOURCE, executables, rendered, rendered_plan


def assess(chart, values=None, environment=DEFAULTS, source=SOURCE):
    return anyio.run(check.assess, *executables(), source, {environment: rendered(chart, values, environment)})


def analysis(**changes):
    return {"canary": {"analysis": changes}}


@pytest.fixture(scope="module")
def defaults(chart):
    return assess(chart)


def test_the_charts_defaults_stop_every_fault_and_let_every_healthy_version_through(defaults):
    assert defaults.findings == []
    assert {verdict.shape for verdict in defaults.verdicts if verdict.wrong} <= {"5xx 1 %"}, "as gates.yaml says"


def test_the_catalogue_is_as_large_as_it_says(defaults):
    assert sum(verdict.bad for verdict in defaults.verdicts) >= 14
    assert sum(not verdict.bad for verdict in defaults.verdicts) >= 6


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_an_environments_values_do_so_too(chart, environment):
    found = assess(chart, environment=environment)

    assert found.findings == []
    assert {verdict.shape for verdict in found.verdicts if verdict.wrong} == set()


def replayed(chart, values, *shapes, environment="prod"):
    """Verdicts on these shapes alone."""
    canary = rendered_plan(chart, values, environment)
    cases = [case for case in judge.catalogued([canary]) if case.shape.name in shapes]
    assert len(cases) == len(shapes)
    return anyio.run(judge.judge, *executables(), cases, declarations.load(SOURCE))


@pytest.mark.parametrize(
    ("values", "escapes"),
    [
        (analysis(errorBudgetBurn=800), ["5xx 1 %", "5xx 5 %", "5xx 50 %", "5xx later"]),
        (analysis(knownAnswer=False), ["wrong answers"]),
        (analysis(latencyIncrease=0), ["p95 x2"]),
        ({"slo": {"latency": {"p99Threshold": 1000}}, **analysis(latencyIncrease=0)}, ["p99 only"]),
    ],
    ids=["budget", "known answer", "latency increase", "p99"],
)
def test_without_a_gate_its_faults_escape(chart, values, escapes):
    verdicts = replayed(chart, values, *escapes)

    assert [verdict.shape for verdict in verdicts if verdict.wrong] == escapes


def test_an_escape_is_a_finding_at_the_values_that_decide(chart):
    found = assess(chart, analysis(knownAnswer=False))

    (finding,) = found.findings
    assert "the fault 'wrong answers' escapes" in finding.message
    assert finding.file.endswith("ml-serving/values.yaml")
    assert finding.line > 0


def test_a_gate_that_is_too_strict_is_a_false_alarm(chart):
    found = assess(chart, analysis(minRequests=100_000))

    alarms = [finding for finding in found.findings if "is stopped" in finding.message]
    assert len(alarms) == 6
    assert "requests" in alarms[0].message


def declaring(tmp_path, change):
    """A chart with another gates.yaml beside the same values."""
    folder = tmp_path / SOURCE.path
    folder.mkdir(parents=True)
    for name in ("values.yaml", "gates.yaml"):
        (folder / name).write_text((ROOT / SOURCE.path / name).read_text())
    (folder / "values").symlink_to(ROOT / SOURCE.path / "values")
    data = yaml.safe_load((folder / "gates.yaml").read_text())
    change(data)
    (folder / "gates.yaml").write_text(yaml.safe_dump(data))
    return Chart(tmp_path, SOURCE.path, SOURCE.kube_version)


def test_an_escape_with_a_reason_is_no_finding_and_one_that_does_not_exist_is(chart, tmp_path):
    def accept(data):
        data["accepted"] += [
            {"what": "wrong answers", "environments": ["defaults"], "reason": "the model has no known answer"},
            {"what": "wrong answer", "environments": ["defaults"], "reason": "a slip of the pen"},
        ]

    found = assess(chart, analysis(knownAnswer=False), source=declaring(tmp_path, accept))

    (finding,) = found.findings
    assert "there is no 'wrong answer'" in finding.message


def test_a_step_that_is_too_weak_says_what_would_do(chart, tmp_path):
    source = declaring(tmp_path, lambda data: data["requestsPerSecond"].update(defaults=5))

    weak = [finding for finding in assess(chart, source=source).findings if "too weak" in finding.message]

    assert weak
    assert "step 1 (20 %)" in weak[0].message
    assert "a weight of" in weak[0].remedy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("healthy"), "healthy: Field required"),
        (lambda data: data["power"].update(catch=95), "power.catch"),
        (lambda data: data.update(powr={}), "powr: Extra inputs"),
        (lambda data: data["requestsPerSecond"].pop("defaults"), "requestsPerSecond.defaults: not declared"),
        (lambda data: data["accepted"].append({"what": "NaN", "environments": ["dev"], "reason": "-"}), "reason"),
    ],
    ids=["missing", "out of range", "unknown", "no traffic", "no reason"],
)
def test_a_wrong_declaration_is_refused_by_the_name_of_its_key(chart, tmp_path, change, said):
    with pytest.raises(UsageError, match=said):
        assess(chart, source=declaring(tmp_path, change))


def test_a_step_with_thresholds_of_its_own_is_judged_by_them(chart):
    steps = [{"weight": 20, "pause": "1m", "analysis": {"p95Threshold": 0.1}}, {"weight": 50, "pause": "1m"}]

    (verdict,) = replayed(chart, {"canary": {"steps": steps}}, "noise", environment=DEFAULTS)

    assert (verdict.outcomes[0].metric, verdict.outcomes[0].step) == ("latency-p95", 1)


def test_a_good_version_passes_a_gate_of_each_step(chart):
    steps = [{"weight": 20, "pause": "1m", "analysis": {"successRate": 0.9}}, {"weight": 50, "pause": "1m"}]

    (verdict,) = replayed(chart, {"canary": {"steps": steps}}, "noise", environment=DEFAULTS)

    assert (verdict.outcomes[0].phase, verdict.outcomes[0].second) == ("Healthy", 120)


def test_a_canary_without_monitoring_has_nothing_to_replay(chart):
    found = assess(chart, {"features": {"sloMonitoring": False}})

    assert (found.verdicts, found.chances, found.findings) == ([], [], [])


def test_an_endless_pause_is_taken_as_five_minutes(chart):
    canary = rendered_plan(chart, {"canary": {"steps": [{"weight": 20}, {"weight": 50, "pause": "1m"}]}})

    assert canary.weights() == [(0.0, 20), (300.0, 50)]


def test_prometheus_refusal_of_a_query_is_told():
    async def refused():
        async with engine.running(*executables(), [Sample("up", 'pod="a"', 0.0, 1)]) as running:
            await running.answers("sum by (", 10)

    with pytest.raises(CheckFailedError, match="does not take a query"):
        anyio.run(refused)
