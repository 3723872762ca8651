"""Canaries played on a control plane without nodes: what is played of them, who answers, and what is told of the end.

What Argo Rollouts itself makes of the copies is in tests/upstream/test_canary_course_plays.py.
"""

import http.client
import json
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from anyio.from_thread import start_blocking_portal
from rich.console import Console

from ci.canary import catalogue, engine
from ci.canary.declared import Declared
from ci.checks.control_plane import course, shortened
from ci.checks.control_plane.inside import answers
from ci.checks.control_plane.inside import course as playing
from ci.checks.control_plane.inside.answers import Moment
from ci.checks.control_plane.inside.course import BAD, GOOD, Course
from ci.checks.control_plane.inside.look import Seen
from ci.checks.control_plane.inside.play import Player
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.report import terminal
from ci.results import CanaryCourse
from tests.harness.gates import DECLARED, executables, rendering
from tests.harness.project import GATES


@pytest.fixture(scope="module")
def whole(chart, read):
    """The chart's own canary, as it is played."""
    found, left_out = played(read, rendering(chart))
    assert left_out == []
    return found[0]


def played(read, *renderings, declared=DECLARED):
    found, left_out = course.applications(renderings, declared, read(course.expressions(renderings)))
    return found, [(name, finding.severity, finding.message) for name, finding in left_out]


def foreign(*objects):
    """What another chart renders."""
    text = "".join(
        f"---\n# Source: theirs/templates/{each['kind'].lower()}.yaml\n{json.dumps(each)}\n" for each in objects
    )
    target = Target("lab", "fraud", "fraud", "acme", Chart(Path("theirs"), "theirs"), [Values("a.yaml", "")], "v1.37.0")
    return Rendering(target, text)


def rollout(*steps, **canary):
    spec = {"strategy": {"canary": {"steps": [*steps], **canary}}, "template": {}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "fraud"}, "spec": spec}


def template(*metrics, **spec):
    found = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "slo"}}
    return {**found, "spec": {"metrics": [*metrics], **spec}}


def test_a_pause_ends_when_it_is_told_to():
    document = rollout({"setWeight": 5}, {"pause": {"duration": "1h"}}, {"pause": {}})
    document["spec"]["minReadySeconds"] = 60
    short = shortened.rollout(document, "acme")
    assert short["spec"]["strategy"]["canary"]["steps"] == [{"setWeight": 5}, {"pause": {}}, {"pause": {}}]
    assert short["spec"]["minReadySeconds"] == 0
    assert short["metadata"] == {"name": "fraud", "namespace": "acme"}


