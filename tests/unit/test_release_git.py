"""A repository as a person's own git settings, and the machine's owner of it, leave it."""

import os
import re
import subprocess

import anyio
import anyio.lowlevel
import pytest

from ci.base.errors import UsageError
from ci.tree import git
from ci.tree.writeback import LocalBranch


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one commit, and a home folder of the test's own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    commit(folder, "One", environment={})
    return folder


def commit(folder, message, environment):
    person = ["-c", "user.name=Jané", "-c", "user.email=jane@example.com"]
    argv = ["git", "-C", folder, *person, "commit", "--quiet", "--allow-empty", f"--message={message}"]
    subprocess.run(argv, check=True, env={**os.environ, **environment})


def output(folder, *words):
    return subprocess.check_output(["git", "-C", folder, *words], text=True)


def opened(folder):
    return anyio.run(git.opened, folder)


def settings(text):
    with open(os.path.expanduser("~/.gitconfig"), "w") as file:  # noqa: PTH111, PTH123
        file.write(text)


# --- why there is none ---


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_repository_of_another_user_is_told_as_such_with_the_command_that_trusts_it(repository):
    os.chown(repository, 4242, 4242)
    with pytest.raises(UsageError, match="it belongs to another user") as refused:
        opened(repository)
    assert refused.value.fix == f"git config --global --add safe.directory {repository}"

    subprocess.run(["sh", "-c", refused.value.fix], check=True)
    assert anyio.run(opened(repository).commit_of, "HEAD")


def test_a_persons_settings_that_git_cannot_read_are_not_told_as_a_missing_repository(repository):
    settings("[user\n")
    with pytest.raises(UsageError, match=r"bad config line 1 in file .*/\.gitconfig"):
        opened(repository)


def test_a_folder_without_a_repository_is_told_as_such(repository, tmp_path):
    with pytest.raises(UsageError, match="not a git repository"):
        opened(tmp_path)


# --- what a person has chosen ---


def test_messages_are_read_and_written_whatever_a_person_has_chosen_for_them(repository):
    signature = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n"
    plain = output(repository, "cat-file", "commit", "HEAD").replace("\n\n", f"\n{signature}\n", 1)
    signed = subprocess.check_output(
        ["git", "-C", repository, "hash-object", "-t", "commit", "-w", "--stdin"], input=plain.encode(), text=False
    )
    settings(
        "[log]\nshowSignature = true\n[i18n]\ncommitEncoding = ISO-8859-1\nlogOutputEncoding = ISO-8859-1\n"
        "[color]\nui = always\n"
    )
    ours = opened(repository)
    tip = signed.decode().strip()

    assert anyio.run(ours.message, tip).strip() == "One"
    assert anyio.run(ours.who, tip).endswith("by Jané: One")

    made = anyio.run(git.Snapshot(ours, tip, "main").with_files, {"a": b"x"}, "Zwölf\n")
    assert "encoding" not in output(repository, "cat-file", "commit", made)
    assert anyio.run(ours.message, made).strip() == "Zwölf"


def test_no_hook_of_a_persons_takes_part(repository, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-push", "reference-transaction"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n")
        (hooks / name).chmod(0o755)
    settings(f"[core]\nhooksPath = {hooks}\n")
    ours = opened(repository)
    branch = anyio.run(ours.current_branch)
    tip = anyio.run(ours.commit_of, "HEAD")
    new = anyio.run(git.Snapshot(ours, tip, branch).with_files, {"a": b"x"}, "Two\n")

    anyio.run(LocalBranch(ours, branch).advance, tip, new, {"a": b"x"})

    assert (repository / "a").read_bytes() == b"x"
    assert anyio.run(ours.commit_of, "HEAD") == new


@pytest.mark.parametrize("role", ["AUTHOR", "COMMITTER"])
def test_whom_the_environment_names_is_kept_and_the_other_is_named_too(repository, monkeypatch, role):
    for what, value in (("NAME", "Jane"), ("EMAIL", "jane@example.com")):
        monkeypatch.setenv(f"GIT_{role}_{what}", value)
    ours = opened(repository)

    made = anyio.run(git.Snapshot(ours, anyio.run(ours.commit_of, "HEAD"), "main").with_files, {"a": b"x"}, "Two\n")

    named = dict(
        zip(("AUTHOR", "COMMITTER"), output(repository, "show", "-s", "--format=%an%n%cn", made).split(), strict=True)
    )
    other = "COMMITTER" if role == "AUTHOR" else "AUTHOR"
    assert named == {role: "Jane", other: git.AUTHOR["NAME"]}


