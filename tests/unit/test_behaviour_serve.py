"""Both versions are asked the same in turn, and are served by nothing but the model server."""

import json
from collections import Counter

import pytest

from ci.behaviour import compare, serve
from ci.behaviour.compare import Answer
from ci.canary.observe.traffic import Reply
from tests.harness.behaviour import golden

NAME = "sklearn-iris-candidate"
URI = "s3://models/sklearn-iris/v2"


def test_each_input_goes_to_both_versions_in_a_row_and_neither_is_always_first():
    order = serve.schedule(inputs=7, rounds=4)
    pairs = list(zip(order[::2], order[1::2], strict=True))

    assert Counter(order) == {(version, item): 4 for version in (0, 1) for item in range(7)}
    assert all({version for version, _ in pair} == {0, 1} and len({item for _, item in pair}) == 1 for pair in pairs)
    assert Counter(pair[0][0] for pair in pairs) == {0: 14, 1: 14}
    assert Counter(pair[0] for pair in pairs) == {(version, item): 2 for version in (0, 1) for item in range(7)}


@pytest.mark.parametrize(("inputs", "rounds"), [(1, 10), (50, 10), (51, 10), (100, 5), (150, 4), (400, 3), (9000, 3)])
def test_the_more_inputs_the_fewer_rounds_but_never_too_few_to_see_an_answer_change(inputs, rounds):
    assert serve.rounds_of(inputs) == rounds


def test_one_version_alone_is_asked_each_input_once_a_round():
    order = serve.schedule(inputs=3, rounds=serve.WARM_UP_ROUNDS + 2, versions=1)
    assert order == [(0, item) for item in range(3)] * (serve.WARM_UP_ROUNDS + 2)

    replies = [Reply(200, {}, json.dumps({"predictions": [item]}), 0.01) for _, item in order]
    inputs = golden([0, 1, 7], gates={"all": {"accuracy": 1.0, "agreement": 1.0}})
    (answers,) = serve.sorted_out(inputs, order, replies)
    found = compare.compare(inputs, ("2.0", "2.0"), answers, answers)

    assert [[each.value for each in turn] for turn in answers] == [[0, 1, 2]] * 2
    assert found.failures == ["accuracy in slice all is 2 of 3 (66.7%), at least 100.0% asked"]
    assert found.regressions == []
    assert {each.difference_ms for each in found.latency} == {0.0}


def test_answers_come_back_by_version_and_round_without_the_warm_up():
    order = serve.schedule(inputs=3, rounds=serve.WARM_UP_ROUNDS + 2)
    replies = [
        Reply(200, {}, json.dumps({"predictions": [f"{version}/{item}"]}), number / 1000)
        for number, (version, item) in enumerate(order)
    ]

    champion, candidate = serve.sorted_out(golden([0, 0, 0]), order, replies)

    assert [[each.value for each in turn] for turn in champion] == [["0/0", "0/1", "0/2"]] * 2
    assert [[each.value for each in turn] for turn in candidate] == [["1/0", "1/1", "1/2"]] * 2
    assert min(each.seconds for turn in (*champion, *candidate) for each in turn) == 0.006


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"predictions": [2]}', 2),
        ('{"predictions": ["rose"]}', "rose"),
        ('{"predictions": [[0.1, 0.9]]}', [0.1, 0.9]),
        ('{"predictions": [null]}', None),
    ],
)
def test_a_reply_is_an_answer(body, value):
    assert serve.answer(golden([0]), Reply(200, {}, body, 0.5)) == Answer(value, 0.5)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, '{"predictions": [1, 2]}', '2 predictions for one instance: {"predictions": [1, 2]}'),
        (200, '{"predictions": []}', '0 predictions for one instance: {"predictions": []}'),
        (200, '{"outputs": []}', 'nothing at $.predictions[0]: {"outputs": []}'),
        (200, '{"predictions": "rose"}', 'nothing at $.predictions[0]: {"predictions": "rose"}'),
        (200, "[1]", "nothing at $.predictions[0]: [1]"),
        (200, "<html>\n", "no JSON (Expecting value: line 1 column 1 (char 0)): <html>"),
        (200, "", "no JSON (Expecting value: line 1 column 1 (char 0)): an empty response"),
        (200, "[" * 100_000, "no JSON (maximum recursion depth exceeded"),
        (200, '{"predictions": [NaN]}', 'no JSON (NaN is no number of JSON): {"predictions": [NaN]}'),
        (500, '{"predictions": [2]}', '500: {"predictions": [2]}'),
        (0, "TimeoutError: timed out", "no answer: TimeoutError: timed out"),
    ],
)
def test_a_reply_without_an_answer_has_failed_and_says_why(status, body, why):
    found = serve.answer(golden([0]), Reply(status, {}, body, 0.5))
    assert (found.value, found.seconds, found.good) == (None, 0.5, False)
    assert found.failure.startswith(why)


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_a_version_is_served_by_one_bare_model_server(chart, environment):
    found = chart.render(serve.values(NAME, URI, "model-store"), release=NAME, env=environment)

    kinds = {kind for kind, _ in found}
    assert kinds.isdisjoint(
        {"Rollout", "VirtualService", "HorizontalPodAutoscaler", "PrometheusRule", "ServiceMonitor"}
    )
    predictor = found["InferenceService", NAME]["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["model"]["storageUri"]) == (1, URI)
    service = found["Service", f"{NAME}-predictor-stable"]["spec"]
    assert service["selector"] == {"app": f"isvc.{NAME}-predictor"}
    assert found["ServiceAccount", f"{NAME}-predictor"]["secrets"] == [{"name": "model-store"}]


def test_the_limits_are_the_environments_own(chart):
    own = chart.render(env="prod")["InferenceService", "sklearn-iris"]["spec"]["predictor"]["model"]["resources"]
    found = chart.render(serve.values(NAME, URI, "model-store"), release=NAME, env="prod")
    resources = found["InferenceService", NAME]["spec"]["predictor"]["model"]["resources"]
    assert resources["limits"] == own["limits"]
    assert resources["requests"] != own["requests"]
