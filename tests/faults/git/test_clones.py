"""Clones as people have them, and what of them makes a change impossible: one line, with the command that helps."""

import os
import shlex
import shutil
import subprocess

import anyio
import pytest

from ci.base.errors import CIError, MachineError, UsageError
from ci.tree import git
from ci.tree.writeback import PushRefusedError
from tests.harness import settled
from tests.harness.remote import FILE, Clone, run
from tests.harness.settled import ADDED, NEW


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = settled.made(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(found.home))
    return found


def written(folder, content, branch="main"):
    """Whether a branch has the change."""
    wanted = {FILE: settled.after(content), NEW: ADDED}
    return all(
        subprocess.check_output(["git", "-C", folder, "cat-file", "blob", f"{branch}:{path}"]) == expected
        for path, expected in wanted.items()
    )


def refused(kind, act, *words):
    """Have something refused in one line, with a command, and return the error."""
    with pytest.raises(kind) as caught:
        act()
    error = caught.value
    assert "\n" not in error.message
    assert all(word in f"{error.message} {error.fix}" for word in words), (error.message, error.fix)
    return error


# --- work trees ---


def test_a_branch_that_another_work_tree_has_checked_out_is_not_moved_under_it(world, tmp_path):
    world.clone.git("worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "linked"))
    tip = world.clone.git("rev-parse", "main")

    refused(
        UsageError,
        lambda: world.write("here", project=tmp_path / "linked", branch="main"),
        "branch main is checked out in",
        str(world.clone.folder),
    )

    assert world.clone.git("rev-parse", "main") == tip
    assert settled.status(world.clone) == ""
    content = world.clone.read()
    world.write("here", project=tmp_path / "linked")
    assert written(tmp_path / "linked", content, "mine")
    assert (tmp_path / "linked" / FILE).read_bytes() == settled.after(content)


def test_a_branch_that_no_work_tree_has_is_moved(world):
    content = world.clone.read()
    world.clone.git("branch", "next")

    world.write("here", branch="next")

    assert written(world.clone.folder, content, "next")
    assert world.clone.read() == content
    assert settled.status(world.clone) == ""


def test_work_trees_of_a_bare_repository_are_work_trees(world, tmp_path):
    content = world.clone.read()
    run(["git", "clone", "--quiet", "--bare", world.remote.folder, tmp_path / "bare.git"])
    run(["git", "worktree", "add", "--quiet", tmp_path / "linked", "main"], cwd=tmp_path / "bare.git")

    world.write("here", project=tmp_path / "linked")

    assert written(tmp_path / "linked", content)
    assert settled.status(Clone(tmp_path / "linked")) == ""


def test_a_checkout_of_a_submodule_is_a_work_tree(world, tmp_path):
    content = world.clone.read()
    run(["git", "init", "--quiet", tmp_path / "above"])
    add = ["git", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", world.remote.folder, "below"]
    run(add, cwd=tmp_path / "above")

    world.write("here", project=tmp_path / "above" / "below")

    assert written(tmp_path / "above" / "below", content)
    assert settled.status(Clone(tmp_path / "above" / "below")) == ""


@pytest.mark.parametrize("name", ["with spaces", "zwölf ☃", "line\nbreak", "-dash", "quo'te\"s", "a:b"])
def test_a_folder_may_be_called_anything(world, tmp_path, capfd, name):
    content = world.clone.read()
    folder = tmp_path / name
    shutil.move(world.clone.folder, folder)

    world.write("dry-run", project=folder)
    assert "+++ b/" in capfd.readouterr().out
    world.write("here", project=folder / "gitops" / "..")

    assert written(folder, content)
    assert settled.status(Clone(folder)) == ""


def test_a_sparse_checkout_stays_sparse(world):
    content = world.clone.read()
    world.clone.git("sparse-checkout", "set", "--cone", "docs")
    assert not (world.clone.folder / FILE).exists()

    world.write("here")

    assert written(world.clone.folder, content)
    assert not (world.clone.folder / "gitops").exists()
    assert settled.status(world.clone) == ""


@pytest.mark.parametrize("way", ["here", "push"])
def test_a_partial_clone_is_not_fetched_whole(world, tmp_path, way):
    content = world.clone.read()
    world.remote.git("config", "uploadpack.allowFilter", "true")
    words = ["--quiet", "--filter=blob:none", "--sparse", f"file://{world.remote.folder}", tmp_path / "partial"]
    run(["git", "clone", *words])
    partial = Clone(tmp_path / "partial")
    partial.git("sparse-checkout", "set", "docs")
    missing = partial.git("rev-list", "--objects", "--missing=print", "main").count("?")

    world.write(way, project=partial.folder)

    assert written(world.remote.folder if way == "push" else partial.folder, content)
    after = partial.git("rev-list", "--objects", "--missing=print", "main^" if way == "here" else "main").count("?")
    assert after == missing - 1, "the application's file, and nothing else"


def test_of_a_shallow_clone_the_rest_is_fetched_where_the_remote_is_asked(world, tmp_path):
    world.clone.replace(b"v0.20.0", b"v0.20.1")
    content = world.clone.read()
    run(["git", "clone", "--quiet", "--depth=1", f"file://{world.remote.folder}", tmp_path / "shallow"])
    shallow = Clone(tmp_path / "shallow")

    world.write("push", project=shallow.folder)

    assert written(world.remote.folder, content)
    assert shallow.git("rev-list", "--count", "main") == "2"
    world.write("push", project=shallow.folder)


def test_a_mirror_is_pushed_from_and_not_written_to(world, tmp_path):
    content = world.clone.read()
    run(["git", "clone", "--quiet", "--mirror", world.remote.folder, tmp_path / "mirror.git"])
    tip = world.remote.git("rev-parse", "main")

    refused(UsageError, lambda: world.write("here", project=tmp_path / "mirror.git"), "a mirror", "--push")
    assert run(["git", "rev-parse", "main"], cwd=tmp_path / "mirror.git").stdout.strip() == tip

    world.write("push", project=tmp_path / "mirror.git")
    assert written(world.remote.folder, content)


def test_a_bare_clone_is_written_to(world, tmp_path):
    content = world.clone.read()
    run(["git", "clone", "--quiet", "--bare", world.remote.folder, tmp_path / "bare.git"])
    world.write("here", project=tmp_path / "bare.git")
    assert written(tmp_path / "bare.git", content)


def test_hashes_may_be_of_sha_256(world, tmp_path):
    content = world.clone.read()
    run(["git", "init", "--quiet", "--object-format=sha256", "--initial-branch=main", tmp_path / "long"])
    long = Clone(tmp_path / "long")
    (long.folder / FILE).parent.mkdir(parents=True)
    (long.folder / FILE).write_bytes(content)
    long.git("add", ".")
    long.git("commit", "--quiet", "--message=First")

    world.write("here", project=long.folder)

    assert written(long.folder, content)
    assert settled.status(long) == ""


def test_a_work_tree_that_a_setting_puts_elsewhere_is_not_taken_for_the_folder(world, tmp_path):
    (tmp_path / "else").mkdir()
    world.configure("core.worktree", str(tmp_path / "else"), "--local")
    refused(UsageError, lambda: world.write("here"), "core.worktree", f"--project {tmp_path / 'else'}")


def test_gits_own_folder_is_not_the_project(world):
    refused(UsageError, lambda: world.write("here", project=world.clone.folder / ".git"), "git's own folder")


# --- who owns them ---


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
@pytest.mark.parametrize("what", ["the work tree", "git's folder", "the remote"])
def test_what_another_user_owns_is_told_with_the_command_that_trusts_it(world, what):
    content = world.clone.read()
    owned = {
        "the work tree": world.clone.folder,
        "git's folder": world.clone.folder / ".git",
        "the remote": world.remote.folder,
    }[what]
    os.chown(owned, 4242, 4242)

    error = refused(
        CIError, lambda: world.write("push"), "dubious ownership" if what == "the remote" else "another user"
    )
    subprocess.run(["sh", "-c", error.fix], check=True)
    world.write("push")

    os.chown(owned, os.geteuid(), os.getegid())
    assert written(world.remote.folder, content)


# --- branches ---


def test_a_tag_with_the_branchs_name_is_not_the_branch(world):
    content = world.clone.read()
    world.clone.commit("other.yaml", b"a: 2\n")
    for where in (world.clone.git, world.remote.git):
        where("tag", "main", "main~1")

    world.write("push")
    assert written(world.remote.folder, content, "refs/heads/main")
    world.write("here")
    assert written(world.clone.folder, content, "refs/heads/main")
    assert settled.status(world.clone) == ""


@pytest.mark.parametrize("name", ["HEAD", "25921e0525921e0525921e0525921e0525921e05", "Main", "a/b", "zwölf"])
@pytest.mark.parametrize("way", ["here", "push"])
def test_a_branch_may_be_called_anything(world, name, way):
    content = world.clone.read()
    for folder in (world.clone.folder, world.remote.folder):
        run(["git", "update-ref", f"refs/heads/{name}", "main"], cwd=folder)
    if way == "here":
        world.clone.git("symbolic-ref", "HEAD", f"refs/heads/{name}")

    world.write(way, branch=name if way == "push" else None)

    assert written(world.remote.folder if way == "push" else world.clone.folder, content, f"refs/heads/{name}")
    assert settled.status(world.clone) == ""


def test_refs_of_others_that_end_like_the_branch_are_not_it(world):
    content = world.clone.read()
    world.remote.git("update-ref", "refs/a/refs/heads/main", "main")
    world.clone.commit("other.yaml", b"a: 2\n")
    tip = world.remote.git("rev-parse", "main")

    async def look():
        return await (await git.opened(world.clone.folder, "origin")).remote_tips("origin", "main")

    assert anyio.run(look) == {"main": tip}
    world.write("push")
    assert written(world.remote.folder, content)


def test_no_branch_is_told_with_the_way_out(world, tmp_path):
    world.clone.git("checkout", "--quiet", "--detach")
    refused(UsageError, lambda: world.write("here"), "no branch checked out", "--branch B")
    refused(UsageError, lambda: world.write("here", branch="nein"), "--branch nein: no such branch", "branch --list")
    refused(UsageError, lambda: world.write("push", branch="nein"), "origin has no such branch", "ls-remote")
    run(["git", "init", "--quiet", tmp_path / "empty"])
    refused(UsageError, lambda: world.write("here", project=tmp_path / "empty"), "nothing is committed yet")


# --- in the middle of something ---


def conflict(world):
    world.clone.git("checkout", "--quiet", "-b", "theirs")
    (world.clone.folder / "other.yaml").write_text("a: 2\n")
    world.clone.git("commit", "--quiet", "--all", "--message=Theirs")
    world.clone.git("checkout", "--quiet", "main")
    (world.clone.folder / "other.yaml").write_text("a: 3\n")
    world.clone.git("commit", "--quiet", "--all", "--message=Ours")


@pytest.mark.parametrize(("words", "branch"), [("merge", None), ("rebase", "main"), ("cherry-pick", None)])
def test_what_is_under_way_is_not_disturbed(world, words, branch):
    conflict(world)
    world.clone.git(words, "theirs", check=False)
    tip, status = world.clone.git("rev-parse", "main"), settled.status(world.clone)

    refused(UsageError, lambda: world.write("here", branch=branch), f"a {words} is under way", "--abort")
    if words == "rebase":
        refused(UsageError, lambda: world.write("here"), "a rebase is under way")

    assert (world.clone.git("rev-parse", "main"), settled.status(world.clone)) == (tip, status)
    world.write("push")


@pytest.mark.parametrize("name", ["index.lock", "refs/heads/main.lock", "HEAD.lock"])
def test_a_lock_that_was_left_is_named(world, name):
    content, tip = world.clone.read(), world.clone.git("rev-parse", "main")
    lock = world.clone.folder / ".git" / name
    lock.touch()

    error = refused(
        PushRefusedError, lambda: world.write("here"), str(lock), "fuser -v", f"rm {shlex.quote(str(lock))}"
    )

    assert error.exit_code == MachineError.exit_code
    assert world.clone.git("rev-parse", "main") == tip
    assert world.clone.read() == content
    lock.unlink()
    assert settled.status(world.clone) == ""
    world.write("here")
    assert written(world.clone.folder, content)


def test_files_that_only_look_changed_are_not_in_the_way(world):
    content = world.clone.read()
    os.utime(world.clone.folder / FILE, (1, 1))
    world.write("here")
    assert written(world.clone.folder, content)
    assert settled.status(world.clone) == ""


def test_a_file_in_the_place_of_a_new_one_is_not_overwritten(world):
    file = world.clone.folder / NEW
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    tip = world.clone.git("rev-parse", "main")

    refused(UsageError, lambda: world.write("here"), f"{NEW}: has changes that are not committed")

    assert file.read_text() == "mine"
    assert world.clone.git("rev-parse", "main") == tip
