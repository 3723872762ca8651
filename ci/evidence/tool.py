"""The tool that tests, as its files are."""

import tomllib
from pathlib import PurePosixPath

from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.evidence.statement import Digest, GitCommit, Tool
from ci.models import digests
from ci.tree import git

FOLDERS = ("ci", "tests/integration")
"""The tool, and the tests that it runs."""


async def described() -> Tool:
    """Return the tool as a statement has it."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return Tool(name=package["name"], version=package["version"], commit=await _commit(), digest=_digest())


async def _commit() -> GitCommit | None:
    """Return the commit that is checked out here; None where the tool's folder is no checkout of its own."""
    try:
        repository = await git.opened(ROOT)
        commit = await repository.commit_of("HEAD")
    except UsageError:
        return None
    return GitCommit(gitCommit=commit) if repository.folder == ROOT else None


def _digest() -> Digest:
    """Return the SHA-256 of what `sha256sum` lists of the files by path, but for the byte code that Python leaves."""
    files = {
        f"{folder}/{path}": digest
        for folder in FOLDERS
        for path, digest in digests.of_files(ROOT / folder).items()
        if "__pycache__" not in PurePosixPath(path).parts
    }
    return Digest(sha256=digests.of_listing(files).removeprefix("sha256:"))
