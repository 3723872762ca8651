"""What the chart would ask every canary, wherever its values come from, held against an application's golden file."""

import pytest
import yaml

from ci.behaviour import golden as goldens
from ci.behaviour.known_answer import known_answer
from ci.checks import golden
from tests.harness import project as projects
from tests.harness.project import CHART_FOLDER, TREE

NAME = "fraud-score"
FILE = f"golden/{NAME}.yaml"
QUESTIONS = {
    "name": NAME,
    "version": 1,
    "source": "made for a test",
    "known": "first",
    "gates": {"all": {"agreement": 0}},
    "inputs": [{"id": "first", "instance": [1.5], "expected": 7}],
}
RIGHT = known_answer(goldens.checked(QUESTIONS, FILE), NAME)


def values(known):
    return yaml.safe_dump({"exampleModel": {"knownAnswer": known}})


@pytest.fixture
def made(tmp_path):
    made = projects.made(tmp_path, environments=("lab",), applications=[NAME])
    made.write(FILE, yaml.safe_dump(QUESTIONS))
    return made


@pytest.fixture
def found(made):
    """The findings, once values were written into files of the project."""

    def look(own=None, tree=None, chart=None):
        if own is not None:
            made.deploy("lab", NAME, values={"exampleModel": {"knownAnswer": own}})
        made.write(f"{TREE}/lab/values.yaml", "{}\n" if tree is None else tree)
        if chart is not None:
            made.write(f"{CHART_FOLDER}/values/lab.yaml", chart)
        return [each for _, each in made.judged(lambda found: golden.findings(made.folder, made.project, found.judged))]

    return look


@pytest.mark.parametrize(
    "given",
    [
        {"own": RIGHT},
        {"tree": values(RIGHT)},
        {"chart": values(RIGHT)},
        {"own": {"expected": 7}, "tree": values({**RIGHT, "expected": 8})},
        {"own": {"path": RIGHT["path"]}, "tree": values({"at": RIGHT["at"]}), "chart": values({**RIGHT, "at": "$"})},
    ],
    ids=["its own", "of the tree", "of the chart", "its own over the tree's", "of all three"],
)
def test_a_known_answer_is_right_wherever_it_comes_from(found, given):
    assert found(**given) == []


@pytest.mark.parametrize(
    ("given", "file", "said"),
    [
        ({}, f"{TREE}/lab/{NAME}.yaml", "exampleModel.knownAnswer: not there"),
        ({"tree": values({**RIGHT, "expected": 8})}, f"{TREE}/lab/values.yaml", "knownAnswer.expected: 8"),
        ({"chart": values({**RIGHT, "expected": 8})}, f"{CHART_FOLDER}/values/lab.yaml", "knownAnswer.expected: 8"),
        (
            {"own": {"expected": 8}, "tree": values(RIGHT)},
            f"{TREE}/lab/{NAME}.yaml",
            "exampleModel.knownAnswer.expected: 8",
        ),
        ({"own": RIGHT, "tree": values({"header": "x"})}, f"{TREE}/lab/{NAME}.yaml", "knownAnswer.header: unknown"),
    ],
    ids=["nowhere", "wrong in the tree", "wrong in the chart", "wrong over the tree's", "more in the tree"],
)
def test_one_that_is_not_the_golden_files_is_found(found, given, file, said):
    (finding,) = found(**given)
    assert said in finding.message
    assert finding.file == file


def test_values_that_are_no_yaml_are_left_to_helm(found):
    assert found(own=RIGHT, tree="a: [\n") == []
