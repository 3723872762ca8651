"""A git repository as a store of commits: read at any of them, added to without a work tree, pushed, never forced."""

import os
import posixpath
import re
import shlex
import tempfile
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import anyio

from ci.base import command, settings
from ci.base.errors import CIError, CommandError, MachineError, UsageError
from ci.base.masking import USERINFO
from ci.base.progress import note
from ci.base.secret import Secret
from ci.tree.listing import FILES, FOLDER, Entry, Listing

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
HEADS, TAGS, REMOTES = "refs/heads/", "refs/tags/", "refs/remotes/"

PATCH = (
    "diff-tree", "-p", "--text", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
    "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""Prints the difference of two trees as `git apply` takes it, whatever a person or an attribute has chosen."""

SETTINGS = (
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    "log.follow=false",
    "trailer.separators=:",
    "core.commentChar=#",
    "core.quotePath=false",
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "push.pushOption=",
)
"""In place of what a person has chosen: texts are read here, not by that person, and no work of that person is done.

What says from where, as whom and by which programs (remotes, identity, signing, ssh, proxies, helpers of credentials)
stays the person's.
"""
AS_COMMITTED = tuple(
    word
    for setting in ("core.autocrlf=false", "core.eol=lf", f"core.attributesFile={os.devnull}")
    for word in ("-c", setting)
)
"""For a command that writes files which are not the person's: as Argo CD's own checkout has them."""
ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # `git replace` is of one clone: Argo CD has another
    "LC_ALL": "C",
}
"""Variables for every git command, beside the few of the caller's that `programs` hands on."""
QUIETLY = ("--quiet", "--no-recurse-submodules")
FETCH = (
    "--no-tags", "--no-prune", "--no-write-fetch-head", "--no-write-commit-graph", "--no-auto-maintenance", "--refmap=",
)  # fmt: skip
"""Fetch commits, and nothing else, whatever a person has chosen."""
PUSH = ("--no-verify", "--no-follow-tags", "--no-signed")
"""Push one branch, and nothing else, whatever a person has chosen."""
TOKEN_USER = f"{settings.TOKEN}_USER"
HELPER = (
    f"""!f() {{ test "$1" = get && printf 'username=%s\\npassword=%s\\n' "${TOKEN_USER}" "${settings.TOKEN}"; }}; f"""
)
"""Gives git the token for one host: a header would go along to where that host, or a person's insteadOf, leads on."""
UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}
"""What git has in its folder while a person is in the middle of something."""

REMOTE_URL = re.compile(r"(?P<remote>[^\t]+)\t(?P<url>.*) \((?P<way>fetch|push)\)(?: \[.*\])?")
"""What `remote --verbose` prints of each; of a partial clone's, its filter too."""
OWNER = re.compile(r"dubious ownership in repository at '(.+)'", re.DOTALL)
LOCK = re.compile(r"^(?!remote:).*Unable to create '(.+\.lock)': File exists", re.MULTILINE)
"""Of this machine's: a server's is the server's to look at."""
NO_BRANCH = "couldn't find remote ref"
LISTINGS = 16
"""How many are kept: one of a tree of thousands takes a megabyte."""
_listings: dict[tuple[Path, str], Listing] = {}
"""What `Repository.listing` found, by repository and commit or tree: it stays what it is."""


class PushRefusedError(CIError):
    """The remote, or the branch, did not take the commit; servers word a lost race in many ways, so all are alike."""


class LockedError(MachineError):
    """Another git process works in the repository, or one that ended has left its lock behind."""


