"""A metric comes to the same end in the gates as with Argo Rollouts' own code, or its condition is refused."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.canary import conditions, replay
from ci.canary.conditions import RefusedError
from tests.harness import upstream
from tests.harness.gates import metric
from tests.unit.test_canary_conditions import ALWAYS_ERROR, REFUSED, TAKEN

NUMBERS = [0.0, -0.0, 1.0, 0.95, 0.5, -1.0, 3.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]
VECTORS = [[], *([each] for each in NUMBERS), [0.5, 1.0], [math.nan, 0.97, 3.0]]
SCALARS = NUMBERS
ANSWERS = ["cat", "", "true", "é", True, False, 1.0, 3.5, [], ["cat"], [1.0, "cat", True], [0.5, 0.5], [False]]
OF_PROMETHEUS = [(True, each) for each in (*VECTORS, *SCALARS)]
RESULTS = [*OF_PROMETHEUS, *((False, each) for each in ANSWERS)]
TOO_MUCH = " && ".join(["result == 1.5"] * 3000)


@pytest.fixture(scope="module")
def rollouts():
    """Judge as Argo Rollouts does, with the expr that it has."""
    program = upstream.built(Path(__file__).with_name("conditions.go"), "argo-rollouts")
    return lambda asked: [each["Phase"] for each in program(asked)]


def asked(success, failure, of_prometheus, result):
    """A question to Argo Rollouts."""
    conditions = {"Success": success, "Failure": failure}
    if not of_prometheus:
        return {**conditions, "Answer": result}
    if isinstance(result, list):
        return {**conditions, "Vector": list(map(repr, result))}
    return {**conditions, "Scalar": repr(result)}


def ours(success, failure, of_prometheus, result):
    """What the gates make of it; None where they refuse."""
    kinds = conditions.PROMETHEUS if of_prometheus else conditions.ANSWERS
    query = "up" if of_prometheus else ""
    try:
        for text in filter(None, (success, failure)):
            conditions.require(text, kinds)
        return replay.measure(metric(query=query, success=success, failure=failure), 0, lambda *_: result)
    except RefusedError:
        return None


def compared(rollouts, pairs, results=RESULTS):
    """Hold both ends of each pair of conditions, for each result, against each other; return the share refused."""
    cases = [(success, failure, *result) for success, failure in pairs for result in results]
    refused = 0
    for case, theirs in zip(cases, rollouts([asked(*case) for case in cases]), strict=True):
        found = ours(*case)
        refused += found is None
        assert found in (None, theirs), (case, found, theirs)
    return refused / len(cases)


def test_what_people_write_comes_to_the_same_end(rollouts):
    texts = [*TAKEN, *(text for text, *_ in REFUSED), *ALWAYS_ERROR]
    compared(rollouts, [(text, "") for text in texts if text])
    compared(rollouts, [("", text) for text in texts if text])


def test_both_conditions_together_come_to_the_same_end(rollouts):
    compared(rollouts, [(success, failure) for success in TAKEN for failure in TAKEN])


def test_what_is_refused_as_always_an_error_is_one(rollouts):
    cases = [(text, "", *result) for text in ALWAYS_ERROR for result in OF_PROMETHEUS]
    assert set(rollouts([asked(*case) for case in cases])) == {"Error"}


def test_a_condition_of_more_parts_than_expr_takes_is_refused(rollouts):
    case = (TOO_MUCH, "", True, 1.5)
    assert rollouts([asked(*case)]) == ["Error"]
    assert ours(*case) is None


def signed(left, signs, right):
    parts = st.tuples(left, st.sampled_from(signs), right, st.sampled_from(["", " ", "  ", "\n"]))
    return parts.map(lambda each: each[-1].join(each[:-1]))


FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.sampled_from(["0.0", "0.95", "1e-3", "1E+2"])
WHOLE = st.integers(-(2**53), 2**53).map(str) | st.sampled_from(["0", "1", "20", "len(result)"])
ELEMENTS = st.sampled_from(["result[0]", "result[1]", "result[-1]", "(result)[0]", "asFloat(result[0])", "-result[0]"])
FIGURES = st.recursive(
    FLOATS | ELEMENTS,
    lambda inner: signed(inner, ["+", "- ", "*", "/"], inner | WHOLE).map(lambda text: f"({text})"),
    max_leaves=4,
)
ORDER = ["<", "<=", ">", ">=", "==", "!="]
CHECKS = (
    signed(ELEMENTS, ORDER, FIGURES | WHOLE)
    | signed(FIGURES, ORDER, ELEMENTS)
    | signed(st.just("len(result)"), ORDER, FIGURES | WHOLE)
    | ELEMENTS.map(lambda text: f"isNaN({text})")
    | ELEMENTS.map(lambda text: f"isInf({text} * 1e308)")
    | st.just("!isNil(result)")
)
SENTENCES = st.recursive(
    CHECKS,
    lambda inner: (
        st.tuples(inner, st.sampled_from([" && ", "||", "\n  && "]), inner).map("".join)
        | inner.map(lambda text: f"!({text})")
        | inner.map(lambda text: f"({text})")
    ),
    max_leaves=5,
)
WILD = st.lists(
    st.sampled_from(
        ["result", "[0]", "[1]", "result[0]", "len(result)", "isNaN(", "isNil(", "asFloat(", "asInt(", "default(",
         "(", ")", "!", "-", "&&", "||", "and", "or", "not ", "in", "<", ">=", "==", "!=", "+", "*", "/", "%", "?", ":",
         "0", "1", "0.5", "-1", "true", "false", "nil", '"cat"', "'true'", ",", ".ok", "[", "]", "//", "??", "all("]
    ),
    max_size=9,
)  # fmt: skip


@given(pairs=st.lists(st.tuples(SENTENCES, SENTENCES | st.just("")), min_size=10, max_size=10))
def test_any_condition_of_what_is_listed_is_taken_and_comes_to_the_same_end(rollouts, pairs):
    assert compared(rollouts, pairs, OF_PROMETHEUS) == 0


@given(texts=st.lists(WILD, min_size=50, max_size=50))
def test_any_other_comes_to_the_same_end_or_is_refused(rollouts, texts):
    share = compared(rollouts, [("".join(each), "") for each in texts])
    print(f"refused of conditions of any words: {share:.0%}")


def test_an_answer_is_asked_as_json(rollouts):
    assert rollouts([{"Success": 'result == "é"', "Answer": json.loads('"\\u00e9"')}]) == ["Successful"]