def test_a_template_asks_in_the_container_and_needs_no_secret():
    asked = {
        "name": "errors",
        "interval": "5m",
        "initialDelay": "10m",
        "successCondition": "result[0] < 1",
        "provider": {"prometheus": {"address": "http://far:9090", "query": "q", "authentication": {"sigv4": {}}}},
    }
    job = {"name": "probe", "failureCondition": "x", "provider": {"job": {}}}
    arguments = [{"name": "key", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, {"name": "own"}]
    short = shortened.template(template(asked, job, args=arguments), "acme", 7, {0})["spec"]
    prometheus = {"address": "http://127.0.0.1:7", "query": "q"}
    assert short["metrics"] == [
        {
            "name": "errors",
            "interval": "1s",
            "successCondition": "result[0] < 1",
            "provider": {"prometheus": prometheus},
        },
        {"name": "probe", "provider": {"prometheus": {**prometheus, "query": "vector(1)"}}},
    ]
    assert short["args"] == [{"name": "key", "value": "1"}, {"name": "own"}]


def test_the_chart_s_own_canary_is_played_whole(whole):
    (canary,) = whole.canaries
    assert canary.fault.name == catalogue.ALL_ERRORS
    assert {by for each in whole.templates for by in each.asked.values()} == {course.FIGURES, course.ANSWER}
    (given,) = whole.given["courses"]
    assert given["answers"] == {GOOD: "cat", BAD: "cat"}
    assert len(given["times"]) == len(canary.steps)


def test_what_gates_accept_to_escape_is_not_played(chart, read):
    accepted = [*GATES["accepted"], {"what": catalogue.ALL_ERRORS, "reason": "the team looks itself"}]
    declared = Declared.model_validate({**GATES, "accepted": accepted})
    (found,), _ = played(read, rendering(chart), declared=declared)
    assert found.canaries[0].fault.name == catalogue.WRONG_ANSWERS
    assert found.given["courses"][0]["answers"] == {GOOD: "cat", BAD: "not cat"}


PROMETHEUS = {"name": "errors", "provider": {"prometheus": {"query": "sum(istio_requests_total)"}}}


def test_what_nobody_can_answer_is_left_out_by_its_name(read):
    job = {"name": "probe", "provider": {"job": {}}}
    own = rollout(analysis={"templates": [{"templateName": "slo"}]})
    (found,), left_out = played(read, foreign(own, template(PROMETHEUS, job)))
    assert found.canaries[0].fault is None
    assert [severity for _, severity, _ in left_out] == ["warning"] * 3
    metrics = [said for *_, said in left_out if "is not played" in said]
    assert "metric errors" in metrics[0]
    assert "metric probe" in metrics[1]
    assert "it asks by job" in metrics[1]
    assert "no bad version is played" in left_out[2][2]


def test_series_that_are_not_made_up_are_named(chart, read):
    own = rendering(chart)
    text = own.text.replace("inference_request_total", "istio_requests_total")
    _, left_out = played(read, replace(own, text=text))
    assert any("istio_requests_total" in said and "metric requests" in said for *_, said in left_out)


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        (rollout(trafficRouting={"nginx": {"stableIngress": "a"}}), "nginx"),
        (rollout({"setWeight": 5}, {"experiment": {"templates": []}}), "experiment"),
        (rollout({"plugin": {"name": "acme/own"}}), "plugin"),
    ],
)
def test_a_canary_that_needs_what_is_not_here_is_not_played(read, document, missing):
    found, left_out = played(read, foreign(document))
    assert found == []
    (said,) = left_out
    assert said == ("lab/fraud", "warning", f"Rollout fraud: its canary is not played: {missing} is not here")


def test_an_environment_of_which_nothing_is_declared_has_no_figures(chart, read):
    own = rendering(chart)
    nowhere = replace(own, target=replace(own.target, environment="nowhere"))
    declared = Declared.model_validate({**GATES, "requestsPerSecond": {"lab": 20}})
    (found,), left_out = played(read, nowhere, declared=declared)
    assert list(found.samples(declared)) == []
    assert any("nothing is declared of its traffic" in said for *_, said in left_out)


@pytest.fixture(scope="module")
def asked(whole):
    """Ask as an analysis does, at a moment; the pinned Prometheus has what the container's has."""
    with start_blocking_portal() as portal, pytest.MonkeyPatch.context() as patch:
        running = engine.running(*executables(), whole.samples(DECLARED))
        with portal.wrap_async_context_manager(running) as prometheus:
            patch.setattr(answers, "PORT", urlsplit(prometheus.url).port)
            yield _asked


def _asked(moment, query):
    """Return code and content of the answer."""
    with answers.served(0, lambda: moment) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/api/v1/query", urlencode({"query": query, "time": 1}))
        answer = connection.getresponse()
        return answer.status, json.load(answer)


GOOD_SHARE = """sum(rate(inference_request_total{revision="%s", response_code="200"}[1m]))
/ sum(rate(inference_request_total{revision="%s"}[1m]))"""


@pytest.mark.parametrize(("version", "least", "most"), [(GOOD, 0.99, 1), (BAD, 0, 0.01)])
def test_questions_about_a_revision_are_answered_with_what_the_gates_make_up(asked, whole, version, least, most):
    (given,) = whole.given["courses"]
    for second in given["times"]:
        names = {"5d8f7": given["names"][version]["Latest"]}
        _, found = asked(Moment(second, names, None), GOOD_SHARE.replace("%s", "5d8f7"))
        shares = [float(each["value"][1]) for each in found["data"]["result"]] or [0]
        assert least <= shares[0] <= most


