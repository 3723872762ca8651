"""The caller's settings and environment change neither what is written nor where: on real remotes, by git itself."""

import os
import subprocess
import time

import pytest

from tests.harness import settled
from tests.harness.remote import FILE, run
from tests.harness.settled import ADDED, MESSAGE, NEW, WAYS

HOOKS = (
    "pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "pre-push", "reference-transaction",
    "post-checkout", "post-merge", "post-index-change", "pre-auto-gc", "post-rewrite",
)  # fmt: skip

ENVIRONMENT = {
    "another repository": {
        "GIT_DIR": "{other}/.git",
        "GIT_COMMON_DIR": "{other}/.git",
        "GIT_WORK_TREE": "{other}",
        "GIT_INDEX_FILE": "{other}/.git/index",
        "GIT_OBJECT_DIRECTORY": "{other}/.git/objects",
        "GIT_PREFIX": "gitops/",
    },
    "in a hook": {
        "GIT_DIR": ".",
        "GIT_QUARANTINE_PATH": "{other}/.git/objects",
        "GIT_OBJECT_DIRECTORY": "{other}/.git/objects",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nowhere",
        "GIT_PUSH_OPTION_COUNT": "1",
        "GIT_PUSH_OPTION_0": "ci.skip",
        "GIT_EXEC_PATH": "/nowhere",
    },
    "what is there": {
        "GIT_NAMESPACE": "elsewhere",
        "GIT_CEILING_DIRECTORIES": "{root}",
        "GIT_REPLACE_REF_BASE": "refs/theirs",
        "GIT_GRAFT_FILE": "{root}/grafts",
        "GIT_SHALLOW_FILE": "{root}/shallow",
        "GIT_ATTR_SOURCE": "nothing",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_NOGLOB_PATHSPECS": "1",
        "GIT_ICASE_PATHSPECS": "1",
        "GIT_LITERAL_PATHSPECS": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    },
    "settings": {
        "GIT_CONFIG": "/nowhere",
        "GIT_CONFIG_GLOBAL": "/nowhere",
        "GIT_CONFIG_SYSTEM": "/nowhere",
        "GIT_CONFIG_PARAMETERS": "'core.bare'='true'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "remote.origin.url",
        "GIT_CONFIG_VALUE_0": "{other}",
        "GIT_ALLOW_PROTOCOL": "https",
        "GIT_PROTOCOL_FROM_USER": "0",
    },
    "texts": {
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "fr_FR.UTF-8",
        "LANGUAGE": "ja",
        "GIT_TRACE": "1",
        "GIT_TRACE2": "1",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_DIFF_OPTS": "-u0",
        "GIT_EDITOR": "false",
        "GIT_PAGER": "false",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z",
    },
}
"""Variables of the caller: {other} is another clone, {root} a folder."""

SETTINGS = {
    "what is pushed": {
        "push.followTags": "true",
        "push.default": "matching",
        "push.gpgSign": "true",
        "push.recurseSubmodules": "only",
        "push.pushOption": "ci.skip",
        "push.useForceIfIncludes": "true",
        "submodule.recurse": "true",
    },
    "where it is pushed": {
        "remote.origin.push": "refs/heads/*:refs/heads/theirs/*",
        "remote.origin.mirror": "true",
        "remote.pushDefault": "nowhere",
        "branch.main.pushRemote": "nowhere",
        "branch.main.remote": "nowhere",
        "receive.denyCurrentBranch": "refuse",
    },
    "what is fetched": {
        "fetch.prune": "true",
        "fetch.pruneTags": "true",
        "fetch.recurseSubmodules": "true",
        "fetch.writeCommitGraph": "true",
        "fetch.all": "true",
        "remote.origin.prune": "true",
        "remote.origin.pruneTags": "true",
        "remote.origin.tagOpt": "--tags",
        "remote.origin.fetch": "+refs/tags/*:refs/tags/*",
        "transfer.fsckObjects": "true",
        "protocol.version": "0",
        "credential.helper": "!false",
    },
    "how files are": {
        "core.autocrlf": "true",
        "core.safecrlf": "true",
        "core.fileMode": "false",
        "core.symlinks": "false",
        "core.ignoreCase": "true",
        "core.precomposeUnicode": "true",
        "core.excludesFile": "{root}/all",
        "core.sharedRepository": "group",
        "core.bigFileThreshold": "1",
    },
    "other line ends": {"core.autocrlf": "input", "core.eol": "crlf", "core.attributesFile": "{root}/attributes"},
    "the index": {
        "feature.manyFiles": "true",
        "core.untrackedCache": "true",
        "core.splitIndex": "true",
        "core.fsmonitor": "{root}/program",
        "index.sparse": "true",
        "index.version": "4",
        "core.logAllRefUpdates": "false",
        "gc.auto": "1",
        "maintenance.auto": "true",
    },
    "texts": {
        "color.ui": "always",
        "color.diff": "always",
        "column.ui": "always",
        "core.abbrev": "4",
        "core.quotePath": "true",
        "core.commentChar": "T",
        "core.editor": "false",
        "core.pager": "false",
        "diff.external": "false",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.renames": "copies",
        "diff.context": "0",
        "diff.suppressBlankEmpty": "true",
        "diff.orderFile": "/nowhere",
        "diff.theirs.command": "false",
        "diff.theirs.textconv": "false",
        "format.pretty": "oneline",
        "log.showSignature": "true",
        "log.follow": "true",
        "trailer.separators": "=",
        "i18n.logOutputEncoding": "ISO-8859-1",
    },
    "commits": {
        "i18n.commitEncoding": "ISO-8859-1",
        "commit.template": "/nowhere",
        "commit.cleanup": "strip",
        "commit.verbose": "true",
        "user.useConfigOnly": "true",
        "user.signingKey": "nobody",
        "alias.push": "!false",
        "alias.commit-tree": "!false",
    },
}
"""A person's settings."""


