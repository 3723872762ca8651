"""What is installed is locked: each package by version and hash, in workflows, in the own image and in .ci/run."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from ci.base.paths import ROOT
from ci.supply import pins
from tests.harness import project as projects

PACKAGE = tomllib.loads((ROOT / "pyproject.toml").read_text())
CORE = PACKAGE["project"]["dependencies"]
PROVE, TEST = (PACKAGE["project"]["optional-dependencies"][extra] for extra in ("prove", "test"))
BUILD = PACKAGE["build-system"]["requires"]
FILES = {
    "requirements-core.txt": [*CORE, *BUILD],
    "requirements.txt": [*CORE, *PROVE, *BUILD],
    "requirements-test.txt": [*CORE, *PROVE, *TEST, *BUILD],
}
IMAGE = pins.load().wheels["ml-serving-ci"].requirements_file


def locked(file):
    """Versions and hashes of a locked requirements file, by name; a name may have one for each range of Pythons."""
    found = {}
    for line in file.read_text().replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            stated, *hashes = line.split("--hash=")
            requirement = Requirement(stated)
            found.setdefault(requirement.name, []).append((requirement.specifier, [each.strip() for each in hashes]))
    return found


@pytest.mark.parametrize("name", FILES)
def test_all_that_is_declared_is_locked_at_a_version_that_is_taken(name):
    found = locked(ROOT / name)
    for requirement in map(Requirement, FILES[name]):
        for specifier, _ in found[requirement.name.lower().replace("_", "-")]:
            (exact,) = specifier
            assert exact.operator == "=="
            assert requirement.specifier.contains(exact.version), requirement
    for package, entries in found.items():
        assert all(hashes and all(each.startswith("sha256:") for each in hashes) for _, hashes in entries), package


def test_the_lists_agree():
    core, tool, test = (locked(ROOT / name) for name in FILES)
    image = locked(IMAGE)
    assert core.items() <= tool.items() <= test.items()
    assert not {Requirement(each).name for each in PROVE} & core.keys()
    for package, ((specifier, hashes),) in image.items():
        same = [all_of for other, all_of in tool[package] if other == specifier]
        assert same, f"{package}: {specifier} in the image"
        assert set(hashes) <= set(same[0]), package


def test_without_anything_installed_a_line_says_what_installs_it():
    command = [sys.executable, "-S", "-E", ROOT / "ci" / "main.py", "lint"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (3, "")
    error, fix = ended.stderr.splitlines()
    assert re.fullmatch(rf"error: \w+: not installed for {re.escape(sys.executable)}", error)
    assert fix == f"  fix: {sys.executable} -m pip install --require-hashes --requirement {ROOT / 'requirements.txt'}"


@pytest.mark.parametrize(("command", "module"), [(("gates",), "scipy"), (("lint",), "celpy"), (("test",), "cyclonedx")])
def test_a_command_says_what_is_not_installed(tmp_path, command, module):
    projects.made(tmp_path / "own").commit()
    without = f"import runpy, sys; sys.modules[{module!r}] = None; sys.argv = ['ci/main.py', *sys.argv[1:]]; "
    start = f"{without}runpy.run_path('ci/main.py', run_name='__main__')"
    words = [sys.executable, "-c", start, f"--project={tmp_path / 'own'}", *command]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 3
    said = " ".join(ended.stderr.split())
    assert said.startswith(
        f"error: {module}: not installed here, and needed for this fix: pip install --require-hashes"
    )
    assert "Traceback" not in said


def test_workflows_install_nothing_else():
    action = yaml.safe_load((ROOT / ".github/actions/setup/action.yaml").read_text())
    assert action["inputs"]["requirements"]["default"] in FILES
    (install,) = [step["run"] for step in action["runs"]["steps"] if "pip install" in step.get("run", "")]
    assert "--require-hashes" in install
    assert all("--require-hashes" in line or "--no-deps" in line for line in install.splitlines())
    for workflow in (ROOT / ".github/workflows").glob("*.yaml"):
        for job in yaml.safe_load(workflow.read_text())["jobs"].values():
            for step in job["steps"]:
                assert "pip install" not in step.get("run", "")
                if step.get("uses") == "./.github/actions/setup":
                    assert step["with"].get("requirements", "requirements.txt") in FILES
