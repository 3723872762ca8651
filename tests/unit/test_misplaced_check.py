"""An application's file where Argo CD looks for none is told with the place that it is to have."""

import pytest

from ci.checks import misplaced
from tests.harness import project as projects
from tests.harness.project import TREE


@pytest.fixture
def made(tmp_path):
    return projects.made(tmp_path, environments=("lab",), applications=["fraud-score"])


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("lab/wine.yml", "lab/wine.yaml"),
        ("wine.yaml", "ENVIRONMENT/wine.yaml"),
        ("lab/more/wine.yaml", "lab/wine.yaml"),
    ],
)
def test_it_is_told(made, path, place):
    made.write(f"{TREE}/{path}", projects.application("wine"))
    (finding,) = misplaced.findings(made.folder, made.project)
    assert (finding.file, finding.severity) == (f"{TREE}/{path}", "warning")
    assert finding.remedy.startswith(f"move it to {TREE}/{place},")


def test_nobody_is_told_to_write_over_an_application_that_is_there(made):
    made.write(f"{TREE}/lab/fraud-score.yml", projects.application("fraud-score"))
    (finding,) = misplaced.findings(made.folder, made.project)
    assert finding.remedy == f"move it out of {TREE}"


@pytest.mark.parametrize(
    "path", ["gates.yaml", "lab/values.yaml", "lab/kustomization.yml", "shared/base/values.yaml", "lab/README.md"]
)
def test_other_files_may_be_anywhere(made, path):
    made.write(f"{TREE}/{path}", "resources: {}\n")
    assert list(misplaced.findings(made.folder, made.project)) == []


def test_applications_and_sets_in_quarantine_are_where_they_belong(made):
    made.write(f"{TREE}/quarantine/fraud-score/first.yaml", projects.application("fraud-score"))
    assert list(misplaced.findings(made.folder, made.project)) == []
