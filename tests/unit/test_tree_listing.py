"""What a commit has, listed once: as git itself lists it, whatever files are called."""

import os
import subprocess

import pytest

from ci.base.errors import UsageError
from ci.tree import git
from tests.harness.remote import run

pytestmark = pytest.mark.anyio
ODD = 'deploy/a\nb \udcff".yaml'
FILES = ("top.yaml", "deploy/x.yaml", "deploy/x/values.yaml", "deploy/x-y.yaml", ODD, "other/.gitattributes")


@pytest.fixture(params=["sha1", "sha256"])
def folder(tmp_path, request):
    for path in FILES:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {path!a}\n")
    (tmp_path / "deploy" / "link").symlink_to("x")
    run(["git", "init", "--quiet", f"--object-format={request.param}"], cwd=tmp_path)
    run(["git", "add", "--all"], cwd=tmp_path)
    module = "1" * len(printed(tmp_path, "hash-object", "top.yaml").strip())
    run(["git", "update-index", "--add", "--cacheinfo", f"160000,{module},deploy/module"], cwd=tmp_path)
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


async def with_files(folder, *paths):
    """The tree of the commit that has other contents at paths."""
    repository = await git.opened(folder)
    snapshot = git.Snapshot(repository, await repository.commit_of("HEAD"), "main")
    made = await snapshot.with_files(dict.fromkeys(paths, b"other"), "Other")
    run(["git", "fsck", "--strict"], cwd=folder)
    return printed(folder, "rev-parse", f"{made}^{{tree}}").strip()


@pytest.mark.parametrize(
    "paths",
    [
        ["top.yaml"],
        ["deploy/x.yaml", "deploy/x/values.yaml", "deploy/x/y/z/new.yaml", "deploy/x-", "0"],
        ["deploy/x0", "deploy/x0.d/a", "deploy/x0-d/a"],  # a folder is sorted as if its name ended with a slash
    ],
)
async def test_other_files_make_the_tree_that_git_makes_of_them(folder, paths):
    made = await with_files(folder, *paths)
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"other")
        run(["git", "update-index", "--add", path], cwd=folder)
    assert made == printed(folder, "write-tree").strip()


async def test_a_file_keeps_its_mode_and_what_is_beside_it_stays_as_it_is(folder):
    (folder / "deploy/x.yaml").chmod(0o755)
    run(["git", "commit", "--quiet", "--all", "--message=Executable"], cwd=folder)
    listed = printed(folder, "ls-tree", "HEAD:deploy", "x.yaml", "x-y.yaml").split()
    content = b"100664 a\0" + bytes.fromhex(listed[2]) + b"100755 x.yaml\0" + bytes.fromhex(listed[6])
    (folder / "old").write_bytes(content)  # as git wrote it long ago
    tree = printed(folder, "hash-object", "-t", "tree", "-w", "--literally", "old").strip()
    commit = printed(folder, "commit-tree", tree, "-m", "Old").strip()
    run(["git", "reset", "--quiet", "--soft", commit], cwd=folder)
    made = await with_files(folder, "x.yaml")
    assert printed(folder, "ls-tree", made).splitlines()[0] == printed(folder, "ls-tree", tree).splitlines()[0]
    assert printed(folder, "ls-tree", made, "x.yaml").startswith("100755 ")


@pytest.mark.parametrize(("path", "mode"), [("deploy/link", "120000"), ("deploy/x", "040000")])
async def test_a_link_or_a_folder_is_not_written_as_a_file(folder, path, mode):
    with pytest.raises(UsageError, match=mode):
        await with_files(folder, path)
