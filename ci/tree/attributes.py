"""Files that a checkout has with other bytes than the commit: what `.gitattributes` asks of whoever checks out.

Argo CD reads applications, charts and values files in its own checkout, this tool out of git's objects. Git converts on
the way out by ident, eol, filter and working-tree-encoding (https://git-scm.com/docs/gitattributes), and which filters
there are is each machine's own.
"""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ci.base.errors import UsageError
from ci.tree.git import AS_COMMITTED, COMMIT, Repository

FILE = ".gitattributes"
ASKED = ("text", "eol", "ident", "filter", "working-tree-encoding")
WITHOUT = ("unspecified", "unset", "set")
"""Values of an attribute that needs one of its own."""
_converted: dict[tuple[Path, str], Mapping[str, str]] = {}
"""What `converted` found, by repository and commit: it stays what it is."""


async def converted(repository: Repository, revision: str) -> Mapping[str, str]:
    """Return the files of a revision that a checkout changes, from the top of the repository, with what does it.

    Args:
        repository: Has the revision.
        revision: Hash of a commit, or of a whole tree.
    """
    key = repository.folder, revision
    if key in _converted:
        return _converted[key]
    listing = await repository.listing(revision)
    asking = [f"{mode} {content}\t{path}\0" for path, (mode, content) in listing.named(FILE)]
    found: Mapping[str, str] = {}
    if asking:
        with tempfile.TemporaryDirectory() as work:
            index = {"GIT_INDEX_FILE": f"{work}/index", "GIT_WORK_TREE": work}
            words = ("update-index", "-z", "--index-info")
            await repository.run(*words, stdin="".join(asking).encode(errors="surrogateescape"), env=index)
            found = await _asked(repository, [path for path, _ in listing.below("")], "--cached", env=index)
    if COMMIT.fullmatch(revision):
        _converted[key] = found
    return found


async def converted_on_disk(repository: Repository) -> Mapping[str, str]:
    """Return what `converted` does, of the work tree as it would be committed."""
    paths = await repository.files_on_disk()
    asking = any(path.rpartition("/")[2] == FILE for path in paths)
    return await _asked(repository, paths) if asking else {}


async def require_none(repository: Repository, revision: str, paths: Collection[str]) -> None:
    """Refuse files that Argo CD would read with other bytes than the commit has.

    Args:
        repository: Has the revision.
        revision: Hash of a commit, or of a whole tree.
        paths: From the project's folder.

    Raises:
        UsageError: One of them is such a file; the first is named.
    """
    found = await converted(repository, revision)
    for path in paths if found else ():
        if (why := found.get(repository.at(path))) is not None:
            raise refusal(path, why)


def refusal(path: str, why: str) -> UsageError:
    """Return the error that names a file and what changes it.

    Args:
        path: From the project's folder.
        why: The attribute and its value.
    """
    said = f"{path}: {FILE} has git change it on the way out ({why}): Argo CD reads other bytes than git has"
    return UsageError(said, fix=f"Have the last line that fits it in {FILE} say !{why.partition('=')[0]}.")


async def _asked(
    repository: Repository, paths: Sequence[str], *where: str, env: Mapping[str, str] | None = None
) -> dict[str, str]:
    stdin = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    words = (*AS_COMMITTED, "check-attr", *where, "-z", "--stdin", *ASKED)
    told = (await repository.run(*words, stdin=stdin, env=env)).raw.decode(errors="surrogateescape").split("\0")
    given: dict[str, dict[str, str]] = {}
    for path, name, value in zip(told[0::3], told[1::3], told[2::3], strict=False):
        given.setdefault(path, {})[name] = value
    return {path: why for path, values in given.items() if (why := _why(values))}


def _why(values: Mapping[str, str]) -> str:
    """Return which of a file's attributes changes it; nothing where none does."""
    if values["ident"] == "set":
        return "ident"
    if values["eol"] == "crlf" and values["text"] != "unset":
        return "eol=crlf"
    named = ((name, values[name]) for name in ("filter", "working-tree-encoding"))
    return next((f"{name}={value}" for name, value in named if value not in WITHOUT and value.lower() != "utf-8"), "")
