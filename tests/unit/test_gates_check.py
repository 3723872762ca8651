"""The catalogue against the chart's own gates, with Prometheus' own engine; and gates that are broken on purpose."""

import copy
import re
from dataclasses import replace
from functools import partial

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError, UsageError
from ci.base.paths import ROOT
from ci.canary import engine, judge, replay
from ci.canary.declared import Declared, WrongFileError
from ci.canary.plan import Step
from ci.canary.series import BUCKETS, REQUESTS, Sample
from ci.checks import gates as check
from ci.manifests.chart import DEFAULTS, Values
from tests.harness.gates import DECLARED, executables, metric, rendered_plan, rendering
from tests.harness.project import GATES
from tests.unit.conftest import KNOWN_ANSWER

TREE = "tree"
CHARTS = {"staging": 20, "prod": 50}
"""Requests a second of the environments that the chart has values for."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with what the gates are held to."""
    return declaring(tmp_path_factory.mktemp("gates"), lambda data: data["requestsPerSecond"].update(CHARTS))


def declaring(folder, change):
    """Write what the gates are held to, changed."""
    data = copy.deepcopy(GATES)
    change(data)
    (folder / TREE).mkdir()
    (folder / TREE / "gates.yaml").write_text(yaml.safe_dump(data))
    return folder


def assess(project, *renderings, known=()):
    return anyio.run(partial(check.assess, *executables(), project, TREE, renderings, known=known))


def analysis(**changes):
    return {"canary": {"analysis": changes}}


UNKNOWN = {"exampleModel": {}}
"""Values of an application without a known answer."""


@pytest.fixture(scope="module")
def defaults(chart, project):
    return assess(project, rendering(chart))


def test_the_charts_defaults_stop_every_fault_and_let_every_healthy_version_through(defaults):
    assert defaults.findings == []
    assert {verdict.shape for verdict in defaults.verdicts if verdict.wrong} <= {"5xx 1 %"}, "as gates.yaml says"


def test_the_catalogue_is_as_large_as_it_says(defaults):
    assert sum(verdict.bad for verdict in defaults.verdicts) >= 14
    assert sum(not verdict.bad for verdict in defaults.verdicts) >= 6


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_an_environments_values_do_so_too(chart, project, environment):
    found = assess(project, rendering(chart, environment=environment))

    assert found.findings == []
    assert {verdict.shape for verdict in found.verdicts if verdict.wrong} == set()


def replayed(chart, values, *shapes, environment="prod"):
    """Verdicts on these shapes alone."""
    canary = rendered_plan(chart, values, environment)
    cases = [case for case in judge.catalogued([canary]) if case.shape.name in shapes]
    assert len(cases) == len(shapes)
    declared = DECLARED.model_copy(update={"requests_per_second": {environment: 50 if environment == "prod" else 20}})
    return anyio.run(judge.judge, *executables(), cases, declared)


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


def test_an_escape_is_a_finding_at_the_values_that_decide(chart, project):
    found = assess(project, rendering(chart, analysis(knownAnswer=False)))

    (finding,) = found.findings
    assert "the fault 'wrong answers' escapes" in finding.message
    assert finding.file == "chart/values.yaml"
    assert finding.line > 0


@pytest.mark.parametrize(
    ("healthy", "values", "declared"),
    [
        ({"p95": 0.6}, {}, "healthy.p95 (0.6 s) or requestsPerSecond (20)"),
        ({"errors": 0.1}, {}, "healthy.errors (0.1) or requestsPerSecond (20)"),
        ({}, analysis(minRequests=100_000), "requestsPerSecond (20)"),
    ],
    ids=["latency", "errors", "requests"],
)
def test_a_false_alarm_names_what_is_declared_of_the_figures_that_the_metric_reads(
    chart, tmp_path, healthy, values, declared
):
    project = declaring(tmp_path, lambda data: data["healthy"].update(healthy))
    found = assess(project, rendering(chart, values)).findings

    alarms = {each.remedy.partition(";")[0] for each in found if "the healthy '" in each.message}
    assert alarms == {f"correct {declared} in gates.yaml where healthy versions do better"}


