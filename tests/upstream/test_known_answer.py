"""What the chart asks and compares, taken by Argo Rollouts' own code, built from the pinned module.

Both must come to the same end, or nobody knows what `gates` said; test_conditions.py has conditions of any kind.
"""

import json
from pathlib import Path

import pytest

from ci.canary.replay import measure
from tests.harness import upstream
from tests.harness.gates import metric
from tests.unit import test_chart_known_answer as unit
from tests.unit.conftest import Chart, find_tool

NESTED = "$['{{x}}'][\"a b.c\"][1]['größe']['*']['$(A)']"
ODD = (None, "cat", True, 1.0, [], ["cat"], {}, {"0": "cat"})
"""Answers of every kind that JSON has."""


@pytest.fixture(scope="module")
def chart():
    return Chart(find_tool("helm"))


@pytest.fixture(scope="module")
def rollouts():
    """Measure with Argo Rollouts' web provider."""
    return upstream.built(Path(__file__).with_name("known_answer.go"), "argo-rollouts")


def nested(answer):
    return {"{{x}}": {"a b.c": [None, {"größe": {"*": {"$(A)": answer}}}]}}


@pytest.mark.parametrize(("changes", "right", "wrong"), unit.CASES, ids=unit.IDS)
def test_argo_rollouts_and_the_gates_take_the_same_answers(chart, rollouts, changes, right, wrong):
    asked = unit.asked(chart.render(unit.known(at=NESTED, **changes)))
    answers = [*right, *wrong]
    found = rollouts([{"Metric": asked, "Answer": json.dumps(nested(answer))} for answer in answers])

    ours = metric(query="", success=asked["successCondition"], failure="")
    expected = ["Successful"] * len(right) + ["Failed"] * len(wrong)
    assert [each["Phase"] for each in found] == expected, found
    assert [measure(ours, 0, lambda *_, answer=answer: answer) for answer in answers] == expected


@pytest.mark.parametrize("changes", [case[0] for case in unit.CASES], ids=unit.IDS)
def test_an_answer_of_another_kind_is_never_right(chart, rollouts, changes):
    asked = unit.asked(chart.render(unit.known(**changes)))
    kind = float if type(changes["expected"]) is int else type(changes["expected"])
    others = [answer for answer in ODD if type(answer) is not kind]
    found = rollouts([{"Metric": asked, "Answer": json.dumps({"predictions": [answer]})} for answer in others])

    assert {each["Phase"] for each in found} <= {"Failed", "Error"}, found


def test_the_request_is_the_one_of_the_values(chart, rollouts):
    request = {"instances": [["{{args.revision}}", "<é>", 1.5, None]]}
    asked = unit.asked(chart.render(unit.known(protocol="json", path="/ask?n=1", request=request, at="$")))
    (found,) = rollouts([{"Metric": asked, "Answer": '"cat"'}])

    assert (found["Phase"], found["Path"], found["Content"]) == ("Successful", "/ask?n=1", "application/json")
    assert json.loads(found["Body"]) == request


@pytest.mark.parametrize(
    "answer", ['{"predictions": []}', '{"other": 1}', '{"predictions": {"0": "cat"}}', "null", '{"predictions": null}']
)
def test_an_answer_without_the_place_is_an_error(chart, rollouts, answer):
    asked = unit.asked(chart.render(unit.known()))
    (found,) = rollouts([{"Metric": asked, "Answer": answer}])
    assert found["Phase"] == "Error", found
