"""The list of scenarios is whole, and its faults can be made."""

import ast
import shutil

import pytest

from ci.base.paths import ROOT
from ci.stages import order, suite
from tests.scenarios import scenarios

SCENARIOS = scenarios.load()
SUITE = ROOT / "tests" / "integration"
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def of_the_suite():
    for file in sorted(SUITE.glob("test_*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and file.name not in suite.BY_HAND:
                yield f"{file.name}::{node.name}"


@pytest.mark.parametrize("test", list(of_the_suite()))
def test_each_test_of_the_suite_is_of_one_scenario(test):
    assert len([each.name for each in SCENARIOS if each.has(test)]) == 1


def test_each_scenario_has_a_name_of_its_own_and_tests_that_are_there():
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        for named in scenario.tests:
            assert any(scenario.has(test) and test.startswith(named) for test in of_the_suite()), named


def test_each_stage_that_proves_something_is_a_scenario_or_has_some():
    assert {stage.name for stage in order.ORDER} - {each.stage for each in SCENARIOS} == {order.MODELS}
    with_tests = {each.stage for each in SCENARIOS if each.tests}
    assert with_tests == {stage.name for stage in order.ORDER if stage.tests}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_each_fault_can_be_made(scenario, tmp_path):
    file = tmp_path / scenario.fault.file
    file.parent.mkdir(parents=True)
    shutil.copy(ROOT / scenario.fault.file, file)

    scenario.fault.make(tmp_path)

    assert file.read_bytes() != (ROOT / scenario.fault.file).read_bytes()