# --- revisions ---


@pytest.fixture
def tips(repository):
    """The commits of a branch that the remote has otherwise, and of a tag and a branch of one name."""
    for ref in ("refs/heads/next", "refs/remotes/origin/next", "refs/tags/v1", "refs/heads/v1", "refs/tags/v2"):
        commit(repository, ref, environment={})
        output(repository, "update-ref", ref, "HEAD")
    output(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/next")
    return lambda ref: output(repository, "rev-parse", ref).strip()


@pytest.mark.parametrize(
    ("revision", "ref"),
    [
        ("next", "refs/remotes/origin/next"),
        ("refs/heads/next", "refs/remotes/origin/next"),
        ("refs/heads/v1", "refs/heads/v1"),
        ("refs/tags/v1", "refs/tags/v1"),
        ("v2", "refs/tags/v2"),
    ],
)
def test_a_name_is_read_as_argo_cd_reads_it_short_or_full(repository, tips, revision, ref):
    assert anyio.run(opened(repository).followed, revision) == tips(ref)


def test_a_commit_may_be_named_by_the_beginning_of_its_hash(repository, tips):
    found = tips("refs/tags/v2")
    assert {anyio.run(opened(repository).followed, each) for each in (found, found[:7])} == {found}
    assert anyio.run(opened(repository).followed, "0" * 40) is None


@pytest.mark.parametrize(
    "revision", ["next~1", "v2^", "@", "origin/next", "refs/remotes/origin/next", "heads/next", "v2@{0}"]
)
def test_what_git_alone_reads_is_refused_by_name(repository, tips, revision):
    if revision == "v2@{0}":
        output(repository, "-c", "core.logAllRefUpdates=always", "update-ref", "refs/tags/v2", "HEAD~1")
    with pytest.raises(UsageError, match=f"chart.revision {re.escape(revision)}: git reads it, and Argo CD does not"):
        anyio.run(opened(repository).followed, revision)


def test_a_branch_by_its_full_name_and_head_are_the_branch():
    assert all(git.follows(each, "next") for each in ("next", "refs/heads/next", "HEAD"))
    assert not any(git.follows(each, "next") for each in ("refs/tags/next", "heads/next", "refs/heads/nex", ""))


def test_head_is_refused_where_the_remote_calls_another_branch_its_own(repository, tips):
    ours = opened(repository)
    anyio.run(ours.require_head, "next")
    with pytest.raises(UsageError, match="HEAD: is next to Argo CD, as origin has it, and not trunk"):
        anyio.run(ours.require_head, "trunk")
    output(repository, "symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    anyio.run(ours.require_head, "trunk")


# --- what is asked of it ---


def test_contents_are_told_apart_whatever_they_are_and_files_are_called(repository):
    folder = "模型" * 40
    contents = {"empty": b"", "lines": b"one\n\ntwo missing\n", "binary": b"\0\xff\n"}
    (repository / folder).mkdir()
    for name, content in contents.items():
        (repository / folder / name).write_bytes(content)
    output(repository, "add", "--all")
    commit(repository, "Contents", environment={})
    asked = [f"HEAD:{folder}/{name}" for name in ("none", "empty", "none", "lines", "binary", "none")]

    async def found():
        return await (await git.opened(repository)).found(*asked)

    assert anyio.run(found) == [None, b"", None, *list(contents.values())[1:], None]


def test_a_fetch_that_is_cancelled_leaves_no_ref(repository, monkeypatch):
    async def fetched():
        opened = await git.opened(repository)
        with anyio.CancelScope() as scope:

            async def cancelled(*_):
                scope.cancel()
                await anyio.lowlevel.checkpoint()

            monkeypatch.setattr(git.Repository, "commit_of", cancelled)
            await opened.fetch(str(repository), await opened.current_branch())
        assert scope.cancelled_caught

    anyio.run(fetched)
    assert output(repository, "for-each-ref", "refs/ml-serving-ci") == ""
