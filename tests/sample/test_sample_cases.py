"""Each case of tests/corpus/cases.yaml has its tests, which are there."""

import ast
import functools

import pytest

from ci.base.paths import ROOT
from tests.harness import corpus

CASES = {f"{part}: {name}": case for part, cases in corpus.cases().items() for name, case in cases.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_case_names_tests_that_are_there(case):
    tests = CASES[case]["tests"]
    assert tests
    assert [test for test in tests if not is_there(test)] == []


def is_there(test):
    """Tell whether there is a file of rules, or a function of a file, with that case among its cases if it has one."""
    file, _, name = test.partition("::")
    function, _, case = name.removesuffix("]").partition("[")
    if not function:
        return (ROOT / file).is_file()
    functions, texts = read(file)
    return function in functions and (not case or case in texts)


@functools.cache
def read(file):
    """Names of a file's functions, and its texts."""
    nodes = [*ast.walk(ast.parse((ROOT / file).read_text()))]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return functions, {node.value for node in nodes if isinstance(node, ast.Constant)}
