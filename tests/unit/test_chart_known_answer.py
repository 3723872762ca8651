"""The known answer: what the canary's analysis asks and compares, and what `helm test` does."""

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ci.canary.replay import measure
from tests.harness.gates import metric
from tests.unit.conftest import KNOWN, KNOWN_ANSWER

PREDICTOR = "sklearn-iris-predictor"


def known(**changes):
    return {"exampleModel": {"knownAnswer": {**KNOWN_ANSWER, **changes}}}


def asked(found, template="gate"):
    """The metric that asks the model, of one of the analyses."""
    (one,) = [
        each
        for each in found["AnalysisTemplate", f"{PREDICTOR}-{template}"]["spec"]["metrics"]
        if "web" in each["provider"]
    ]
    return one


def test_both_analyses_ask_and_the_first_question_waits_for_the_new_pods(chart):
    found = chart.render(known(expected=["cat", 3, True]))
    for template in ("slo", "gate"):
        web = asked(found, template)["provider"]["web"]
        assert web["url"] == f"http://{PREDICTOR}-canary.ml-serving/v1/models/sklearn-iris:predict"
        assert (web["method"], json.loads(web["body"])) == ("POST", KNOWN_ANSWER["request"])
        assert {"key": "Content-Type", "value": "application/json"} in web["headers"]
        assert {"key": "Connection", "value": "close"} in web["headers"], "the stable pods might go on answering"
    assert asked(found, "slo")["initialDelay"] == "5s"
    assert "initialDelay" not in asked(found, "gate"), "the pods have been there for long"


@pytest.mark.parametrize(
    "values",
    [{}, {**KNOWN, "canary": {"analysis": {"knownAnswer": False}}}],
    ids=["no known answer", "not asked by the analysis"],
)
def test_nothing_is_asked_where_nothing_is_to_be_asked(chart, values):
    found = chart.render(values)
    for template in ("slo", "gate"):
        metrics = found["AnalysisTemplate", f"{PREDICTOR}-{template}"]["spec"]["metrics"]
        assert all("prometheus" in each["provider"] for each in metrics)
    assert (("Pod", f"{PREDICTOR}-test") in found) is bool(values)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "/v1/models/sklearn-iris:predict"),
        ({"protocol": "v2", "request": {"inputs": []}}, "/v2/models/sklearn-iris/infer"),
        ({"protocol": "v2", "request": {"inputs": []}, "path": "/v2/models/a/versions/2/infer"}, None),
        ({"protocol": "json", "path": "/v1/completions?x=1"}, None),
    ],
)
def test_the_request_goes_to_the_protocols_path_or_the_given_one(chart, changes, path):
    found = chart.render(known(**changes))
    assert asked(found)["provider"]["web"]["url"].endswith(f"-canary.ml-serving{path or changes['path']}")
    assert environment(found)["URL"] == f"http://{PREDICTOR}{path or changes['path']}"


@pytest.mark.parametrize(
    ("at", "steps", "path"),
    [
        ("$", [], "{$}"),
        ("$.predictions[0]", ["predictions", 0], "{$.predictions[0]}"),
        ("$.outputs[0].data[12]", ["outputs", 0, "data", 12], "{$.outputs[0].data[12]}"),
        ("$['a b'][\"c.d\"]['0']", ["a b", "c.d", "0"], r"{$.a\ b.c\.d.0}"),
        ("$['{{x}}']['*']['$(A)']", ["{{x}}", "*", "$(A)"], r"{$.\{\{x\}\}.\*.\$\(A\)}"),
        ("$['größe']", ["größe"], r"{$.gr\ö\ße}"),
    ],
)
def test_where_the_answer_is_becomes_the_path_of_argo_rollouts_and_the_steps_of_helm_test(chart, at, steps, path):
    found = chart.render(known(at=at))
    assert asked(found)["provider"]["web"]["jsonPath"] == path
    assert json.loads(environment(found)["STEPS"].replace("$$", "$")) == steps


CASES = [
    ({"expected": "cat"}, ["cat"], ["Cat", ""]),
    ({"expected": 'a"\\\n<{{é😀\x01'}, ['a"\\\n<{{é😀\x01'], ["a"]),
    ({"expected": True}, [True], [False]),
    ({"expected": 3}, [3.0], [4.0, 2.999, -3.0]),
    ({"expected": -1e-7}, [-1e-7], [0.0]),
    ({"expected": 1 - 2**53}, [1.0 - 2**53], [2.0 - 2**53]),
    ({"expected": 10**18, "relative": 0.01}, [1e18, 1.01e18], [1.02e18]),
    ({"expected": 2.5, "absolute": 0.1}, [2.5, 2.4, 2.6], [2.39, 2.61]),
    ({"expected": 0.3, "absolute": 0.1}, [0.4], [0.41]),
    ({"expected": -200, "relative": 0.01}, [-202.0, -198.0], [-202.1, -197.9, 200.0]),
    ({"expected": 100, "relative": 0.01, "absolute": 5}, [95.0, 105.0], [94.9, 105.1]),
    ({"expected": 1, "absolute": 1e300}, [-1e300], [2e300]),
    ({"expected": ["cat", 3, True]}, [["cat", 3.0, True]], [["cat", 3.0], ["cat", 3.0, True, 1.0], ["dog", 3.0, True]]),
    ({"expected": [0.5, "cat"], "absolute": 0.1}, [[0.4, "cat"]], [[0.3, "cat"], [0.5, "dog"]]),
    ({"expected": [7]}, [[7.0]], [[], [8.0]]),
    ({"expected": list(range(100)), "absolute": 0.5}, [list(map(float, range(100)))], [[1.0] * 100]),
]
"""What is expected, and answers that are right and wrong; numbers are floats, as Argo Rollouts reads JSON."""
IDS = [str(case[0])[:40] for case in CASES]


