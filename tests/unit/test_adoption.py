"""A repository of somebody else's, made as docs/ci.md says: its address stands wherever ours stood."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.base.paths import ROOT
from tests.integration import gitops

OURS = "https://github.com/example/ml-serving-ci"
COPIED = (".github", "gitops", "helm", "k8s", "tests/rules")
"""What a run deploys, or holds what is deployed against."""
(STEP,) = re.findall(r"^## Adopt it\n.*?```bash\n(.*?)```", (ROOT / "docs/ci.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name)
    present = gitops.address(ROOT / "k8s" / "argocd").removesuffix(".git")  # of a fork that has done so, its own
    for file in tmp_path.rglob("*"):
        if file.is_file() and present in (text := file.read_text()):
            file.write_text(text.replace(present, OURS))
    said = STEP.replace("OWNER/NAME", "acme/models")
    subprocess.run(["bash", "-euc", said], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def test_no_file_names_our_address(adopted: Path) -> None:
    files = [file for file in adopted.rglob("*") if file.is_file()]
    texts = {str(file.relative_to(adopted)): file.read_text() for file in files}

    assert [name for name, text in texts.items() if OURS in text and name != "k8s/argocd/README.md"] == []
    assert "https://github.com/acme/models/blob/main/docs/runbooks" in texts["helm/charts/ml-serving/values.yaml"]


def test_the_loop_of_commits_is_about_the_copy_that_a_run_serves(adopted: Path) -> None:
    """An Argo CD that watched the repository itself would deploy what is there, or nothing where it is out of reach."""
    served = "http://10.0.0.1:8080/copy.git"
    folder = adopted / "k8s" / "argocd"
    assert sum(file.read_text().count("https://github.com/acme/models.git") for file in folder.glob("*.yaml")) == 3

    applied = gitops.manifests(folder, served)

    assert len(applied) == 2
    assert sum(text.count(served) for text in applied) == 3
    assert not any("acme" in text for text in applied)