def test_a_gate_that_is_too_strict_is_a_false_alarm(chart, project):
    found = assess(project, rendering(chart, analysis(minRequests=100_000)))

    alarms = [finding for finding in found.findings if "is stopped" in finding.message]
    assert len(alarms) == 6
    assert "requests" in alarms[0].message


def test_where_nothing_tells_right_from_wrong_that_escape_is_known_and_no_other(chart, project):
    found = assess(project, rendering(chart, UNKNOWN))

    assert found.findings == []
    (gate,) = [each for each in found.gates if each.shape == "wrong answers"]
    assert (gate.wrong, gate.end) == (1, "Healthy")
    assert "no known answer" in gate.accepted
    assert {each.shape for each in found.gates if each.wrong} <= {"wrong answers", "5xx 1 %"}


NUMBERS = {"protocol": "v1", "request": {"instances": [[1]]}, "at": "$.figures"}


@pytest.mark.parametrize(
    "known",
    [
        {"expected": [0.25, 7], "relative": 0.5},
        {"expected": [0.25, 0], "absolute": 3},
        {"expected": ["cat", "dog"]},
        {"expected": False},
        {"expected": 1e20, "relative": 1e-9},
    ],
    ids=lambda known: str(known["expected"]),
)
def test_a_right_and_a_wrong_answer_are_those_of_the_values(chart, known):
    values = {"exampleModel": {"knownAnswer": {**NUMBERS, **known}}}
    verdicts = replayed(chart, values, "wrong answers", "noise", environment="dev")

    outcomes = {verdict.shape: verdict.outcomes[0] for verdict in verdicts}
    assert outcomes["noise"].phase == "Healthy"
    wrong = outcomes["wrong answers"]
    assert (wrong.phase, wrong.metric) == ("Degraded", "known-answer")
    assert wrong.second == 5, "the first question comes 5 s after the first weight"


def test_a_condition_that_takes_every_answer_is_an_escape(chart):
    blind = replace(rendered_plan(chart), background=(), steps=())
    condition = 'result == "cat" || result != "cat"'
    gate = metric("known-answer", query="", success=condition, failure="", count=1)
    canary = replace(blind, steps=[Step(weight=20), Step(pause=60), Step(metrics=(gate,))])
    (case,) = [case for case in judge.catalogued([canary]) if case.shape.wrong]

    (verdict,) = anyio.run(judge.judge, *executables(), [case], DECLARED)

    assert (len(verdict.wrong), verdict.unseen) == (1, "")


def test_a_question_whose_right_answer_nobody_says_is_refused_by_the_name_of_its_metric(chart):
    canary = replace(rendered_plan(chart), known_answer=None)
    cases = [case for case in judge.catalogued([canary]) if case.shape.name == "noise"]

    with pytest.raises(CheckFailedError, match="metric known-answer is answered") as caught:
        anyio.run(judge.judge, *executables(), cases, DECLARED)

    assert "ml-serving/known-answer" in caught.value.fix


def test_an_escape_with_a_reason_is_no_finding_and_one_that_does_not_exist_is(chart, tmp_path):
    def accept(data):
        data["accepted"] += [
            {"what": "wrong answers", "environments": ["defaults"], "reason": "the mesh lets no controller in"},
            {"what": "wrong answer", "environments": ["defaults"], "reason": "a slip of the pen"},
        ]

    declared = declaring(tmp_path, accept)
    found = assess(declared, rendering(chart, analysis(knownAnswer=False)), known=GATES["requestsPerSecond"])

    (finding,) = found.findings
    assert "there is no 'wrong answer'" in finding.message