@pytest.fixture
def world(tmp_path, monkeypatch):
    found = settled.made(tmp_path)
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(found.home))
    (tmp_path / "all").write_text("*\n")
    (tmp_path / "attributes").write_text("* text=auto diff=theirs\n")
    marked(tmp_path / "program", found.home / "ran")
    found.clone.git("tag", "--annotate", "--message=Private", "v9.9.9")
    return found


def marked(program, mark):
    """Make a program that leaves a mark, and fails."""
    program.write_text(f"#!/bin/sh\necho $0 >> {mark}\nexit 1\n")
    program.chmod(0o755)


def held(world, way, capfd, variables=None):
    """Write a change, and hold what came of it against what was there."""
    content = world.clone.read()
    before, theirs = settled.everything(world.clone.folder), settled.everything(world.remote.folder)
    tip = world.remote.git("rev-parse", "main")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (variables or {}).items():
            environment.setenv(name, value)
        world.write(way)
    assert not (world.home / "ran").exists(), "a program of the person's was started"
    printed = capfd.readouterr().out
    now, there = settled.everything(world.clone.folder), settled.everything(world.remote.folder)
    if way == "dry-run":
        assert (now, there) == (before, theirs)
        applied(world, printed, content)
    elif way == "here":
        assert theirs == there
        assert but(now, "refs/heads/main") == but(before, "refs/heads/main")
        committed(world.clone, tip, content)
    else:
        assert but(there, "refs/heads/main") == but(theirs, "refs/heads/main")
        assert but(now, "refs/remotes/origin/main") == but(before, "refs/remotes/origin/main")
        committed(world.remote, tip, content)
    assert settled.status(world.clone) == ""


def but(refs, name):
    return {line for line in refs if not line.startswith(f"{name} ")}


def committed(where, tip, content):
    folder = where.folder
    assert run(["git", "rev-parse", "main^"], cwd=folder).stdout.strip() == tip
    changed = run(["git", "diff-tree", "-r", "-z", "--name-only", "main^", "main"], cwd=folder).stdout
    assert set(changed.split("\0")) == {FILE, NEW, ""}
    for path, expected in ((FILE, settled.after(content)), (NEW, ADDED)):
        assert subprocess.check_output(["git", "-C", folder, "cat-file", "blob", f"main:{path}"]) == expected
    assert run(["git", "cat-file", "commit", "main"], cwd=folder).stdout.partition("\n\n")[2] == MESSAGE
    assert int(run(["git", "log", "-1", "--format=%ct", "main"], cwd=folder).stdout) > time.time() - 600


def applied(world, printed, content):
    fresh = world.remote.clone("fresh")
    run(["git", "apply", "-"], cwd=fresh.folder, stdin=printed)
    assert fresh.read() == settled.after(content)
    assert fresh.read(NEW) == ADDED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("group", ENVIRONMENT)
def test_the_callers_variables_change_nothing(world, tmp_path, monkeypatch, capfd, group, way):
    other = world.remote.clone("other")
    before = settled.everything(other.folder)
    variables = {
        name: value.format(other=other.folder, root=tmp_path, clone=world.clone.folder)
        for name, value in ENVIRONMENT[group].items()
    }

    held(world, way, capfd, variables)

    assert settled.everything(other.folder) == before
    assert other.git("status", "--porcelain") == ""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["--global", "--local"])
@pytest.mark.parametrize("group", SETTINGS)
def test_a_persons_settings_change_nothing(world, tmp_path, capfd, group, where, way):
    for name, value in SETTINGS[group].items():
        world.configure(name, value.format(root=tmp_path), where)

    held(world, way, capfd)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["of the clone", "elsewhere"])
def test_no_hook_takes_part(world, tmp_path, capfd, where, way):
    folder = world.clone.folder / ".git" / "hooks" if where == "of the clone" else tmp_path / "hooks"
    folder.mkdir(exist_ok=True)
    for name in HOOKS:
        marked(folder / name, world.home / "ran")
    if where == "elsewhere":
        world.configure("core.hooksPath", str(folder), "--local")

    held(world, way, capfd)
