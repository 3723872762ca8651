"""Which applications run another model than the one that their golden file is of."""

import pytest

from ci import project
from ci.tree import earlier, tree
from tests.harness import project as projects

PROJECT = project.parse(projects.toml().encode())
NAME = "scores"


def application(environment, version):
    content = projects.application(NAME).replace("'7'", f"'{version}'").replace("/7", f"/{version}")
    return tree.read(PROJECT, environment, NAME, content.encode())


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"lab": "8", "trial": "8", "live": "7"}, {"live"}),
        ({"lab": "8", "trial": "7", "live": "8"}, {"trial"}),
        ({"trial": "8", "live": "7"}, {"live"}),
        ({"live": "7"}, set()),
        ({"lab": "8", "trial": None, "live": "8"}, set()),
        ({"lab": None, "trial": "8", "live": "7"}, {"trial", "live"}),
    ],
    ids=[
        "promoted once",
        "passed by",
        "not in the first",
        "in one alone",
        "one that cannot be read",
        "the first of all",
    ],
)
def test_a_golden_file_is_of_the_model_that_the_first_environment_runs(versions, found):
    applications = {
        (environment, NAME): version and application(environment, version) for environment, version in versions.items()
    }
    first = min(versions, key=PROJECT.names.index)
    assert earlier.models(PROJECT, applications) == {(environment, NAME): first for environment in found}
