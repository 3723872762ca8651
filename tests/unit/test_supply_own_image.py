"""The tool's own image: this checkout whole, with all that it depends on, at its own version."""

import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from ci.base import paths
from ci.supply import pins
from ci.supply.source import checkout

IMAGE = "ml-serving-ci"
PINS = pins.load()
PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]


def test_every_file_of_the_checkout_is_in_it_but_git_s_own_and_what_runs_before_a_change_lands() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=paths.ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    wanted = {f"/project/{name}" for name in listed.stdout.splitlines()}

    missing = wanted - set(checkout.files("/project"))

    assert {path.removeprefix("/project/") for path in missing} <= {".ci/run", ".gitignore"}


def test_nothing_that_a_machine_adds_is_in_it(tmp_path: Path) -> None:
    for name in ("ci/main.py", "ci/__pycache__/main.cpython-311.pyc", ".venv/bin/python", ".git/config", "report/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")

    assert checkout.files("/project", tmp_path) == {"/project/ci/main.py": tmp_path / "ci" / "main.py"}


def test_it_has_the_version_of_the_project() -> None:
    assert PINS.images[IMAGE].tag == PROJECT["version"]


def test_every_dependency_is_locked_in_it_at_a_version_that_the_project_takes() -> None:
    text = PINS.wheels[IMAGE].requirements_file.read_text()
    locked = dict(line.split()[0].split("==") for line in text.splitlines() if "==" in line and line[0] != "#")

    for requirement in map(Requirement, [*PROJECT["dependencies"], "pip"]):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


def test_it_alone_is_ours() -> None:
    assert [name for name, image in PINS.images.items() if image.own] == [IMAGE]