@pytest.mark.parametrize(("changes", "right", "wrong"), CASES, ids=IDS)
def test_the_condition_takes_right_answers_and_no_others(chart, changes, right, wrong):
    condition = asked(chart.render(known(**changes)))["successCondition"]
    assert "{{" not in condition, "Argo Rollouts would look for an argument"
    for answers, phase in ((right, "Successful"), (wrong, "Failed")):
        for answer in answers:
            assert (
                measure(metric(query="", success=condition, failure=""), 0, lambda *_, answer=answer: answer) == phase
            ), answer


def test_braces_in_the_request_are_no_argument_of_the_analysis(chart):
    request = {"instances": [["{{args.revision}}", "{{{"]]}
    found = chart.render(known(request=request))
    body = asked(found)["provider"]["web"]["body"]
    assert "{{" not in body
    assert json.loads(body) == request


def environment(found):
    (container,) = found["Pod", f"{PREDICTOR}-test"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"]}


@contextmanager
def server(answer, status=200, headers=None):
    """A model that gives everybody the same answer, and keeps what it was asked."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            requests.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", requests
        running.shutdown()


def helm_test(found, answer, status=200, headers=(("x-served-by", "10.0.0.1:8080"),)):
    """Run what the pod runs, with what the pod is told, against a server here."""
    (container,) = found["Pod", f"{PREDICTOR}-test"]["spec"]["containers"]
    told = {name: value.replace("$$", "$") for name, value in environment(found).items()}
    with server(answer, status, dict(headers)) as (url, requests):
        told |= {"URL": told["URL"].replace(f"http://{PREDICTOR}", url), "WAIT": "0"}
        ended = subprocess.run(
            [sys.executable, *container["command"][1:], *container["args"]],
            env={"PATH": os.environ["PATH"], **told},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert container["command"][0] == "python3"
    return ended, requests


@pytest.mark.parametrize(("changes", "right", "wrong"), CASES, ids=IDS)
def test_helm_test_takes_right_answers_and_no_others(chart, changes, right, wrong):
    found = chart.render(known(**changes))
    for answers, code in ((right[:1], 0), (wrong[:1], 1)):
        for answer in answers:
            ended, _ = helm_test(found, json.dumps({"predictions": [answer]}))
            assert ended.returncode == code, ended.stdout + ended.stderr
            assert f"answer: {json.dumps(answer)}" in ended.stdout


def test_helm_test_asks_the_very_request_at_the_very_path(chart):
    request = {"inputs": ["$(URL) $$", "{{x}}", "it's"]}
    found = chart.render(known(protocol="json", path="/ask?n=1", request=request, at="$"))
    ended, requests = helm_test(found, '"cat"')
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert [(path, json.loads(body)) for path, body in requests] == [("/ask?n=1", request)]


@pytest.mark.parametrize(
    ("answer", "status", "headers", "said"),
    [
        ('{"predictions": []}', 200, {"x-served-by": "a"}, "no answer at ['predictions', 0]"),
        ('{"predictions": {"0": "cat"}}', 200, {"x-served-by": "a"}, "no answer at ['predictions', 0]"),
        ("<html>", 200, {"x-served-by": "a"}, "Expecting value"),
        ('{"error": "no rows"}', 500, {"x-served-by": "a"}, "no rows"),
        ('{"predictions": ["cat"]}', 200, {}, "did not come through the VirtualService"),
    ],
)
def test_helm_test_says_what_is_wrong(chart, answer, status, headers, said):
    ended, _ = helm_test(chart.render(KNOWN), answer, status, headers.items())
    assert ended.returncode == 1
    assert said in ended.stdout, ended.stdout + ended.stderr


def test_without_a_canary_no_virtual_service_is_asked_for(chart):
    found = chart.render({**KNOWN, "features": {"canaryDeployment": False}})
    ended, _ = helm_test(found, '{"predictions": ["cat"]}', headers=())
    assert ended.returncode == 0, ended.stdout


def test_one_is_not_true_to_helm_test(chart):
    for expected, answer in ((1, "true"), (True, "1"), (0, "false")):
        ended, _ = helm_test(chart.render(known(expected=expected)), f'{{"predictions": [{answer}]}}')
        assert ended.returncode == 1, expected