@dataclass(frozen=True)
class Repository:
    """A repository on this machine, with or without a work tree.

    Attributes:
        folder: The work tree, or the bare repository.
        common: Git's own folder, the same for all work trees of the repository.
        secrets: Strings that no error may show.
        environment: Variables for every git command: an https remote's token travels here.
        prefix: The project's folder in it, "" for the top: paths of the tree are from there.
        bare: Whether it has no work tree.
        remote: Name or URL of the remote that is asked as well; "" where none is.
    """

    folder: Path
    common: Path
    secrets: tuple[str, ...]
    environment: Mapping[str, str]
    prefix: str = ""
    bare: bool = False
    remote: str = ""

    def at(self, path: str) -> str:
        """Return a path from the project's folder, in it or not, as one from the top of the repository."""
        return posixpath.normpath(posixpath.join(self.prefix, path))

    def own(self, path: str) -> str:
        """Return a path from the top of the repository as one from the project's folder: `at` is the other way."""
        if not self.prefix:
            return path
        start = f"{self.prefix}/"
        return path.removeprefix(start) if path.startswith(start) else posixpath.relpath(path, self.prefix)

    def apart(self, folder: Path) -> "Repository":
        """Return this repository with another folder for the objects that are written: nothing in it changes.

        Args:
            folder: It is there, and stays as long as the objects are asked for.
        """
        objects = str(self.common / "objects").replace("\\", "\\\\").replace('"', '\\"')
        apart = {"GIT_OBJECT_DIRECTORY": str(folder), "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{objects}"'}
        return replace(self, environment={**self.environment, **apart})

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
            LockedError: It failed for another's lock.
        """
        try:
            return await command.run(
                ["git", "-C", self.folder, *(word for setting in SETTINGS for word in ("-c", setting)), *args],
                stdin=stdin,
                check=check,
                env={**self.environment, **(env or {})},
                timeout=timeout,
                secrets=self.secrets,
            )
        except CommandError as error:
            if (lock := LOCK.search(error.stderr)) is None:
                raise
            file = shlex.quote(lock[1])
            raise LockedError(
                f"{lock[1]}: another git process holds this lock, or one that was killed has left it",
                fix=f"fuser -v {file}  # names the process that has it; where there is none: rm {file}",
                detail=error.detail,
            ) from error

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
            names = [f"{REMOTES}{remote}/{revision.removeprefix(HEADS)}", revision]
        elif revision.startswith(TAGS):
            names = [revision]
        else:
            names = [f"{refs}{revision}" for refs in (f"{REMOTES}{remote}/", TAGS, HEADS)]
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
        refs = f"{REMOTES}{remote}/"
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

    @property
    def shallow(self) -> bool:
        """Whether the repository lacks the beginning of its history."""
        return (self.common / "shallow").exists()

    async def object_of(self, name: str) -> str | None:
        """Return the object that a name such as COMMIT:PATH leads to, or None where it leads nowhere."""
        found = await self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        return found.stdout.strip().splitlines()[-1] if found.returncode == 0 else None

    async def objects_of(self, *names: str) -> list[str | None]:
        """Return what `object_of` does, for several names in one go."""
        found = await self.run("cat-file", "--batch-check=%(objectname)", stdin="".join(f"{name}\n" for name in names))
        lines = found.stdout.splitlines()
        return [None if line == f"{name} missing" else line for name, line in zip(names, lines, strict=True)]

    async def listing(self, revision: str) -> Listing:
        """Return all that a revision has.

        Args:
            revision: Hash of a commit, or of a whole tree.
        """
        key = self.folder, revision
        if (known := _listings.get(key)) is not None:
            return known
        printed = await self.run("ls-tree", "-r", "-t", "-z", "--full-tree", revision)
        found = Listing(printed.raw.decode(errors="surrogateescape"))
        if COMMIT.fullmatch(revision):
            while len(_listings) >= LISTINGS:
                del _listings[next(iter(_listings))]
            _listings[key] = found
        return found

    async def contents_of(self, *objects: str) -> list[bytes]:
        """Return what objects hold, byte for byte, in one go.

        Args:
            objects: Hashes of files' contents.

        Raises:
            UsageError: One of them is not there.
        """
        contents = []
        for each, content in zip(objects, await self.found(*objects), strict=True):
            if content is None:
                raise UsageError(f"{each}: no such object in {self.folder}", fix="git fetch --refetch")
            contents.append(content)
        return contents

    async def found(self, *names: str) -> list[bytes | None]:
        """Return what objects hold, byte for byte, in one go; None for one that is not there.

        Args:
            names: Of objects, such as COMMIT:PATH.
        """
        printed = (await self.run("cat-file", "--batch", stdin="".join(f"{name}\n" for name in names))).raw
        contents: list[bytes | None] = []
        start = 0
        for _ in names:
            end = printed.index(b"\n", start)
            said = printed[start:end].rpartition(b" ")[2]  # the size, or "missing"
            start = end + 1
            if not said.isdigit():
                contents.append(None)
                continue
            contents.append(printed[start : start + int(said)])
            start += int(said) + 1
        return contents

    async def written(self, kind: str, contents: Iterable[bytes]) -> list[str]:
        """Write objects, in one go, and return git's names for them.

        Args:
            kind: "blob" or "tree".
            contents: What git is to have of each, byte for byte.
        """
        with tempfile.TemporaryDirectory() as work:
            files = []
            for number, content in enumerate(contents):
                files.append(Path(work, str(number)))
                files[-1].write_bytes(content)
            # literally: what stays of a tree stays as it is, also what git would not write today
            words = ("hash-object", "-t", kind, "-w", "--literally", "--no-filters", "--stdin-paths")
            return (await self.run(*words, stdin="".join(f"{file}\n" for file in files))).stdout.split()

    async def has_uncommitted(self) -> bool:
        """Return whether files of the project that git knows are not as they were committed."""
        words = ("status", "--porcelain", "--untracked-files=no", "--", self.prefix or ".")
        return bool((await self.run(*words, check=False)).stdout)  # none in a bare repository

    async def files_on_disk(self) -> list[str]:
        """Return the files of the whole work tree, but those that git is to ignore, by their paths from the top."""
        listed = await self.run("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return listed.raw.decode(errors="surrogateescape").split("\0")[:-1]

    async def configured(self, pattern: str) -> list[tuple[str, str]]:
        """Return settings in effect, the stronger ones later.

        Args:
            pattern: Regular expression of their names, which git gives with section and key in lower case.
        """
        found = await self.run("config", "--null", "--get-regexp", pattern, check=False)
        return [(name, value) for name, _, value in (each.partition("\n") for each in found.stdout.split("\0")) if name]

    async def under_way(self) -> str | None:
        """Return what a person is in the middle of in this work tree, such as "merge"; None where it is nothing."""
        words = [word for name in UNDER_WAY for word in ("--git-path", name)]
        places = (await self.output("rev-parse", *words)).splitlines()
        return next(
            (what for what, place in zip(UNDER_WAY.values(), places, strict=False) if (self.folder / place).exists()),
            None,
        )

    async def head(self) -> str | None:
        """Return the full name of the branch that is checked out, None where none is."""
        found = await self.run("symbolic-ref", "--quiet", HEAD, check=False)
        return found.stdout.strip() or None

    async def checked_out_at(self, branch: str) -> Path | None:
        """Return another work tree that has a branch checked out, None where there is none."""
        found = await self.output("for-each-ref", "--format=%(worktreepath)", f"{HEADS}{branch}")
        place = Path(found).resolve() if found else self.folder
        if not place.is_dir():  # deleted, and not pruned yet
            return None
        if place == self.common:  # of a bare repository that is its HEAD's, which has no files
            bare = await self.run(f"--git-dir={place}", "rev-parse", "--is-bare-repository")
            return None if bare.stdout.strip() == "true" or self.bare else place
        return None if place == self.folder else place

    async def commit(self, tree: str, parent: str, message: str) -> str:
        """Make a commit of a tree, signed where the person signs, and return it.

        Raises:
            MachineError: It is to be signed, and cannot be.
        """
        known = dict(await self.configured(r"^(commit\.gpgsign|(user|author|committer)\.(name|email))$"))
        sign = ["-S"] if "commit.gpgsign" in known and await self._says_yes("commit.gpgSign") else []
        words = ["commit-tree", tree, "-p", parent, *sign]
        try:
            return (await self.run(*words, stdin=message, env=_identity(known))).stdout.strip()
        except CommandError as error:
            if not sign:
                raise
            unsigned = f"git -C {shlex.quote(str(self.folder))} config commit.gpgSign false"
            raise MachineError(
                f"commit.gpgSign is set, and signing failed: {told(error)}",
                fix=f"Try git commit -S --allow-empty there; or, without signatures: {unsigned}",
                detail=error.detail,
            ) from error

    async def _says_yes(self, setting: str) -> bool:
        """Return whether a setting says yes, in one of git's words for it."""
        return (await self.run("config", "--type=bool", setting, check=False)).stdout.strip() == "true"

    async def fetch(self, remote: str, branch: str) -> str:
        """Return the tip of a remote's branch, its commits fetched; no ref of this repository changes.

        A shallow clone gets the rest of the history with it, which what looks back goes through.

        Raises:
            MachineError: The remote does not answer, or refuses.
            UsageError: It has no such branch.
        """
        try:
            return await self._fetch(remote, f"{HEADS}{branch}")
        except CommandError as error:
            if NO_BRANCH in error.stderr:
                shown = command.redacted(remote, self.secrets)
                raise UsageError(
                    f"--branch {branch}: {shown} has no such branch",
                    fix=f"git -C {shlex.quote(str(self.folder))} ls-remote --heads {shown}",
                ) from error
            raise _unreachable(self, remote, error) from error

    async def _fetch(self, remote: str, source: str) -> str:
        """Return the commit that a ref of a remote leads to, fetched."""
        ref = f"refs/ml-serving-ci/{uuid.uuid4().hex}"  # others may fetch into this repository at the same time
        whole = ["--unshallow"] if self.shallow else []
        try:
            words = ("fetch", *QUIETLY, *FETCH, *whole, "--end-of-options", remote, f"+{source}:{ref}")
            await self.run(*words, timeout=NETWORK_SECONDS)
            return await self.commit_of(ref)
        finally:
            with anyio.CancelScope(shield=True):
                await self.run("update-ref", "-d", ref, check=False)

    async def complete(self, remote: str, branch: str) -> None:
        """Fetch what a shallow clone lacks of a branch's history; of any other clone nothing changes.

        Raises:
            MachineError: The remote does not answer, or refuses.
        """
        if not self.shallow:
            return
        words = ("fetch", *QUIETLY, *FETCH, "--unshallow", "--end-of-options", remote, f"{HEADS}{branch}")
        try:
            await self.run(*words, timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise _unreachable(self, remote, error) from error

    async def asked(self, name: str) -> str | None:
        """Return the commit of the remote's branch or tag of a name, short or full, fetched; None where there is none.

        Raises:
            MachineError: The remote does not answer, or refuses.
        """
        names = [name] if name.startswith((HEADS, TAGS)) else [f"{HEADS}{name}", f"{TAGS}{name}"]
        there = await self._ls_remote(self.remote, *names)
        found = next((each for each in names if each in there), None)
        if found is None:
            return None
        try:
            return await self._fetch(self.remote, found)
        except CommandError as error:
            raise _unreachable(self, self.remote, error) from error

    async def current_branch(self) -> str:
        """Return the branch that is checked out.

        Raises:
            UsageError: None is.
        """
        head = await self.head()
        if head is None:
            what = await self.under_way()
            why = f": a {what} is under way" if what else ""
            raise UsageError(f"{self.folder} has no branch checked out{why}", fix="Say which with --branch B.")
        return head.removeprefix(HEADS)

    async def default_branch(self, remote: str) -> str:
        """Return the branch that a remote calls its own.

        Raises:
            MachineError: It does not answer.
            UsageError: It names none.
        """
        own = (await self._ls_remote(remote, HEAD, options=("--symref",))).get(HEAD, "")
        if not own.startswith(f"ref: {HEADS}"):
            raise UsageError(f"--remote {remote}: names no default branch", fix="Say which with --branch B.")
        return own.removeprefix(f"ref: {HEADS}")

    async def _ls_remote(self, remote: str, *names: str, options: Sequence[str] = ()) -> dict[str, str]:
        """Return what a remote has under names of refs: git itself takes them for ends of names."""
        found: dict[str, str] = {}
        for name, value in await self._listed(remote, *names, options=options):
            if name in names:
                found.setdefault(name, value)  # where a ref is symbolic, that is told first
        return found

    async def _listed(self, remote: str, *patterns: str, options: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return each ref of a remote that patterns match, with what it leads to."""
        words = ("ls-remote", *options, "--end-of-options", remote, *patterns)
        try:
            listed = await self.run(*words, timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise _unreachable(self, remote, error) from error
        return [(name, value) for value, _, name in (line.partition("\t") for line in listed.stdout.splitlines())]

    async def remote_tips(self, remote: str, *branches: str) -> dict[str, str]:
        """Return the commits that a remote's branches are at, by name.

        Args:
            remote: Name or URL.
            branches: Names, or patterns; what the remote does not have is left out.
        """
        listed = await self._listed(remote, *(f"{HEADS}{branch}" for branch in branches))
        return {name.removeprefix(HEADS): commit for name, commit in listed if name.startswith(HEADS)}

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
        lease = [] if replaces is None else [f"--force-with-lease={HEADS}{branch}:{replaces}"]
        words = ("push", *QUIETLY, *PUSH, *lease, "--end-of-options", remote)
        try:
            await self.run(*words, f"{commit}:{HEADS}{branch}", timeout=NETWORK_SECONDS)
        except CommandError as error:
            raise PushRefusedError(
                f"{command.redacted(remote, self.secrets)} did not take the push to {branch}: {told(error)}",
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
    _files: dict[str, bytes | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    async def entries(self, folder: str) -> dict[str, str]:
        """Return the names in a folder, each with its git mode; none where there is no such folder."""
        return {name: mode for name, (mode, _) in (await self._listed(folder)).items()}

    async def read_ahead(self, folder: str) -> None:
        """Have every file of a folder read in one go; `read` takes a process of git's for each.

        Args:
            folder: One whose files are wanted, all or most of them.
        """
        listed = (await self._listed(folder)).items()
        wanted = {f"{folder}/{name}": content for name, (mode, content) in listed if mode in FILES}
        new = {path: content for path, content in wanted.items() if path not in self._files}
        if new:
            self._files.update(zip(new, await self.repository.contents_of(*new.values()), strict=True))

    async def files(self, folder: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield each file below a folder, by its path, with what it has; no links, nothing of submodules."""
        await self.read_ahead(folder)
        for name, mode in (await self.entries(folder)).items():
            path = f"{folder}/{name}"
            if mode in FILES:
                yield path, await self.read(path) or b""
            elif mode == FOLDER:
                async for each in self.files(path):
                    yield each

    async def _listed(self, folder: str) -> Mapping[str, Entry]:
        return (await self.repository.listing(self.commit)).within(self._place(folder))

    async def _entry(self, path: str) -> Entry | None:
        return (await self.repository.listing(self.commit)).at(self._place(path))

    async def read(self, path: str) -> bytes | None:
        """Return a file's content, byte for byte, or None where there is none.

        Raises:
            UsageError: The path leaves the tree, or is no regular file.
        """
        if path not in self._files:
            self._files[path] = await self._read(path)
        return self._files[path]

    async def _read(self, path: str) -> bytes | None:
        found = await self._file(path)
        return None if found is None else (await self.repository.run("cat-file", "blob", found[1])).raw

    async def _file(self, path: str) -> Entry | None:
        found = await self._entry(path)
        if found is not None and found[0] not in FILES:
            raise UsageError(f"{path}: a symbolic link or folder, not a file (git mode {found[0]})")
        return found

    def _place(self, path: str) -> str:
        return str(inside(self.repository.at(str(inside(path)))))

    async def with_files(self, files: Mapping[str, bytes], message: str) -> str:
        """Make a commit on top of this one; no branch, work tree or index changes.

        Args:
            files: Path to new content.
            message: Subject, empty line, body.

        Returns:
            The new commit.

        Raises:
            MachineError: It is to be signed, and cannot be.
        """
        return await self.repository.commit(await self._tree(files), self.commit, message)

    async def patch(self, files: Mapping[str, bytes]) -> bytes:
        """Return what `git apply` makes this tree one with other files by; the repository is only read.

        Args:
            files: Path to new content.
        """
        with tempfile.TemporaryDirectory() as work:
            apart = replace(self, repository=self.repository.apart(Path(work)))
            tree = await apart._tree(files)
            return (await apart.repository.run(*PATCH, self.commit, tree)).raw

    async def _tree(self, files: Mapping[str, bytes]) -> str:
        """Return this tree with other files in it, written to git's objects.

        No index has all of its files for that, and of a partial clone nothing is asked for that is not here.
        """
        names = await self.repository.written("blob", files.values())
        entries = {}
        for path, name in zip(files, names, strict=True):
            mode, _ = await self._file(path) or (FILES[0], "")
            entries[self._place(path)] = mode, name
        listing = await self.repository.listing(self.commit)
        *_, top = await self.repository.written("tree", listing.trees(entries))
        return top

    def follows(self, revision: str) -> bool:
        """Return whether a revision is wherever this tree will be."""
        return follows(revision, self.branch)

    async def resolve(self, revision: str) -> str:
        """Return the commit that a revision names; one that follows the branch means this snapshot.

        Raises:
            UsageError: It names none.
        """
        repository = self.repository
        if self.follows(revision):
            return self.commit
        if not repository.remote or COMMIT.fullmatch(revision):
            # the second says what is not there
            return await repository.followed(revision) or await repository.commit_of(revision)
        found = await repository.asked(revision)
        if found is None and HASH.fullmatch(revision):
            found = await repository.followed(revision)
        if found is None:
            remote = command.redacted(repository.remote, repository.secrets)
            raise UsageError(
                f"chart.revision {revision}: {remote} has no such branch or tag",
                fix=f"git -C {shlex.quote(str(repository.folder))} push {remote} {shlex.quote(revision)}",
            )
        return found


def _identity(known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name who commits; what nobody has said of it is this tool's own.

    Args:
        known: What the person's settings say of it.
    """

    def said(role: str, what: str) -> str | None:
        own = settings.variable(f"GIT_{role}_{what}")
        return own or known.get(f"{role}.{what}".lower()) or known.get(f"user.{what}".lower())

    roles = ("AUTHOR", "COMMITTER")
    return {f"GIT_{role}_{what}": said(role, what) or ours for role in roles for what, ours in AUTHOR.items()}


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
        UsageError: There is no repository, no such remote, or one that is pushed to another place than it is read from.
    """
    if not folder.is_dir():
        raise UsageError(f"--project {folder}: no such folder")
    here = Repository(folder, folder, (), ENVIRONMENT)
    found = await here.run("rev-parse", "--is-bare-repository", "--show-cdup", "--git-common-dir", check=False)
    if found.returncode != 0:
        raise _not_opened(folder, found.stderr)
    bare, _, rest = found.stdout.removesuffix("\n").partition("\n")
    up, _, common = rest.partition("\n") if bare == "false" else ("", "", rest)
    top = Path(folder, up).resolve()
    if not common:
        raise UsageError(f"--project {folder}: git's own folder, not the files", fix="--project DIR, beside it")
    if not folder.resolve().is_relative_to(top):
        raise UsageError(f"--project {folder}: its files are in {top} (core.worktree)", fix=f"--project {top}")
    prefix = folder.resolve().relative_to(top).as_posix().removeprefix(".")
    repository = replace(here, folder=top, common=(folder / common).resolve(), prefix=prefix, bare=bare == "true")
    return repository if remote is None else await _with_remote(repository, remote, token)


async def _with_remote(repository: Repository, remote: str, token: Secret | None) -> Repository:
    """Return a repository that asks a remote: by the person's ssh, with the token where that is for it."""
    url = await remote_url(repository, remote)
    secrets = [form for userinfo in USERINFO.findall(url) for form in _forms(userinfo)]
    secrets += token.forms if token is not None else []
    known = await repository.configured(r"^(core\.sshcommand|http\.(.*\.)?extraheader|remote\..*\.(push)?url)$")
    environment: dict[str, str] = {}
    asks = any(name == "core.sshcommand" for name, _ in known)
    if not (asks or settings.variable("GIT_SSH_COMMAND") or settings.variable("GIT_SSH")):
        environment["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    config = [] if _is_url(remote) else [(f"remote.{remote}.mirror", "false")]
    said = [value for name, value in known if name in (f"remote.{remote}.url", f"remote.{remote}.pushurl")]
    if token is not None and may_have_token(url, said or [remote]):
        environment |= {TOKEN_USER: token.user, settings.TOKEN: token.value}
        config += _by_token(url, [value for name, value in known if name.endswith("extraheader")])
    elif token is not None and url.startswith("http"):
        note(f"no token is sent to {_host(url)}: it is not the host that the remote is said to be at, or not https")
    for number, (name, value) in enumerate(config):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return replace(
        repository,
        remote=remote,
        secrets=tuple(sorted(secrets, key=len, reverse=True)),
        environment={**repository.environment, **environment, "GIT_CONFIG_COUNT": str(len(config))},
    )


def may_have_token(url: str, said: Sequence[str]) -> bool:
    """Tell whether a token may go to where a remote leads: the host that the remote is said to be at, and encrypted."""
    scheme, host = urllib.parse.urlsplit(url).scheme, _host(url)
    return (scheme == "https" or (scheme == "http" and host in settings.LOOPBACK)) and host in map(_host, said)


def _by_token(url: str, headers: Sequence[str]) -> list[tuple[str, str]]:
    """Return the settings by which git gives a token to the host of a URL, and no other credentials of the person's.

    Args:
        url: The remote's.
        headers: What the person's settings have requests carry; checkout actions leave a token of theirs there, and
            servers refuse two.
    """
    split = urllib.parse.urlsplit(url)
    host = f"{split.scheme}://{split.netloc.rpartition('@')[2]}"
    config = [(f"credential.{host}.helper", ""), (f"credential.{host}.helper", HELPER)]
    if any(header.lower().startswith("authorization:") for header in headers):
        config.append((f"http.{host}{split.path}.extraHeader", ""))
    return config


def _is_url(remote: str) -> bool:
    return "://" in remote or "/" in remote


def _host(url: str) -> str:
    """Return the host of a remote's URL, or of what ssh takes for one (user@host:path); "" for a path."""
    if "://" in url:
        return urllib.parse.urlsplit(url).hostname or ""
    place, colon, _ = url.partition(":")
    return place.rpartition("@")[2].lower() if colon and "/" not in place else ""


async def remote_url(repository: Repository, remote: str) -> str:
    """Return the URL that a remote is pushed to.

    Raises:
        UsageError: There is no such remote, or it is pushed to other repositories than the one that it is read from.
    """
    if _is_url(remote):
        try:
            urllib.parse.urlsplit(remote)
        except ValueError as error:
            raise UsageError(f"--remote: not a URL: {error}") from error
        return remote
    listed = map(REMOTE_URL.fullmatch, (await repository.output("remote", "--verbose")).splitlines())
    urls = [(found["way"], found["url"]) for found in listed if found and found["remote"] == remote]
    if not urls:
        raise UsageError(f"--remote {remote}: no such remote", fix=f"git -C {repository.folder} remote --verbose")
    read = dict(urls).get("fetch", remote)
    url, *more = (each for way, each in urls if way == "push")
    if more or _slug(url) != _slug(read):
        raise UsageError(
            f"--remote {remote}: is read from one repository and pushed to another, or to several",
            fix=f"--remote URL says which; git -C {shlex.quote(str(repository.folder))} remote --verbose shows them",
        )
    return url


def _slug(url: str) -> str:
    """Return which repository of its host a URL names: the host may have a name for each way to it."""
    path = urllib.parse.urlsplit(url).path if "://" in url else url.rpartition(":")[2]
    return path.strip("/").removesuffix(".git").lower()


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
    if trust := _trust(printed):
        return UsageError(
            f"--project {folder}: it belongs to another user, so git refuses it until: {trust}", fix=trust
        )
    if "not a git repository" in printed:
        said, fix = "not a git repository", "--project DIR, in a clone of the tree that Argo CD watches"
    else:
        said, fix = printed.strip().partition("\n")[0], f"git -C {shlex.quote(str(folder))} rev-parse"
    return UsageError(f"--project {folder}: {said}", fix=fix)


def _trust(printed: str) -> str | None:
    """Return the command after which git opens another user's repository, where it printed that it does not."""
    owned = OWNER.search(printed)
    return owned and f"git config --global --add safe.directory {shlex.quote(owned[1])}"


def _unreachable(repository: Repository, remote: str, error: CommandError) -> MachineError:
    shown = command.redacted(remote, repository.secrets)
    look = f"git -C {shlex.quote(str(repository.folder))} ls-remote {shown}"
    return MachineError(f"{shown}: {told(error)}", fix=_trust(error.stderr) or look, detail=error.detail)


def told(error: CommandError) -> str:
    """Return what git printed of its failure, in one line."""
    lines = [line.strip() for line in error.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("remote:", "error:", "fatal:", "!"))]
    return "; ".join(telling or lines) or error.message
