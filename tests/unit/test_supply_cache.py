"""The folder that the supply is in, apart from what is in it."""

import subprocess
from pathlib import Path

import anyio
import pytest

from ci.base import settings
from ci.supply.cache import Cache


async def use() -> None:
    async with Cache().exclusive("tool", "a tool"):
        pass


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """The current folder, with a cache and a state in it: GitLab keeps a cache only of what lies in the checkout."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True, timeout=60)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.CACHE, ".cache")
    monkeypatch.setenv(settings.STATE, ".state")
    return tmp_path


def seen_by_git() -> str:
    asked = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout


def test_git_and_the_linters_that_ask_it_leave_out_a_cache_in_a_checkout(checkout: Path) -> None:
    for folder in (checkout / ".cache" / "go", checkout / ".state" / "logs"):
        folder.mkdir(parents=True)
        folder.joinpath("bad.py").write_text("import os,sys")

    anyio.run(use)

    assert seen_by_git() == ""
    assert subprocess.run(["ruff", "check", "."], capture_output=True, timeout=60, check=False).returncode == 0


def test_a_folder_with_files_of_others_is_not_hidden(checkout: Path, monkeypatch) -> None:
    monkeypatch.setenv(settings.CACHE, ".")
    checkout.joinpath("README.md").touch()

    anyio.run(use)

    assert "README.md" in seen_by_git()
