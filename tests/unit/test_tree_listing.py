"""What a commit has, listed once: as git itself lists it, whatever files are called."""

import os
import subprocess

import pytest

from ci.tree import git
from tests.harness.remote import run

pytestmark = pytest.mark.anyio
ODD = 'deploy/a\nb \udcff".yaml'
FILES = ("top.yaml", "deploy/x.yaml", "deploy/x/values.yaml", "deploy/x-y.yaml", ODD, "other/.gitattributes")


@pytest.fixture
def folder(tmp_path):
    for path in FILES:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {path!a}\n")
    (tmp_path / "deploy" / "link").symlink_to("x")
    run(["git", "init", "--quiet"], cwd=tmp_path)
    run(["git", "add", "--all"], cwd=tmp_path)
    run(["git", "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},deploy/module"], cwd=tmp_path)
    run(["git", "commit", "--quiet", "--message=All"], cwd=tmp_path)
    return tmp_path


def printed(folder, *words):
    """What git prints, whatever files are called."""
    return subprocess.check_output(["git", *map(os.fsencode, words)], cwd=folder).decode(errors="surrogateescape")


async def listed(folder):
    repository = await git.opened(folder)
    return await repository.listing(await repository.commit_of("HEAD"))


async def test_files_are_in_git_s_order_links_and_submodules_among_them(folder):
    names = printed(folder, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")[:-1]
    assert [path for path, _ in (await listed(folder)).below("")] == names
    assert {ODD, "deploy/link", "deploy/module"} <= {*names}


@pytest.mark.parametrize("path", ["top.yaml", "deploy/x.yaml", "deploy/x", "deploy/link", ODD])
async def test_git_s_name_of_what_is_at_a_path(folder, path):
    assert (await listed(folder)).at(path)[1] == printed(folder, "rev-parse", f"HEAD:{path}").strip()


async def test_nothing_is_behind_a_link_or_a_file_or_where_nothing_is(folder):
    listing = await listed(folder)
    assert [listing.at(path) for path in ("deploy/link/values.yaml", "top.yaml/x", "none", "deploy/none")] == [None] * 4
    assert not listing.within("none")


async def test_a_folder_s_own_files_and_those_below_it(folder):
    listing = await listed(folder)
    assert {*listing.within("deploy")} == {"x.yaml", "x", "x-y.yaml", "link", "module", ODD.removeprefix("deploy/")}
    assert {*listing.within(".")} == {"top.yaml", "deploy", "other"}
    assert [path for path, _ in listing.below("deploy/x")] == ["deploy/x/values.yaml"]


async def test_files_of_a_name_in_every_folder(folder):
    (folder / ".gitattributes").write_text("")
    run(["git", "add", "--all"], cwd=folder)
    run(["git", "commit", "--quiet", "--message=More"], cwd=folder)
    assert [path for path, _ in (await listed(folder)).named(".gitattributes")] == [
        ".gitattributes", "other/.gitattributes",
    ]  # fmt: skip
