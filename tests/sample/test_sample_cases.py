"""Each case of tests/corpus/cases.yaml has its tests, which are there."""

import subprocess
import sys

import pytest

from ci.base.paths import ROOT
from tests.harness import corpus

CASES = {f"{part}: {name}": case for part, cases in corpus.cases().items() for name, case in cases.items()}
OF_PROMTOOL = "tests/rules/"
"""Tests that are files of rules; one of pytest runs them all."""


@pytest.fixture(scope="module")
def there():
    """Every test that the cases name a file of, by its own name and by that of its function."""
    files = sorted({test.partition("::")[0] for case in CASES.values() for test in case["tests"]})
    asked = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", ""]
    files = [file for file in files if not file.startswith(OF_PROMTOOL)]
    collected = subprocess.run([*asked, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout
    found = collected.stdout.splitlines()
    return {*found, *(name.partition("[")[0] for name in found)}


@pytest.mark.parametrize("case", CASES)
def test_a_case_names_tests_that_are_there(there, case):
    tests = CASES[case]["tests"]
    assert tests
    missing = [test for test in tests if test not in there and not is_of_promtool(test)]
    assert missing == []


def is_of_promtool(test):
    return test.startswith(OF_PROMTOOL) and (ROOT / test).is_file()
