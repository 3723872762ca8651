"""Conditions: taken only where expr comes to the same end; tests/upstream asks Argo Rollouts."""

import math

import pytest

from ci.canary import conditions
from ci.canary.conditions import EvaluationError, Kind, RefusedError

TAKEN = (
    "result[0] >= 0.95",
    "result >= 0.95",
    "len(result) == 0 || result[0] < 0.05",
    "len(result) > 0 && result[0] >= 0.95",
    "len(result) > 0 && !isNaN(result[0]) && !(result[0] >= 0.99)",
    "isNaN(result[0]) || result[0] >= 0.95",
    "isNaN(result) || result >= 0.95",
    "isInf(result)",
    "!isNil(result) && result[0] < 1",
    "asFloat(result[0]) <= 1e3",
    "result[0] >= 0.95 || len(result) == 0",
    "(result[0] * 100.0) >= 95 && result[-1] - 1 <= 0",
    "1 - result[0] < 0.05 // the share of errors",
    "-result[0] / 2 > -0.5",
    "result[0] > 1 && len(result) >= 2\n  && result[1] != 0\n",
    "result == true",
    "result == 'true'",
    'result == "a \\"cat\\" \\u00e9"',
    'len(result) == 2 && result[0] == "cat" && result[1] >= 0.25',
    "true",
    "false",
)
REFUSED = (
    ("len(result) > 0 and result[0] >= 0.95", "at character 17", "&& for `and`"),
    ("len(result) == 0 or result[0] >= 0.95", "at character 18", "|| for `or`"),
    ("not isNaN(result[0])", "at character 5", "! for `not`"),
    ("result[0] in [1, 2]", "`result[0] in [1, 2]`", "=="),
    ("default(result, 0) < 0.05", "`default(result, 0)`", "len(result) == 0 ||"),
    ("asInt(result[0]) > 0", "`asInt(result[0])`", "the number itself"),
    ("all(result, # < 1000)", "at character 13", "docs/gates.md"),
    ("all(result, true)", "`all(result, true)`", "len, isNaN"),
    ("max(result[0]) > 1", "`max(result[0])`", "len, isNaN"),
    ("results[0] >= 90.0", "`results`", "called `result`"),
    ("result != nil", "`nil`", "called `result`"),
    ("result.ok && result.successPercent >= 0.90", "`result.ok`", "docs/gates.md"),
    ("0.1 < result[0] < 0.9", "compared already", "&&"),
    ("result[0] > 0 ? true : false", "`result[0] > 0 ? true : false`", "&& and ||"),
    ("result[5] > 0 && false", "`false` says nothing", "Leave it out"),
    ("result[5] > 0 && 1 == 2", "`1 == 2` says nothing", "Leave it out"),
    ("result[0] >= 95 / 100", "whole numbers alone", "decimal point"),
    ("result[0] % 2 == 0", "`result[0] % 2`", "docs/gates.md"),
    ("result[0] ** 2 > 1", "at character 12", "docs/gates.md"),
    ("result[0] > 0x1F", "`0x1F`", "decimal digits"),
    ("result[0] > 007", "`007`", "decimal digits"),
    ("result[0] > .5", "`.5`", "decimal digits"),
    ("result[0] > 9007199254740993", "too large", "9007199254740993.0"),
    ("result[0] > 1e999", "larger than a float", "docs/gates.md"),
    ("result[len(result)] > 0", "`result[len(result)]`", "whole number"),
    ("result[0] == result[0] && result == result", "`result == result`", "docs/gates.md"),
    ("isNaN(len(result))", "a whole number", "docs/gates.md"),
    (r'result == "a\/b"', "a\\/b", "JSON"),
    (r"result == 'it\'s'", "it\\'s", "double quotes"),
    ("result[0] >>= 3", "at character 12", "docs/gates.md"),
    ("(" * 70 + "!" * 70 + "isNil(result)" + ")" * 70, "levels deep", "Write less"),
    ("", "cannot be read", "docs/gates.md"),
)
ALWAYS_ERROR = (
    "result",
    "result[0]",
    "len(result)",
    'result[0] == "0.95"',
    "result[0] >= true",
    "len(result) == 0 || result[0] == true",
    "!result[0] >= 0.95",
    "result[0] && len(result) > 0",
    "result[0][0] > 1",
    "result + 1 > 0 && result[0] > 0",
    "isNaN(result[0] > 1)",
)
"""Of Prometheus: they compile for none of its answers."""


@pytest.mark.parametrize("text", TAKEN)
def test_what_is_documented_is_taken(text):
    conditions.require(text, [*conditions.PROMETHEUS, *conditions.ANSWERS])


@pytest.mark.parametrize(("text", "what", "fix"), REFUSED, ids=[each[0][:40] for each in REFUSED])
def test_all_else_is_refused_by_its_part_with_what_to_write(text, what, fix):
    with pytest.raises(RefusedError) as refused:
        conditions.require(text, conditions.PROMETHEUS)
    assert what in refused.value.message
    assert fix in refused.value.fix


@pytest.mark.parametrize("text", ALWAYS_ERROR)
def test_what_is_an_error_whatever_prometheus_answers_is_refused(text):
    with pytest.raises(RefusedError, match="always an Error"):
        conditions.require(text, conditions.PROMETHEUS)


@pytest.mark.parametrize(
    ("text", "result", "holds"),
    [
        ("result[0] >= 0.95", [0.95], True),
        ("result[0] >= 1", [0.95], False),
        ("len(result) == 0 || result[0] < 0.05", [], True),
        ("isNaN(result[0]) || result[0] >= 0.95", [math.nan], True),
        ("result[0] == result[0] / 1", [math.nan], False),
        ("result[-1] > 1", [0.5, 2.0], True),
        ("isInf(1 / result[0])", [0.0], True),
        ("!isNil(result)", [], True),
    ],
)
def test_a_condition_holds_as_expr_has_it(text, result, holds):
    assert conditions.holds(text, result, Kind.NUMBERS) is holds


@pytest.mark.parametrize(
    ("text", "result", "kind"),
    [
        ("result[0] >= 0.95 || len(result) == 0", [], Kind.NUMBERS),
        ("result[1] > 0", [1.0], Kind.NUMBERS),
        ("result[0] >= 0.95", 1.0, Kind.NUMBER),
        ("result >= 0.95", [1.0], Kind.NUMBERS),
        ("len(result) > 9 && result == 1", [1.0], Kind.NUMBERS),
        ("result[0] >= 0.95", ["cat"], Kind.VALUES),
        ('result == "cat"', 1.0, Kind.NUMBER),
    ],
)
def test_what_argo_rollouts_takes_for_an_error_is_one(text, result, kind):
    with pytest.raises(EvaluationError):
        conditions.holds(text, result, kind)
