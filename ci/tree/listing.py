"""All that a commit has, listed once: every folder and file of it is then looked up without asking git again."""

import re
from collections.abc import Iterator, Mapping

ENTRY = re.compile(r"(\d+) [a-z]+ ([0-9a-f]+)\t([^\0]*)\0")
"""What `ls-tree -z` prints of each: mode, kind, git's name for what it has, path."""
FILES = ("100644", "100755")
"""Git's modes of regular files."""
FOLDER = "040000"
"""Git's mode of a folder; a link or a submodule has another one."""

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
