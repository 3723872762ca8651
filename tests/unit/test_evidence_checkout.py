"""What a run reads of a repository, wherever the project is in it and whatever a person has git ignore."""

import hashlib
import os
import shutil
import subprocess

import anyio
import pytest

from ci.base.errors import UsageError
from ci.evidence import checkout
from ci.evidence.envelope import EvidenceError
from ci.project import FILE

CHART = "deploy/helm/charts/ml-serving"
PROJECT = b"""\
repository = "https://github.com/acme/models.git"

[paths]
tree = "apps"
golden = "questions"

[[environments]]
name = "live"
namespace = "ml-live"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with a project below its top, whose committed .gitignore leaves out Python's byte code."""
    home, folder = tmp_path / "home", tmp_path / "checkout"
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    home.mkdir()
    for name in (f"{CHART}/templates/service.yaml", "deploy/apps/live/x.yaml", "tests/test_all.py"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("one\n")
    (folder / "deploy" / FILE).write_bytes(PROJECT)
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
        return await checkout.changes(await checkout.look(folder / "deploy"))

    return anyio.run(look)


def write(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("more\n")


@pytest.mark.parametrize("by", [".git/info/exclude", "../home/.config/git/ignore"], ids=["this clone", "a person"])
def test_what_a_clone_or_a_person_has_git_ignore_was_tested_as_well(folder, by):
    write(folder, by)
    (folder / by).write_text("*.yaml\nconftest.py\n")
    write(folder, f"{CHART}/templates/another one.yaml")
    write(folder, "deploy/apps/live/conftest.py")

    assert changes(folder) == ["deploy/apps/live/conftest.py", f"{CHART}/templates/another one.yaml"]


def test_what_the_trees_own_rules_leave_out_is_none_of_it(folder):
    write(folder, f"{CHART}/__pycache__/test_all.pyc")
    write(folder, "deploy/notes.txt")
    write(folder, "apps/of/somebody/else.yaml")

    assert changes(folder) == []


def test_a_file_that_is_changed_gone_or_another_repository_is_named(folder):
    write(folder, f"{CHART}/templates/service.yaml")
    (folder / "deploy/apps/live/x.yaml").rename(folder / "deploy/apps/live/*.yaml")
    other = folder / "deploy" / "apps" / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message=One")

    assert changes(folder) == [
        "deploy/apps/live/*.yaml",
        "deploy/apps/live/x.yaml",
        "deploy/apps/other",
        f"{CHART}/templates/service.yaml",
    ]


def test_a_folder_that_is_new_or_gone_is_named(folder):
    write(folder, "deploy/questions/x.yaml")
    shutil.rmtree(folder / CHART)

    assert changes(folder) == [f"{CHART}/templates/service.yaml", "deploy/questions/x.yaml"]


def test_the_project_file_is_tested_as_well(folder):
    write(folder, "deploy/apps/live/x.yaml")
    (folder / "deploy" / FILE).write_bytes(PROJECT + b"# a word\n")

    assert changes(folder) == ["deploy/apps/live/x.yaml", f"deploy/{FILE}"]


def described(folder):
    async def look():
        return await checkout.described(await checkout.look(folder))

    return anyio.run(look)


def test_everything_is_named_by_its_path_in_the_repository(folder):
    write(folder, "deploy/questions/x.yaml")

    said = described(folder / "deploy")

    assert said.file.name == f"deploy/{FILE}"
    assert said.file.digest.sha256 == hashlib.sha256(PROJECT).hexdigest()
    assert [each.name for each in said.folders] == ["deploy/apps", CHART, "deploy/questions"], "tests/ is no part of it"


def test_what_the_tool_is_made_of_is_tested_where_it_tests_itself(folder, monkeypatch):
    monkeypatch.setattr(checkout, "ROOT", folder.resolve())

    said = described(folder / "deploy")

    assert [each.name for each in said.folders] == ["deploy/apps", CHART, "tests"]


def test_a_project_file_that_git_ignores_is_no_evidence(folder):
    (folder / ".gitignore").write_text("*.toml\n")
    git(folder, "rm", "--quiet", "--cached", f"deploy/{FILE}")
    git(folder, "commit", "--quiet", "--all", "--message=Two")

    with pytest.raises(EvidenceError, match=f"deploy/{FILE}: git ignores it"):
        described(folder / "deploy")


def test_a_folder_without_a_project_file_is_no_project(folder):
    with pytest.raises(UsageError, match=f"{FILE}: no such file"):
        described(folder)