def test_what_is_no_query_is_refused_as_prometheus_does(asked):
    code, found = asked(Moment(1, {}, None), "sum(")
    assert (code, found["errorType"]) == (400, "bad_data")


def test_the_known_answer_is_answered_as_json():
    with (
        answers.served(0, lambda: Moment(1, {}, [1, "cat"])) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=30) as answer,
    ):
        assert json.load(answer) == {"answer": [1, "cat"]}


class Plane:
    """An API server that takes everything, and keeps what it was told."""

    def __init__(self):
        self.applied, self.merged, self.code = [], [], 200

    def path(self, document):
        return f"/{document['kind']}/{document['metadata']['name']}"

    def apply(self, document):
        self.applied.append(document)
        return 200, document

    def merge(self, path, changes):
        self.merged.append((path, changes))
        return self.code, {"message": "denied by policy"}


STEPS = ({"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}})
ANALYSIS = {"analysis": {"templates": [{"templateName": "slo"}]}}


def started(fault="5xx 100 %", **canary):
    """A course that waits for its first deployment, and what it is played on."""
    document = rollout(*STEPS, **canary)
    document["metadata"]["namespace"] = "acme"
    played = Course(3, document, [3], [1] * 4, {}, {}, fault)
    plane = Plane()
    playing = Player("lab/fraud", 1, [], [played])
    running = playing.play(plane)
    next(running)
    return Stage(playing, plane, running, document)


@dataclass
class Stage:
    """A course, given one look after another."""

    player: Player
    plane: Plane
    running: object
    document: dict

    def look(self, revision, *, stable="1", step=None, phase="Progressing", pauses=(), weight=0, runs=(), **status):
        """Show it one moment; return what it told in the end, or None."""
        status |= {"phase": phase, "currentPodHash": revision, "stableRS": stable, "currentStepIndex": step}
        status["pauseConditions"] = [{"reason": each} for each in pauses]
        now = {**self.document, "status": status}
        now["metadata"] = {**now["metadata"], "uid": "u"}
        spec = {"strategy": {"canary": {**now["spec"]["strategy"]["canary"], **ROUTED}}}
        now["spec"] = {**now["spec"], **spec}
        routes = [{"destination": {"host": "back.acme.svc"}, "weight": weight}]
        service = {"spec": {"http": [{"route": routes}]}}
        key = ("acme", "fraud")
        try:
            self.running.send(Seen({key: now}, {("acme", "front"): service}, {"u": runs}))
        except StopIteration:
            return self.player.told[0]
        return None

    def until(self, look):
        """Show it the same again and again."""
        return next(told for told in (look() for _ in range(9)) if told)

    def become_stable(self, *, weights=(20, 50), runs=()):
        """Show it a first version, and a good one up to its end."""
        assert self.look("1", phase="Healthy") is None
        assert self.look("2") is None
        assert self.look("2", step=1, phase="Paused", pauses=["CanaryPauseStep"], weight=weights[0]) is None
        assert self.look("2", step=3, phase="Paused", pauses=["CanaryPauseStep"], weight=weights[1]) is None
        return self.look("2", stable="2", step=4, phase="Healthy", runs=runs)


ROUTED = {"canaryService": "back", "trafficRouting": {"istio": {"virtualService": {"name": "front"}}}}


def run(*results, revision="2"):
    """An AnalysisRun in the background, with what came of its metrics."""
    labels = {"rollouts-pod-template-hash": revision}
    metrics = [{"name": each["name"]} for each in results]
    status = {"metricResults": [each for each in results if len(each) > 1]}
    return {"metadata": {"name": "run", "labels": labels}, "spec": {"metrics": metrics}, "status": status}


GOOD_RESULT = {"name": "errors", "phase": "Successful", "successful": 1, "measurements": [{"phase": "Successful"}]}
STOPPING = {"name": "errors", "phase": "Failed", "measurements": [{"phase": "Failed", "value": "[1]"}]}


def test_a_good_version_becomes_stable_and_a_bad_one_is_stopped():
    stage = started()
    assert stage.become_stable() is None
    assert stage.look("3", stable="2") is None
    assert stage.look("3", stable="2", step=1, weight=20) is None
    told = stage.look("3", stable="2", phase="Degraded", abort=True, runs=[run(STOPPING, revision="3")])
    assert told == {
        "application": "lab/fraud",
        "rollout": 3,
        "weights": [20, 50],
        "promoted": [3],
        "by": ["errors"],
        "wrong": None,
    }
    annotated = [changes["spec"] for path, changes in stage.plane.merged if path == "/Rollout/fraud"]
    assert [each["template"]["metadata"]["annotations"][playing.CHANGED] for each in annotated] == [GOOD, BAD]
    assert ("/Rollout/fraud/status", {"status": {"pauseConditions": None}}) in stage.plane.merged


def test_a_bad_version_that_waits_for_a_person_is_stopped_as_well():
    stage = started()
    stage.become_stable()
    stage.look("3", stable="2")
    told = stage.look("3", stable="2", phase="Paused", pauses=["InconclusiveAnalysisRun"])
    assert told["wrong"] is None


def test_an_aborted_version_that_still_gets_requests_is_not_over():
    stage = started()
    stage.become_stable()
    stage.look("3", stable="2")
    assert stage.look("3", stable="2", phase="Degraded", abort=True, weight=20) is None


def test_a_bad_version_that_goes_through_is_told():
    stage = started()
    stage.become_stable()
    stage.look("3", stable="2")
    told = stage.look("3", stable="3", phase="Healthy")
    assert "a version with '5xx 100 %' goes through" in told["wrong"]["said"]


def test_a_good_version_that_is_stopped_is_told_with_the_metric():
    stage = started()
    stage.look("1", phase="Healthy")
    stage.look("2")
    stopping = run(STOPPING)
    stopping["status"]["message"] = 'Metric "errors" assessed Failed due to failed (2) > failureLimit (1)'
    told = stage.look("2", phase="Degraded", abort=True, runs=[stopping])
    assert told["wrong"]["metric"] == "errors"
    assert told["wrong"]["said"].endswith("failed (2) > failureLimit (1); last measurement Failed: [1]")


def test_a_weight_that_is_not_there_is_told_with_its_step():
    told = started().become_stable(weights=(20, 20))
    assert told["wrong"]["step"] == 3
    assert "has 20 % where 50 % is declared" in told["wrong"]["said"]


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([{"name": "errors"}], "metric errors is never measured"),
        (
            [{"name": "errors", "phase": "Running", "measurements": [{"phase": "Error", "message": "no PromQL"}]}],
            "metric errors; last measurement Error: no PromQL",
        ),
        ([GOOD_RESULT], ""),
        ([{"name": "errors", "phase": "Failed", "dryRun": True, "measurements": [{"phase": "Failed"}]}], ""),
    ],
)
def test_what_would_have_stopped_the_good_version_in_more_time_is_told(results, said):
    told = started(fault="", **ANALYSIS).become_stable(runs=[run(*results)])
    assert (told["wrong"] or {"said": ""})["said"].endswith(said)
    assert bool(told["wrong"]) == bool(said)


