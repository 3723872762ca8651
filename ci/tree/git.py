"""A git repository as a store of commits: read at any of them, added to without a work tree, pushed, never forced."""

import os
import re
import shlex
import tempfile
import urllib.parse
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ci.base import command, settings
from ci.base.errors import CIError, CommandError, MachineError, UsageError
from ci.base.masking import USERINFO
from ci.base.secret import Secret

SECONDS = 60.0
NETWORK_SECONDS = 300.0
HEAD = "HEAD"
"""In place of a branch: the one that the repository calls its own."""
REMOTE = "origin"
"""Whose branches are meant by default."""
AUTHOR = {"NAME": "ml-serving-ci", "EMAIL": "ml-serving-ci@users.noreply.github.com"}
"""Who commits where git knows no name for the user."""

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""The whole hash of a commit, which names it for good; a branch does not."""

HASH = re.compile(r"[0-9A-Fa-f]{7,}")
"""What Argo CD takes for a commit, whole or not, where no branch or tag has that name."""
HEADS, TAGS = "refs/heads/", "refs/tags/"

FILES = ("100644", "100755")
"""Git's modes of regular files."""
FOLDER = "040000"
"""Git's mode of a folder; a link or a submodule has another one."""

HEADER = 40
"""More characters than `cat-file --batch` writes after a hash: a kind and a size."""

SETTINGS = (
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    f"core.hooksPath={os.devnull}",
)
"""In place of what a person has chosen: texts are read here, not by that person, and no work of that person is done."""

OWNER = re.compile(r"dubious ownership in repository at '(.+)'")


class PushRefusedError(CIError):
    """The remote, or the branch, did not take the commit; servers word a lost race in many ways, so all are alike."""