def test_a_step_that_is_too_weak_says_what_would_do(chart, tmp_path):
    project = declaring(tmp_path, lambda data: data["requestsPerSecond"].update(defaults=5))

    weak = [finding for finding in assess(project, rendering(chart)).findings if "too weak" in finding.message]

    assert weak
    said = r"step 1 \(20 %\) .+: over \d+ requests, \S+ stops .*a good version with a chance of up to [\d.]+ \("
    assert re.match(said, weak[0].message), weak[0].message
    assert "a weight of" in weak[0].remedy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("healthy"), "healthy: not given"),
        (lambda data: data["power"].update(catch=95), "power.catch"),
        (lambda data: data.update(powr={}), r"gates.yaml:\d+: powr: unknown key; nearest is power$"),
        (
            lambda data: data["power"].update(falseabort=data["power"].pop("falseAbort")),
            r"gates.yaml:\d+: power.falseabort: unknown key; nearest is falseAbort \(and 1 more\)$",
        ),
        (lambda data: data.update(answers={"right": [0]}), r"gates.yaml:\d+: answers: no longer needed"),
        (lambda data: data["requestsPerSecond"].pop("defaults"), "requestsPerSecond: none of defaults"),
        (lambda data: data["accepted"].append({"what": "NaN", "environments": ["dev"], "reason": "-"}), "reason"),
    ],
    ids=["missing", "out of range", "unknown", "other case", "old", "no traffic", "no reason"],
)
def test_a_wrong_declaration_is_refused_by_the_name_of_its_key(chart, tmp_path, change, said):
    with pytest.raises(UsageError, match=said):
        assess(declaring(tmp_path, change), rendering(chart))


def test_a_wrong_declaration_is_told_once_with_its_line(chart, tmp_path):
    project = declaring(tmp_path, lambda data: data["power"].update(catch=95))

    with pytest.raises(WrongFileError) as refused:
        assess(project, rendering(chart))

    lines = (project / TREE / "gates.yaml").read_text().splitlines()
    assert lines[refused.value.line - 1].strip() == "catch: 95"
    assert refused.value.said.startswith("power.catch: ")
    assert refused.value.message == f"{TREE}/gates.yaml:{refused.value.line}: {refused.value.said}"


def test_a_step_with_thresholds_of_its_own_is_judged_by_them(chart):
    steps = [{"weight": 20, "pause": "1m", "analysis": {"p95Threshold": 0.1}}, {"weight": 50, "pause": "1m"}]

    (verdict,) = replayed(chart, {"canary": {"steps": steps}}, "noise", environment=DEFAULTS)

    assert (verdict.outcomes[0].metric, verdict.outcomes[0].step) == ("latency-p95", 1)


def test_a_good_version_passes_a_gate_of_each_step(chart):
    steps = [{"weight": 20, "pause": "1m", "analysis": {"successRate": 0.9}}, {"weight": 50, "pause": "1m"}]

    (verdict,) = replayed(chart, {"canary": {"steps": steps}}, "noise", environment=DEFAULTS)

    assert (verdict.outcomes[0].phase, verdict.outcomes[0].second) == ("Healthy", 120)


def test_a_canary_without_monitoring_has_nothing_to_replay(chart, project):
    found = assess(project, rendering(chart, {"features": {"sloMonitoring": False}}))

    assert (found.verdicts, found.chances, found.findings) == ([], [], [])


def burst(canary, pod_of_200, first_of_503):
    """A stable version; and a canary that answers well but for one burst of failures, all of it between two scrapes."""
    labels = f'namespace="{canary.namespace}",service="{canary.service}",model="{canary.model}"'
    codes = [("stable", "a", "200", -120, 40), ("new", pod_of_200, "200", 5, 10), ("new", "b", "503", first_of_503, 0)]
    for revision, pod, code, first, more in codes:
        text = f'{labels},revision="{revision}",pod="{pod}",response_code="{code}"'
        for number, second in enumerate(range(first, int(canary.seconds), 15)):
            yield Sample(REQUESTS, text, float(second), 1000 + 15 * more * number)
        for number, second in enumerate(range(first, int(canary.seconds), 15)) if code == "200" else ():
            for bound in ("25", "+Inf"):
                buckets = f'{labels},revision="{revision}",pod="{pod}",le="{bound}"'
                yield Sample(BUCKETS, buckets, float(second), 1000 + 15 * more * number)


