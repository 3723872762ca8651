"""What messages tell a person to type works where that person is."""

import shlex
import subprocess
import sys

import pytest

from ci.base import calling
from tests.harness.cli import MAIN

PYTHON = "/opt/venv/bin/python"


@pytest.fixture
def called(monkeypatch):
    def of(*words):
        monkeypatch.setattr(sys, "orig_argv", list(words))
        calling._called.cache_clear()
        return calling.as_called("then: python ci/main.py plan --app iris; python ci/main.py lint")

    yield of
    calling._called.cache_clear()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["python", "ci/main.py", "test"], "python ci/main.py"),
        (["python3", "-X", "dev", "../tool/ci/main.py", "test"], "python3 -X dev ../tool/ci/main.py"),
        ([PYTHON, "/my tools/ci/main.py", "test", "--project=x"], f"{PYTHON} '/my tools/ci/main.py'"),
        (["python", "/tool/ci/main.py", "--debug", "--project", "ml", "lint"], "python /tool/ci/main.py --project ml"),
        (["python", "/tool/ci/main.py", "--project=ml", "lint"], "python /tool/ci/main.py --project=ml"),
        (["pytest", "tests/unit"], "python ci/main.py"),
    ],
)
def test_a_command_is_told_as_it_has_to_be_typed(called, words, shown):
    assert called(*words) == f"then: {shown} plan --app iris; {shown} lint"


def test_the_way_out_of_an_error_can_be_copied_from_the_terminal(tmp_path):
    folder = tmp_path / "a project"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    person = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    subprocess.run(["git", "-C", folder, *person, "commit", "--quiet", "--allow-empty", "-m", "1"], check=True)
    command = [sys.executable, str(MAIN), f"--project={folder}"]

    failed = subprocess.run([*command, "plan"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert failed.returncode == 2
    fix = failed.stderr.rpartition("fix: ")[2].strip()
    assert fix == shlex.join([*command, "migrate"])
    again = subprocess.run(shlex.split(fix), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "No such file" not in again.stderr
