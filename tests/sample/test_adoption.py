"""A repository of somebody else's, made as docs/ci.md says: its address stands wherever ours stood."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci import project
from ci.base.paths import ROOT
from tests.integration import gitops

OURS = "https://github.com/example/ml-serving-ci"
COPIED = (".github", "gitops", "helm", "k8s", "tests/rules")
"""What a run deploys, or holds what is deployed against."""
ADOPT = r"^## Adopt this repository\n.*?```bash\n(.*?)```"
(STEP,) = re.findall(ADOPT, (ROOT / "docs/ci.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / project.FILE, tmp_path)
    present = project.load(ROOT).repository.removesuffix(".git")  # of a fork that has done so, its own
    for file in tmp_path.rglob("*"):
        if file.is_file() and present in (text := file.read_text()):
            file.write_text(text.replace(present, OURS))
    said = STEP.replace("OWNER/NAME", "acme/models")
    (tmp_path / "ci").symlink_to(ROOT / "ci")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    python = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", said], cwd=tmp_path, check=True, timeout=60, env={**os.environ, **python})
    return tmp_path


def test_no_file_names_our_address(adopted: Path) -> None:
    files = [file for file in adopted.rglob("*") if file.is_file()]
    texts = {str(file.relative_to(adopted)): file.read_text() for file in files}

    assert [name for name, text in texts.items() if OURS in text] == []
    assert "https://github.com/acme/models/blob/main/docs/runbooks" in texts["helm/charts/ml-serving/values.yaml"]


def test_the_loop_of_commits_is_about_the_copy_that_a_run_serves(adopted: Path) -> None:
    """An Argo CD that watched the repository itself would deploy what is there, or nothing where it is out of reach."""
    served = "http://10.0.0.1:8080/copy.git"
    given = (adopted / "k8s" / "argocd").glob("*.yaml")
    assert sum(file.read_text().count("https://github.com/acme/models.git") for file in given) == 3

    applied = gitops.manifests(adopted, served)

    assert len(applied) == 2
    assert sum(text.count(served) for text in applied) == 3
    assert not any("acme" in text for text in applied)