@dataclass(frozen=True)
class Repository:
    """A repository on this machine, with or without a work tree.

    Attributes:
        folder: The work tree, or the bare repository.
        common: Git's own folder, the same for all work trees of the repository.
        secrets: Strings that no error may show.
        environment: Variables for every git command: an https remote's token travels here.
        prefix: The project's folder in it, "" for the top: paths of the tree are from there.
    """

    folder: Path
    common: Path
    secrets: tuple[str, ...]
    environment: Mapping[str, str]
    prefix: str = ""

    def at(self, path: str) -> str:
        """Return a path of the project as one from the top of the repository."""
        return str(PurePosixPath(self.prefix, path))

    async def run(
        self,
        *args: str | Path,
        stdin: str | bytes | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = SECONDS,
    ) -> command.Result:
        """Run one git command in the repository.

        Raises:
            CommandError: It failed.
        """
        return await command.run(
            ["git", "-C", self.folder, *(word for setting in SETTINGS for word in ("-c", setting)), *args],
            stdin=stdin,
            check=check,
            env={**self.environment, **(env or {})},
            timeout=timeout,
            secrets=self.secrets,
        )

    async def output(self, *args: str | Path) -> str:
        """Return what one git command prints, without the line's end."""
        return (await self.run(*args)).stdout.strip()

    async def commit_of(self, revision: str) -> str:
        """Return the commit that a branch, tag or hash names.

        Raises:
            UsageError: It names none.
        """
        found = await self.object_of(f"{revision}^{{commit}}")
        if found is None:
            if revision == "HEAD":
                raise UsageError(f"{self.folder}: nothing is committed yet", fix="git add --all, then git commit")
            raise UsageError(
                f"{revision}: no such revision in {self.folder}",
                fix="git fetch; in a shallow clone, git fetch --unshallow",
            )
        return found

    async def followed(self, revision: str, remote: str = REMOTE) -> str | None:
        """Return the commit that Argo CD gets for a revision: a branch is where the remote has it.

        Argo CD looks a name up among the remote's branches and tags, by its short name or its full one, and takes what
        else looks like the beginning of a hash for one (nativeGitClient.lsRemote in its util/git/client.go).

        Returns:
            The commit; None where there is no such revision here.

        Raises:
            UsageError: Git would read it, and Argo CD would not.
        """
        if COMMIT.fullmatch(revision):
            return await self.object_of(f"{revision}^{{commit}}")
        if revision.startswith(HEADS):
            names = [f"refs/remotes/{remote}/{revision.removeprefix(HEADS)}", revision]
        elif revision.startswith(TAGS):
            names = [revision]
        else:
            names = [f"{refs}{revision}" for refs in (f"refs/remotes/{remote}/", TAGS, HEADS)]
        valid = await self.run("check-ref-format", names[0], check=False)
        if valid.returncode == 0:
            for name in (*names, *([revision] if HASH.fullmatch(revision) else [])):
                if (commit := await self.object_of(f"{name}^{{commit}}")) is not None:
                    return commit
        if await self.object_of(f"{revision}^{{commit}}") is not None:
            raise UsageError(
                f"chart.revision {revision}: git reads it, and Argo CD does not",
                fix="A branch or a tag, with or without refs/heads/ or refs/tags/, or a commit.",
            )
        return None

    async def require_head(self, branch: str, remote: str = REMOTE) -> None:
        """Refuse HEAD in place of a branch where the remote is known to call another one its own.

        Raises:
            UsageError: It does, and Argo CD would take that one.
        """
        refs = f"refs/remotes/{remote}/"
        found = await self.run("symbolic-ref", "--quiet", f"{refs}{HEAD}", check=False)
        own = found.stdout.strip().removeprefix(refs)
        if own not in ("", branch):
            raise UsageError(
                f"chart.revision {HEAD}: is {own} to Argo CD, as {remote} has it, and not {branch}",
                fix=f"Write {branch}; where {remote} has another one by now: git remote set-head {remote} --auto",
            )

    async def who(self, commit: str) -> str:
        """Return a commit as a person is told of it: short hash, author, subject."""
        return await self.output("show", "--no-patch", "--format=%h by %an: %s", commit)

    async def message(self, commit: str) -> str:
        """Return a commit's message."""
        return await self.output("show", "--no-patch", "--format=%B", commit)

    async def is_shallow(self) -> bool:
        """Return whether the repository lacks the beginning of its history."""
        return await self.output("rev-parse", "--is-shallow-repository") == "true"

    async def object_of(self, name: str) -> str | None:
        """Return the object that a name such as COMMIT:PATH leads to, or None where it leads nowhere."""
        found = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        return found.stdout.strip().splitlines()[-1] if found.returncode == 0 else None

    async def objects_of(self, *names: str) -> list[str | None]:
        """Return what `object_of` does, for several names in one go."""
        found = await self.run("cat-file", "--batch-check=%(objectname)", stdin="".join(f"{name}\n" for name in names))
        lines = found.stdout.splitlines()
        return [None if line == f"{name} missing" else line for name, line in zip(names, lines, strict=True)]

    async def contents_of(self, *objects: str) -> list[bytes]:
        """Return what objects hold, byte for byte, in one go.

        Args:
            objects: Hashes of files' contents.

        Raises:
            UsageError: One of them is not there.
        """
        found = await self.run("cat-file", "--batch", stdin="".join(f"{each}\n" for each in objects))
        contents, rest = [], memoryview(found.raw)
        for each in objects:
            header, _, _ = bytes(rest[: len(each) + HEADER]).partition(b"\n")
            words = header.split()
            if len(words) != 3:  # "HASH missing"
                raise UsageError(f"{each}: no such object in {self.folder}", fix="git fetch --refetch")
            start, size = len(header) + 1, int(words[2])
            contents.append(bytes(rest[start : start + size]))
            rest = rest[start + size + 1 :]
        return contents

    async def has_uncommitted(self) -> bool:
        """Return whether files of the project that git knows are not as they were committed."""
        words = ("status", "--porcelain", "--untracked-files=no", "--", self.prefix or ".")
        return bool((await self.run(*words, check=False)).stdout)  # none in a bare repository

    async def identity(self) -> dict[str, str]:
        """Return the variables that name who commits, where git knows no name for the user."""
        known = await self.run("config", "user.email", check=False)
        if known.returncode == 0:
            return {}
        ours = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in AUTHOR.items()}
        return {name: value for name, value in ours.items() if not settings.variable(name)}

    async def commit(self, tree: str, parent: str, message: str) -> str:
        """Make a commit of a tree, signed where the person signs, and return it."""
        sign = await self.run("config", "--type=bool", "commit.gpgSign", check=False)
        words = ["commit-tree", tree, "-p", parent, *(["-S"] if sign.stdout.strip() == "true" else [])]
        return (await self.run(*words, stdin=message, env=await self.identity())).stdout.strip()

    async def fetch(self, remote: str, branch: str) -> str:
        """Return the tip of a remote's branch, its commits fetched; no ref of this repository changes.

        A shallow clone gets the whole history: what was there, and what a person took back, is read from it.

        Raises:
            MachineError: The remote does not answer, refuses, or has no such branch.
        """
        whole = ["--unshallow"] if await self.is_shallow() else []
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--refmap=", *whole)
        ref = f"refs/ml-serving-ci/{uuid.uuid4().hex}"  # others may fetch into this repository at the same time
        try:
            await self.run(*words, "--end-of-options", remote, f"+refs/heads/{branch}:{ref}", timeout=NETWORK_SECONDS)
            return await self.commit_of(ref)
        except CommandError as error:
            raise _unreachable(self, remote, error) from error
        finally:
            await self.run("update-ref", "-d", ref, check=False)

    async def complete(self, remote: str, branch: str) -> None:
        """Fetch what a shallow clone lacks of a branch's history; of any other clone nothing changes.

        Raises:
            MachineError: The remote does not answer, or refuses.
        """
        if await self.output("rev-parse", "--is-shallow-repository") != "true":
            return
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--unshallow")
        try:
            await self.run(*words, "--end-of-options", remote, f"{HEADS}{branch}", timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise _unreachable(self, remote, error) from error

    async def current_branch(self) -> str:
        """Return the branch that is checked out.

        Raises:
            UsageError: None is.
        """
        found = await self.run("symbolic-ref", "--quiet", "--short", "HEAD", check=False)
        if found.returncode != 0:
            raise UsageError(f"{self.folder} has no branch checked out", fix="Say which with --branch B.")
        return found.stdout.strip()

    async def default_branch(self, remote: str) -> str:
        """Return the branch that a remote calls its own.

        Raises:
            MachineError: It does not answer.
            UsageError: It names none.
        """
        listed = await self._ls_remote(remote, "--symref", "HEAD")
        found = re.match(r"ref: refs/heads/(\S+)\tHEAD", listed)
        if found is None:
            raise UsageError(f"--remote {remote}: names no default branch", fix="Say which with --branch B.")
        return found[1]

    async def _ls_remote(self, remote: str, *words: str) -> str:
        options = [word for word in words if word.startswith("--")]
        refs = [word for word in words if not word.startswith("--")]
        try:
            listed = await self.run("ls-remote", *options, "--end-of-options", remote, *refs, timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise _unreachable(self, remote, error) from error
        return listed.stdout

    async def remote_tips(self, remote: str, *branches: str) -> dict[str, str]:
        """Return the commits that a remote's branches are at, by name.

        Args:
            remote: Name or URL.
            branches: Names, or patterns; what the remote does not have is left out.
        """
        listed = await self._ls_remote(remote, *(f"{HEADS}{branch}" for branch in branches))
        found = (line.split("\t", 1) for line in listed.splitlines())
        return {ref.removeprefix(HEADS): commit for commit, ref in found if ref.startswith(HEADS)}

    async def push(self, remote: str, commit: str, branch: str, *, replaces: str | None = None) -> None:
        """Move a remote's branch forward to a commit.

        Args:
            remote: Name or URL.
            commit: The commit.
            branch: Name of the branch.
            replaces: For a branch of our own: the commit it is replaced at, "" where there is none yet; by default
                a branch is only ever moved forward.

        Raises:
            PushRefusedError: The remote did not take it.
        """
        lease = [] if replaces is None else [f"--force-with-lease=refs/heads/{branch}:{replaces}"]
        words = ("push", "--quiet", "--no-verify", *lease, "--end-of-options", remote)
        try:
            await self.run(*words, f"{commit}:refs/heads/{branch}", timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise PushRefusedError(
                f"{command.redacted(remote, self.secrets)} did not take the push to {branch}: {_said(error)}",
                detail=error.detail,
            ) from error


@dataclass(frozen=True)
class Snapshot:
    """The tree as one commit has it.

    Attributes:
        repository: Where the commit is.
        commit: The commit.
        branch: The branch whose tip it was.

    Paths are from the project's folder.
    """

    repository: Repository
    commit: str
    branch: str
    _folders: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _files: dict[str, bytes | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    async def entries(self, folder: str) -> dict[str, str]:
        """Return the names in a folder, each with its git mode; none where there is no such folder."""
        if folder not in self._folders:
            listed = await self.repository.run("ls-tree", "-z", self.commit, f"{self._place(folder)}/")
            lines = [line.partition("\t") for line in listed.stdout.split("\0") if line]
            self._folders[folder] = {PurePosixPath(path).name: words.split()[0] for words, _, path in lines}
        return self._folders[folder]

    async def read(self, path: str) -> bytes | None:
        """Return a file's content, byte for byte, or None where there is none.

        Raises:
            UsageError: The path leaves the tree, or is no regular file.
        """
        if path not in self._files:
            self._files[path] = await self._read(path)
        return self._files[path]

    async def _read(self, path: str) -> bytes | None:
        mode = await self._mode(path)
        if mode is None:
            return None
        if mode not in FILES:
            raise UsageError(f"{path}: a symbolic link or folder, not a file (git mode {mode})")
        return (await self.repository.run("cat-file", "blob", f"{self.commit}:{self._place(path)}")).raw

    async def _mode(self, path: str) -> str | None:
        pure = inside(path)
        return (await self.entries(str(pure.parent))).get(pure.name)

    def _place(self, path: str) -> PurePosixPath:
        return inside(self.repository.at(str(inside(path))))

    async def with_files(self, files: Mapping[str, bytes], message: str) -> str:
        """Make a commit on top of this one; no branch, work tree or index changes.

        Args:
            files: Path to new content.
            message: Subject, empty line, body.

        Returns:
            The new commit.
        """
        run = self.repository.run
        lines = []
        for path, content in files.items():
            blob = await run("hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"{await self._mode(path) or FILES[0]} {blob.stdout.strip()}\t{self._place(path)}\0")
        with tempfile.TemporaryDirectory() as work:
            index = {"GIT_INDEX_FILE": str(Path(work, "index"))}
            await run("read-tree", self.commit, env=index)
            await run("update-index", "-z", "--index-info", stdin="".join(lines), env=index)
            tree = (await run("write-tree", env=index)).stdout.strip()
        return await self.repository.commit(tree, self.commit, message)

    def follows(self, revision: str) -> bool:
        """Return whether a revision is wherever this tree will be."""
        return follows(revision, self.branch)

    async def resolve(self, revision: str) -> str:
        """Return the commit that a revision names; one that follows the branch means this snapshot.

        Raises:
            UsageError: It names none.
        """
        if self.follows(revision):
            return self.commit
        # the second says what is not there
        return await self.repository.followed(revision) or await self.repository.commit_of(revision)


def follows(revision: str, branch: str) -> bool:
    """Return whether a revision is wherever a branch will be: the branch's own name, short or full, or HEAD."""
    return revision in (branch, f"{HEADS}{branch}", HEAD)


async def opened(folder: Path, remote: str | None = None, token: Secret | None = None) -> Repository:
    """Return the repository that a project's folder is, or is in.

    Args:
        folder: A work tree or a bare repository.
        remote: Name or URL of the remote that will be asked: what its URL holds of credentials is kept secret.
        token: For that remote where it is an https one.

    Raises:
        UsageError: There is no repository, or no such remote.
    """
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}
    if not (settings.variable("GIT_SSH_COMMAND") or settings.variable("GIT_SSH")):
        environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    if not folder.is_dir():
        raise UsageError(f"--project {folder}: no such folder")
    bare = Repository(folder, folder, (), environment)
    found = await bare.run("rev-parse", "--git-common-dir", "--is-bare-repository", "--show-cdup", check=False)
    if found.returncode != 0:
        raise _not_opened(folder, found.stderr)
    common, is_bare, *up = found.stdout.splitlines()
    top = folder.resolve() if is_bare == "true" else Path(folder, *up).resolve()
    prefix = "" if is_bare == "true" else folder.resolve().relative_to(top).as_posix().removeprefix(".")
    common_folder = (folder / common).resolve()
    if remote is None:
        return Repository(top, common_folder, (), environment, prefix)
    url = await remote_url(bare, remote)
    secrets = [form for userinfo in USERINFO.findall(url) for form in _forms(userinfo)]
    scheme, _, rest = url.partition("://")
    if token is not None and scheme in ("http", "https"):
        secrets += token.forms
        host = rest.rpartition("@")[2] if "@" in rest.partition("/")[0] else rest
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{scheme}://{host.partition('/')[0]}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {token.basic}",
        }
    return Repository(top, common_folder, tuple(sorted(secrets, key=len, reverse=True)), environment, prefix)


async def remote_url(repository: Repository, remote: str) -> str:
    """Return a remote's URL.

    Raises:
        UsageError: There is no such remote.
    """
    if "://" in remote or "/" in remote:
        return remote
    found = await repository.run("remote", "get-url", "--push", "--end-of-options", remote, check=False)
    if found.returncode != 0:
        raise UsageError(f"--remote {remote}: no such remote", fix=f"git -C {repository.folder} remote --verbose")
    return found.stdout.strip()


def _forms(userinfo: str) -> Sequence[str]:
    user, _, password = urllib.parse.unquote(userinfo).partition(":")
    return Secret(password or user, user if password else "").forms


def inside(path: str) -> PurePosixPath:
    """Return a path of the tree.

    Raises:
        UsageError: It is absolute, leaves the tree, or has characters that no path of ours has.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or any(ord(char) < 32 for char in path):
        raise UsageError(f"{path!r}: not a path inside the tree")
    return pure


def _not_opened(folder: Path, printed: str) -> UsageError:
    """Return why git opens no repository in a folder, from what it printed."""
    if owned := OWNER.search(printed):
        trust = f"git config --global --add safe.directory {shlex.quote(owned[1])}"
        return UsageError(
            f"--project {folder}: it belongs to another user, so git refuses it until: {trust}", fix=trust
        )
    if "not a git repository" in printed:
        said, fix = "not a git repository", "--project DIR, in a clone of the tree that Argo CD watches"
    else:
        said, fix = printed.strip().partition("\n")[0], f"git -C {shlex.quote(str(folder))} rev-parse"
    return UsageError(f"--project {folder}: {said}", fix=fix)


def _unreachable(repository: Repository, remote: str, error: CommandError) -> MachineError:
    shown = command.redacted(remote, repository.secrets)
    return MachineError(
        f"{shown}: {_said(error)}", fix=f"git -C {repository.folder} ls-remote {shown}", detail=error.detail
    )


def _said(error: CommandError) -> str:
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("remote:", "error:", "fatal:", "!"))]
    return "; ".join(told or lines) or error.message
