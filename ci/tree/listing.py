"""All that a commit has, listed once: every folder and file of it is then looked up without asking git again."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

ENTRY = re.compile(r"(\d+) [a-z]+ ([0-9a-f]+)\t([^\0]*)\0")
"""What `ls-tree -z` prints of each: mode, kind, git's name for what it has, path."""
FILES = ("100644", "100755")
"""Git's modes of regular files."""
FOLDER = "040000"
"""Git's mode of a folder; a link or a submodule has another one."""

SHA1_DIGITS = 40
"""Of git's names, where it does not make them by SHA-256 (https://git-scm.com/docs/hash-function-transition)."""

Entry = tuple[str, str]
"""Git's mode of a file, folder, link or submodule, and its name for what that has."""


class Listing:
    """What a commit, or a tree, has; paths are from the top of the repository.

    Args:
        printed: By `ls-tree -r -t -z --full-tree`.
    """

    def __init__(self, printed: str) -> None:
        self._folders: dict[str, dict[str, Entry]] = {}
        for mode, content, path in ENTRY.findall(printed):  # a tree of thousands has no time for more
            folder, _, name = path.rpartition("/")
            self._folders.setdefault(folder, {})[name] = mode, content

    def within(self, folder: str) -> Mapping[str, Entry]:
        """Return what is in a folder, by name; nothing where there is no such folder."""
        return self._folders.get("" if folder == "." else folder, {})

    def at(self, path: str) -> Entry | None:
        """Return what is at a path; None where nothing is, or it leads through a link."""
        folder, _, name = path.rpartition("/")
        return self.within(folder).get(name)

    def below(self, folder: str) -> Iterator[tuple[str, Entry]]:
        """Yield all that is in a folder and in those below it but the folders themselves, by path, in git's order."""
        start = "" if folder in ("", ".") else f"{folder}/"
        for name, entry in self.within(folder).items():
            if entry[0] == FOLDER:
                yield from self.below(f"{start}{name}")
            else:
                yield f"{start}{name}", entry

    def named(self, name: str) -> Iterator[tuple[str, Entry]]:
        """Yield what has a name, in whichever folder, by path."""
        for folder, entries in self._folders.items():
            if name in entries:
                yield f"{folder}/{name}".lstrip("/"), entries[name]

    def trees(self, files: Mapping[str, Entry]) -> Iterator[bytes]:
        """Yield what git has of each folder that changes by other files, those further down first, the top last.

        Args:
            files: By path; what was a file or a link on the way to one is a folder then.
        """
        folders: dict[str, dict[str, Entry]] = {}

        def put(path: str, entry: Entry) -> None:
            folder, _, name = path.rpartition("/")
            folders.setdefault(folder, {})[name] = entry

        for path, entry in files.items():
            put(path, entry)
        while folders:
            folder = max(folders, key=lambda each: len(PurePosixPath(each).parts))
            changed = folders.pop(folder)
            content = _tree({**self.within(folder), **changed})
            yield content
            if folder:
                put(folder, (FOLDER, _name("tree", content, like=next(iter(changed.values()))[1])))


def _tree(entries: Mapping[str, Entry]) -> bytes:
    """Return what git has of a folder (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects)."""
    named = ((name.encode(errors="surrogateescape"), entry) for name, entry in entries.items())
    ordered = sorted(named, key=lambda each: each[0] + (b"/" if each[1][0] == FOLDER else b""))
    return b"".join(
        b"%s %s\0%s" % (mode.lstrip("0").encode(), name, bytes.fromhex(content)) for name, (mode, content) in ordered
    )


def _name(kind: str, content: bytes, *, like: str) -> str:
    """Return git's name for an object, made as another one's is."""
    made_by = hashlib.sha1 if len(like) == SHA1_DIGITS else hashlib.sha256
    return made_by(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
