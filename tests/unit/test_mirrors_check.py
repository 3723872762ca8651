"""A mirror that stands for no model of the project is told with the beginning that it may mean."""

import pytest

from ci import project
from ci.checks import mirrors
from tests.harness import project as projects

URI = "s3://acme/fraud-score/7"
"""Of the harness' application."""


@pytest.fixture
def found(tmp_path):
    made = projects.made(tmp_path, environments=("lab",), applications=["fraud-score"])

    def look(prefix):
        file = tmp_path / project.FILE
        file.write_text(f'{file.read_text()}\n[models.mirrors]\n"{prefix}" = "models"\n')
        return made.judged(lambda found: [*mirrors.findings(file.read_text(), made.project, found.applications)])

    return look


@pytest.mark.parametrize("prefix", ["s3://acme", "s3://acme/", "s3://acme/fraud-score/", URI])
def test_the_beginning_of_a_models_uri_is_one(found, prefix):
    assert found(prefix) == []


@pytest.mark.parametrize(
    ("prefix", "remedy"),
    [
        ("s3://acmee/", "nearest is s3://acme/"),
        ("s3://acme/fraud-scores/", "nearest is s3://acme/fraud-score/"),
        ("s3://acm", "nearest is s3://acme/"),
        ("hf://elsewhere/of/another", "write what a model's storageUri begins with, or remove it"),
    ],
)
def test_another_is_a_warning_at_its_line(found, tmp_path, prefix, remedy):
    (finding,) = found(prefix)
    assert (finding.file, finding.severity, finding.remedy) == (project.FILE, "warning", remedy)
    assert (tmp_path / project.FILE).read_text().splitlines()[finding.line - 1] == f'"{prefix}" = "models"'
    assert finding.message.startswith(f"models.mirrors.{prefix}: ")
