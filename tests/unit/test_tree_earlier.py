"""Which applications run another model than the one that their golden file is of."""

import dataclasses
import re

import pytest

from ci import project
from ci.base.errors import UsageError
from ci.tree import earlier, quarantine, tree
from ci.tree.earlier import Earlier
from ci.tree.quarantine import Entry
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
    first = Earlier(min(versions, key=PROJECT.names.index))
    assert earlier.models(PROJECT, applications, []) == {(environment, NAME): first for environment in found}


def entry(bad, good, environment="lab", name=NAME):
    """What a rollback wrote."""
    before, after = (application("lab", version).release for version in (bad, good))
    values = {tree.dotted(key): value for key, value in before.items() if after[key] != value}
    return Entry(name, environment, values, "", "", back={tree.dotted(key): after[key] for key in after})


@pytest.mark.parametrize(
    ("versions", "entries", "taken_back"),
    [
        ({"lab": "7", "trial": "7", "live": "6"}, [entry("8", "7")], True),
        ({"lab": "6", "live": "6"}, [entry("8", "7"), entry("7", "6")], True),
        ({"lab": "9", "trial": "7"}, [entry("8", "7")], False),
        ({"lab": "8", "trial": "7"}, [entry("8", "7", environment="trial")], False),
        ({"lab": "7", "trial": "6"}, [entry("8", "7", name="ranks")], False),
        ({"lab": "7", "trial": "6"}, [dataclasses.replace(entry("8", "7"), back={})], False),
        ({"lab": "7", "trial": "6"}, [dataclasses.replace(entry("8", "7"), values={"image.tag": "2"})], False),
        ({"lab": None, "trial": "7"}, [entry("8", "7")], False),
    ],
    ids=[
        "rolled back",
        "twice",
        "bumped since",
        "a later environment",
        "another application",
        "an old entry",
        "of the image alone",
        "a file that cannot be read",
    ],
)
def test_a_golden_file_is_of_no_model_that_runs_once_the_first_environment_was_rolled_back(
    versions, entries, taken_back
):
    applications = {(each, NAME): version and application(each, version) for each, version in versions.items()}
    found = earlier.models(PROJECT, applications, entries)
    if taken_back:
        assert found == dict.fromkeys(applications, Earlier("lab", taken_back=True))
    else:
        assert {each.taken_back for each in found.values()} <= {False}
        assert ("lab", NAME) not in found


def test_an_entry_is_read_as_it_was_written_and_what_is_none_is_named_or_left_out():
    entered = dataclasses.replace(entry("8", "7"), measurements=["p95: 2 s"])
    written, path = entered.content(PROJECT), entered.file(PROJECT)
    assert quarantine.read(written, path) == entered
    for wrong in (b"- 1\n", b"values: [", b"application: x\n", b""):
        with pytest.raises(UsageError, match=rf"^{re.escape(path)}(:2: not YAML|: no entry of the quarantine): "):
            quarantine.read(wrong, path)
        assert quarantine.readable({f"{path}.yaml": wrong, path: written}) == [entered]
