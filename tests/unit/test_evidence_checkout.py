"""What a run reads of a checkout, whatever a person has git ignore."""

import os
import subprocess

import anyio
import pytest

from ci.evidence import checkout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with a chart and a test in it, whose committed .gitignore leaves out Python's byte code."""
    home, folder = tmp_path / "home", tmp_path / "checkout"
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    home.mkdir()
    for name in ("helm/templates/service.yaml", "tests/test_all.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("one\n")
    (folder / ".gitignore").write_text("__pycache__/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=One")
    return folder


def git(folder, *words):
    person = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    subprocess.run(["git", "-C", folder, *person, *words], check=True)


def changes(folder):
    async def look():
        return await checkout.changes(await checkout.look(folder))

    return anyio.run(look)


def write(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("more\n")


@pytest.mark.parametrize("by", [".git/info/exclude", "../home/.config/git/ignore"], ids=["this clone", "a person"])
def test_what_a_clone_or_a_person_has_git_ignore_was_tested_as_well(folder, by):
    write(folder, by)
    (folder / by).write_text("*.yaml\nconftest.py\n")
    write(folder, "helm/templates/another one.yaml")
    write(folder, "tests/conftest.py")

    assert changes(folder) == ["helm/templates/another one.yaml", "tests/conftest.py"]


def test_what_the_trees_own_rules_leave_out_is_none_of_it(folder):
    write(folder, "tests/__pycache__/test_all.pyc")
    write(folder, "notes.txt")

    assert changes(folder) == []


def test_a_file_that_is_changed_gone_or_another_repository_is_named(folder):
    write(folder, "helm/templates/service.yaml")
    (folder / "tests" / "test_all.py").rename(folder / "tests" / "test_*.py")
    other = folder / "tests" / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message=One")

    assert changes(folder) == ["helm/templates/service.yaml", "tests/other", "tests/test_*.py", "tests/test_all.py"]