def test_a_pause_lasts_until_the_background_has_measured_and_with_a_bad_version_until_it_can_stop_it():
    stage = started(**ANALYSIS)
    stage.look("1", phase="Healthy")
    stage.look("2")

    def promoted_with(revision, *runs):
        before = len(stage.plane.merged)
        stage.look(revision, stable="1", step=1, pauses=["CanaryPauseStep"], weight=20, runs=runs)
        return len(stage.plane.merged) > before

    assert not promoted_with("2")
    assert not promoted_with("2", run({"name": "errors"}))
    assert promoted_with("2", run({**GOOD_RESULT, "phase": "Running", "count": 1}))
    stage.look("2", stable="2", step=4, phase="Healthy", runs=[run(GOOD_RESULT)])
    stage.look("3", stable="2")
    tolerant = run({"name": "errors", "phase": "Running", "count": 2}, revision="3")
    tolerant["spec"]["metrics"][0]["failureLimit"] = 2
    assert not promoted_with("3", tolerant)
    tolerant["status"]["metricResults"][0]["count"] = 3
    assert promoted_with("3", tolerant)


def test_an_analysis_that_never_begins_is_told():
    late = {"analysis": {**ANALYSIS["analysis"], "startingStep": 9}}
    told = started(fault="", **late).become_stable()
    assert told["wrong"]["said"] == "the analysis in the background never begins"


