"""A test that reads this repository's own project, tree or sample fails, where there is one and where there is none."""

import os
import shutil
from pathlib import Path

import pytest

from ci import project
from ci.base.errors import UsageError
from ci.base.paths import CHART, ROOT

OPENED = {
    "a file": lambda _: project.load(ROOT),
    "a folder": lambda _: list((ROOT / "gitops").iterdir()),
    "a tree": lambda to: shutil.copytree(ROOT / "sample", to / "copy"),
    "by a relative path": lambda _: Path("k8s/argocd/appproject.yaml").read_text(),
    "as bytes": lambda _: os.scandir(bytes(ROOT / "gitops")),
}


@pytest.mark.parametrize("opens", OPENED.values(), ids=OPENED)
def test_what_is_this_repositorys_own_is_not_opened(opens, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(AssertionError, match="is this repository's own: give the test a fixture"):
        opens(tmp_path)


def test_the_tool_and_other_projects_are(tmp_path):
    assert list(CHART.iterdir())
    assert list((ROOT / "k8s" / "argocd" / "patches").iterdir())
    with pytest.raises(UsageError):
        project.load(tmp_path)
