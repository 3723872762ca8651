"""A repository of somebody else's, made as docs/ci.md says: its address stands where ours stood, and nothing is red."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from ci import project
from ci.base.paths import ROOT
from ci.tree import tree
from tests.harness import lint
from tests.harness.remote import run
from tests.integration import gitops

OURS = "https://github.com/example/ml-serving-ci"
DEPLOYED = (project.FILE, ".github", "gitops", "helm", "k8s", "tests/rules")
"""What a run deploys, or holds what is deployed against."""
EDITED = ("project", "workflows")
"""The unit tests of the files that an adopter edits: tests/unit/test_*.py."""
CHARTS = ("chart_objects", "chart_rules", "chart_values")
"""Those of the chart, whose address the adopter's own replaces."""
GUIDE = (ROOT / "docs/ci.md").read_text()
(STEP,) = re.findall(r"^## Adopt this repository\n.*?```bash\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE)
(WORKFLOW,) = re.findall(r"^## In a repository of your own\n.*?^```yaml\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
PYTHON = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
ANOTHER = "another"
SECONDS = 600


@pytest.fixture
def adopted(tmp_path: Path) -> Path:
    """This checkout with its history, as it is on disk, and the step done in it."""
    folder = tmp_path / "project"
    run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder)])
    run(["git", "checkout", "--quiet", "-B", "main"], cwd=folder)
    for name in run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    present = project.load(ROOT).repository.removesuffix(".git")  # of a fork that has done so, its own
    for file in deployed(folder):
        if present in (text := file.read_text()):
            file.write_text(text.replace(present, OURS))
    run(["bash", "-euc", STEP.replace("OWNER/NAME", "acme/models")], cwd=folder, env=PYTHON)
    return folder


def deployed(folder: Path) -> list[Path]:
    found = [file for name in DEPLOYED for file in (folder / name, *(folder / name).rglob("*"))]
    return [file for file in found if file.is_file()]


@pytest.fixture
def with_another(adopted: Path) -> Path:
    """A second application, made of copies of the first one's files."""
    given = project.load(adopted)
    places = [*(f"{given.paths.tree}/{environment}" for environment in given.names), given.paths.golden]
    first = min(file.stem for file in (adopted / places[0]).glob("*.yaml") if file.name != tree.VALUES)
    for file in (adopted / place / f"{first}.yaml" for place in places):
        if file.exists():
            file.with_stem(ANOTHER).write_text(file.read_text().replace(first, ANOTHER))
    run(["git", "add", "--all"], cwd=adopted)
    run(["git", "commit", "--quiet", "--message=Ours"], cwd=adopted)
    return adopted


def test_no_file_names_our_address(adopted: Path) -> None:
    texts = {str(file.relative_to(adopted)): file.read_text() for file in deployed(adopted)}

    assert [name for name, text in texts.items() if OURS in text] == []
    assert "https://github.com/acme/models/blob/main/docs/runbooks" in texts["helm/charts/ml-serving/values.yaml"]


def test_the_loop_of_commits_is_about_the_copy_that_a_run_serves(adopted: Path) -> None:
    """An Argo CD that watched the repository itself would deploy what is there, or nothing where it is out of reach."""
    served = "http://10.0.0.1:8080/copy.git"
    given = (adopted / "k8s" / "argocd").glob("*.yaml")
    places = len(project.load(adopted).names) + 2  # a project for each environment; the set says it twice
    assert sum(file.read_text().count("https://github.com/acme/models.git") for file in given) == places

    applied = gitops.manifests(adopted, served)

    assert len(applied) == 2
    assert sum(text.count(served) for text in applied) == places
    assert not any("acme" in text for text in applied)


def test_lint_finds_nothing_but_missing_digests_with_a_second_application(with_another: Path) -> None:
    """The sample's own are bumped in by whoever adopts it."""
    assert [*with_another.rglob(f"{ANOTHER}.yaml")]
    found = lint.findings(with_another)
    assert {(each.check, each.severity) for each in found} <= {("pinned", "warning")}, found


@pytest.mark.parametrize(
    "names", [EDITED, pytest.param(CHARTS, marks=pytest.mark.nightly)], ids=["of what is edited", "of the chart"]
)
def test_its_own_tests_are_green_with_a_second_application(with_another: Path, names: tuple[str, ...]) -> None:
    files = [f"tests/unit/test_{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    ended = run(command, cwd=with_another, check=False, seconds=SECONDS)
    assert ended.returncode == 0, ended.stdout


def test_the_documented_workflow_has_nothing_to_prove_where_nothing_differs(with_another: Path) -> None:
    """Its own command, on a project beside the tool."""
    run(["git", "update-ref", "refs/remotes/origin/main", "HEAD"], cwd=with_another)
    (with_another.parent / "tool").symlink_to(ROOT)
    (job,) = yaml.safe_load(WORKFLOW)["jobs"].values()
    (step,) = [step for step in job["steps"] if step["name"] == "Test"]

    ended = run(["bash", "-euc", step["run"]], cwd=with_another.parent, env={**PYTHON, "BASE": "main"})

    assert ended.stdout == "nothing differs from origin/main: there is nothing to prove\n"