def test_a_step_that_never_ends_is_told_with_what_was_seen_last(monkeypatch):
    monkeypatch.setattr(playing, "PATIENCE_SECONDS", -1)
    monkeypatch.setattr(playing, "PATIENCE_LOOKS", 2)
    stage = started()
    stage.look("1", phase="Healthy")
    stage.look("2")
    told = stage.until(lambda: stage.look("2", step=2, message="more replicas need to be updated"))
    assert told["wrong"]["late"]
    assert told["wrong"]["step"] == 2
    assert told["wrong"]["said"].startswith("step 3 (setWeight) does not end: nothing changes in")
    assert told["wrong"]["said"].endswith("last seen: more replicas need to be updated")


def test_a_version_that_starts_no_canary_is_told(monkeypatch):
    monkeypatch.setattr(playing, "PATIENCE_SECONDS", -1)
    monkeypatch.setattr(playing, "PATIENCE_LOOKS", 2)
    stage = started()
    told = stage.until(lambda: stage.look("1", phase="Healthy"))
    assert told["wrong"]["said"].startswith("a changed pod template starts no canary")


def test_a_version_that_is_refused_is_told():
    stage = started()
    stage.plane.code = 403
    assert stage.look("1", phase="Healthy")["wrong"]["said"] == "its next version is refused: denied by policy"


def test_what_is_wrong_is_put_where_it_is_to_be_changed(whole):
    (canary,) = whole.canaries
    told = {
        "application": whole.name,
        "rollout": canary.number,
        "weights": [],
        "promoted": [],
        "by": [],
        "wrong": {"said": "too slow", "step": None, "metric": "known-answer"},
    }
    ((_, of_metric),) = course.courses([whole], [told])
    assert "AnalysisTemplate" in of_metric.message
    assert of_metric.file.endswith("/analysistemplate.yaml")
    gate = {"said": "too slow", "step": len(canary.steps) - 1, "metric": "known-answer"}
    ((_, of_gate),) = course.courses([whole], [{**told, "wrong": gate}])
    assert of_gate.file.endswith("/analysistemplate-gate.yaml")
    wrong = {"said": "too slow", "step": 1, "metric": ""}
    ((came, of_step),) = course.courses([whole], [{**told, "wrong": wrong}])
    assert of_step.file.endswith("rollout.yaml")
    assert came.wrong == "too slow"
    assert list(course.courses([whole], [])) == [], "what the control plane refuses was not played"


def test_the_terminal_says_what_was_seen_and_what_that_does_not_say():
    good = CanaryCourse("lab/fraud", "fraud-predictor", [20, 50], [4], "5xx 100 %", ["errors"], "")
    bad = replace(good, application="lab/iris", wrong="step 2 does not end")
    console = Console(width=400, record=True)
    console.print(terminal.courses([good, bad]))
    heading, first, second = console.export_text().splitlines()
    assert "says nothing of the model" in heading
    assert first.startswith("✓ lab/fraud fraud-predictor: a good version becomes stable by 20 %, 50 %; step 4")
    assert first.endswith("one with '5xx 100 %' is stopped by errors")
    assert second == "✗ lab/iris fraud-predictor: step 2 does not end"