@pytest.mark.parametrize(
    ("pod_of_200", "first_of_503"), [("b", 5), ("b", 50), ("c", 50)], ids=["new pod", "new code", "second pod"]
)
def test_failures_that_came_before_their_first_scrape_stop_a_canary(chart, pod_of_200, first_of_503):
    canary = rendered_plan(chart).by_figures()

    async def replayed():
        async with engine.running(*executables(), burst(canary, pod_of_200, first_of_503)) as running:
            revisions = {"Stable": "stable", "Latest": "new"}
            known = await judge.answers(running, canary, revisions, int(canary.seconds), canary.grid)
            return replay.replay(canary, lambda metric, second: known[metric.query].get(second, []))

    outcome = anyio.run(replayed)
    assert (outcome.phase, outcome.metric) == ("Degraded", "success-rate")


def test_an_endless_pause_is_taken_as_five_minutes(chart):
    canary = rendered_plan(chart, {"canary": {"steps": [{"weight": 20}, {"weight": 50, "pause": "1m"}]}})

    assert canary.weights() == [(0.0, 20), (300.0, 50)]


def test_prometheus_refusal_of_a_query_is_told():
    async def refused():
        async with engine.running(*executables(), [Sample("up", 'pod="a"', 0.0, 1)]) as running:
            await running.answers("sum by (", 10)

    with pytest.raises(CheckFailedError, match="does not take a query"):
        anyio.run(refused)


@pytest.mark.parametrize(
    ("query", "answer"), [("vector(2)", [2.0]), ("scalar(vector(2))", 2.0), ("2", 2.0), ("up{pod='b'}", None)]
)
def test_a_scalar_is_one_number_and_a_vector_a_list_as_argo_rollouts_has_them(query, answer):
    async def answered():
        async with engine.running(*executables(), [Sample("up", 'pod="a"', 0.0, 1)]) as running:
            return await running.answers(query, 10, 5)

    assert anyio.run(answered) == ({} if answer is None else dict.fromkeys((0, 5, 10), answer))


def called(name):
    return {"exampleModel": {"name": name, "knownAnswer": KNOWN_ANSWER}}


def test_canaries_that_differ_in_names_alone_are_judged_once_and_told_of_each(chart, project, monkeypatch):
    judged = []
    real = judge.judge

    async def counted(prometheus, promtool, cases, declared):
        judged.append({case.plan.environment for case in cases})
        return await real(prometheus, promtool, cases, declared)

    monkeypatch.setattr(judge, "judge", counted)
    names = ["lab/fraud-score", "lab/price-rank", "trial/fraud-score"]
    alike = [rendering(chart, called(name.rpartition("/")[2]), name=name) for name in names]
    other = rendering(chart, {**called("x"), **analysis(knownAnswer=False)}, name="live/x")

    found = assess(project, *alike, other)

    assert judged == [{"lab/fraud-score", "live/x"}]
    assert list(dict.fromkeys(verdict.environment for verdict in found.verdicts)) == [*names, "live/x"]
    by_name = {name: [each for each in found.verdicts if each.environment == name] for name in names}
    assert len({tuple((each.shape, len(each.wrong)) for each in own) for own in by_name.values()}) == 1
    (finding,) = found.findings
    assert finding.message.endswith("[live/x]")


def test_what_is_judged_once_would_have_come_out_alike(chart, project):
    one, other = (rendering(chart, called(name), name=f"lab/{name}") for name in ("fraud-score", "price-rank"))

    verdicts = [assess(project, each).verdicts for each in (one, other)]

    assert [each.outcomes for each in verdicts[0]] == [each.outcomes for each in verdicts[1]]


def test_an_applications_own_traffic_counts(chart, tmp_path):
    project = declaring(tmp_path, lambda data: data["requestsPerSecond"].update({"lab/price-rank": 5}))
    renderings = [rendering(chart, called(name), name=f"lab/{name}") for name in ("fraud-score", "price-rank")]

    found = assess(project, *renderings).findings

    assert found
    assert all(finding.message.endswith("[lab/price-rank]") for finding in found)


