"""The tool as evidence names it: by version, commit and its own files."""

import subprocess
import tomllib

import anyio
import pytest

from ci.base.paths import ROOT
from ci.evidence import tool

LISTED = (
    "find ./ci ./tests/integration -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | "
    "xargs -0 sha256sum | sha256sum"
)
"""As docs/evidence.md has it."""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A tool with a file of its own, a test that it runs, and one that it does not."""
    for name in ("ci/a.py", "ci/b/c.py", "tests/integration/test_a.py", "tests/unit/test_b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"of {name}\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "tool"\nversion = "7.1"\n')
    monkeypatch.setattr(tool, "ROOT", tmp_path.resolve())
    return tmp_path


def described():
    return anyio.run(tool.described)


def git(folder, *words):
    person = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    return subprocess.run(["git", "-C", folder, *person, *words], check=True, capture_output=True, text=True).stdout


def test_this_tool_is_named_by_its_package():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (described().name, described().version) == (package["name"], package["version"])


def test_its_digest_is_what_the_documented_command_prints(root):
    printed = subprocess.run(LISTED, shell=True, cwd=root, check=True, capture_output=True, text=True).stdout
    assert described().digest.sha256 == printed.split()[0]


def test_byte_code_and_the_tests_that_it_does_not_run_are_none_of_it(root):
    before = described()
    (root / "ci" / "__pycache__").mkdir()
    (root / "ci" / "__pycache__" / "a.pyc").write_text("compiled\n")
    (root / "tests" / "unit" / "test_b.py").write_text("another\n")
    assert described() == before


@pytest.mark.parametrize("name", ["ci/a.py", "tests/integration/test_a.py", "ci/more.py"])
def test_another_file_is_another_tool(root, name):
    before = described()
    (root / name).write_text("another\n")
    assert described().digest != before.digest


def test_its_commit_is_that_of_its_own_checkout(root):
    assert described().commit is None
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    assert described().commit is None, "none is made yet"
    git(root, "commit", "--quiet", "--message=One")
    assert described().commit.git_commit == git(root, "rev-parse", "HEAD").strip()


def test_a_checkout_that_it_lies_in_is_another_thing(root, monkeypatch):
    git(root, "init", "--quiet")
    git(root, "commit", "--quiet", "--allow-empty", "--message=One")
    (root / "pyproject.toml").rename(root / "ci" / "pyproject.toml")
    monkeypatch.setattr(tool, "ROOT", root / "ci")
    assert described().commit is None