def test_limits_of_a_commit_of_the_past_are_a_warning_and_those_of_the_application_an_error(chart, project):
    def pinned(name, *stronger):
        found = rendering(chart, {**called(name), **analysis(knownAnswer=False)}, name=f"lab/{name}")
        own = replace(found.target.values[0], file="0123456789ab:chart/values.yaml")
        return replace(found, target=replace(found.target, values=[*stronger, own]))

    said = Values("tree/lab/price-rank.yaml", "values:\n  canary:\n    analysis: {}\n", top=("values",))

    found = assess(project, pinned("fraud-score"), pinned("price-rank", said)).findings

    assert [(each.file, each.severity) for each in found] == [
        ("0123456789ab:chart/values.yaml", "warning"),
        (said.file, "error"),
    ]


def test_an_exception_may_be_for_one_application(chart, tmp_path):
    def accept(data):
        reason = "the mesh lets no controller in"
        data["accepted"].append({"what": "wrong answers", "environments": ["lab/fraud-score"], "reason": reason})

    values = analysis(knownAnswer=False)
    names = ("fraud-score", "price-rank")
    renderings = [rendering(chart, {**called(name), **values}, name=f"lab/{name}") for name in names]

    (finding,) = assess(declaring(tmp_path, accept), *renderings).findings

    assert finding.message.endswith("[lab/price-rank]")


def test_an_environment_without_traffic_of_its_own_has_that_of_all_the_others(chart, tmp_path):
    def declare(data):
        data["requestsPerSecond"] = {"defaults": 5}

    found = assess(declaring(tmp_path, declare), rendering(chart, name="anew/fraud-score")).findings

    assert found
    assert any("is too weak" in finding.message for finding in found)


def test_an_exception_is_for_every_environment_where_it_names_none(chart, tmp_path):
    def accept(data):
        data["accepted"] = [
            {"what": what, "reason": "the mesh lets no controller in"} for what in ("5xx 1 %", "wrong answers")
        ]

    renderings = [rendering(chart, analysis(knownAnswer=False), name=name) for name in ("lab/fraud-score", "anew/x")]

    assert assess(declaring(tmp_path, accept), *renderings).findings == []


def test_traffic_that_is_declared_for_what_is_not_there_is_found_at_its_line(chart, tmp_path):
    project = declaring(tmp_path, lambda data: data["requestsPerSecond"].update({"lab/price-rnak": 5}))

    (finding,) = assess(project, rendering(chart), known=[*GATES["requestsPerSecond"], "lab/price-rank"]).findings

    assert finding.message == "requestsPerSecond: there is no lab/price-rnak"
    lines = (project / TREE / "gates.yaml").read_text().splitlines()
    assert lines[finding.line - 1].strip() == "lab/price-rnak: 5"


def test_a_project_without_the_file_is_told_what_to_write(chart, tmp_path):
    with pytest.raises(UsageError, match=r"tree/gates\.yaml: no such file") as refused:
        assess(tmp_path, rendering(chart))
    assert "requestsPerSecond" in refused.value.fix


def test_a_canary_that_cannot_be_replayed_is_found_and_the_others_are_judged(chart, project):
    broken = rendering(chart, called("broken"), name="lab/broken")
    without = "\n---\n".join(part for part in broken.text.split("\n---\n") if "kind: AnalysisTemplate" not in part)

    found = assess(project, replace(broken, text=without), rendering(chart))

    (finding,) = found.findings
    assert "which is not there" in finding.message
    assert {verdict.environment for verdict in found.verdicts} == {DEFAULTS}


def test_the_file_that_the_documentation_begins_with_is_one():
    block = re.search(r"```yaml\n(requestsPerSecond:.+?)```", (ROOT / "docs" / "gates.md").read_text(), re.DOTALL)[1]

    declared = Declared.model_validate(yaml.safe_load(block))

    assert declared.requests("prod/fraud-score") == 400
    assert declared.requests("prod/other") == 50
    assert declared.accepts("5xx 1 %", "prod/fraud-score")
    assert not declared.accepts("5xx 1 %", "prod/other")
