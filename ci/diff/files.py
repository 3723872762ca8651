"""Files as two commits have them: which differ, and what is no manifest, for that is shown as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ci.manifests import documents
from ci.manifests.documents import Document
from ci.tree.git import Repository, Snapshot

LINK, SUBMODULE = "120000", "160000"


@dataclass(frozen=True)
class File:
    """A file as one commit has it.

    Attributes:
        path: From the project's folder.
        mode: Git's.
        hash: Git's name for what it has.
    """

    path: str
    mode: str
    hash: str


@dataclass(frozen=True)
class Changed:
    """A file that differs.

    Attributes:
        before: None where it is new.
        after: None where it goes. Its path is another one where it was renamed.
        contents: What it has on both sides, where that is to be shown as text.
        rendered: Whose objects are made of it: ENV/NAME, or how these begin; None where no application's are.
        later: Who reads it at a commit of its own, so that this change is none there yet; empty where nobody does.
    """

    before: File | None
    after: File | None
    contents: tuple[bytes | None, bytes | None] | None = None
    rendered: str | None = None
    later: str = ""

    @property
    def path(self) -> str:
        """Where it is, or was."""
        file = self.after or self.before
        assert file is not None
        return file.path


async def changed(base: Snapshot, head: Snapshot, folders: Sequence[str]) -> list[Changed]:
    """Return the files that differ, by path; one that was renamed once.

    Args:
        base: One commit.
        head: The other one.
        folders: Below these, or these themselves.
    """
    repository = head.repository
    words = ("diff-tree", "-r", "-z", "-M", "--no-abbrev", base.commit, head.commit, "--")
    listed = await repository.run(*words, *map(repository.at, folders))
    fields = iter(listed.raw.decode(errors="surrogateescape").split("\0"))
    found = []
    for described in filter(None, fields):
        old_mode, mode, old_hash, new_hash, status = described.removeprefix(":").split()
        path = repository.own(next(fields))
        new_path = repository.own(next(fields)) if status.startswith("R") else path
        before = None if status == "A" else File(path, old_mode, old_hash)
        found.append(Changed(before, None if status == "D" else File(new_path, mode, new_hash)))
    return sorted(found, key=lambda each: each.path)


async def read(snapshot: Snapshot, folder: str) -> dict[str, bytes]:
    """Return what the regular files below a folder have, by path; of a link where it leads, of a submodule its commit.

    Args:
        snapshot: A commit.
        folder: The folder.
    """
    repository = snapshot.repository
    below = (await repository.listing(snapshot.commit)).below(repository.at(folder))
    return await contents(repository, [File(repository.own(path), *entry) for path, entry in below])


async def contents(repository: Repository, files: Sequence[File]) -> dict[str, bytes]:
    """Return what files have, by path; of a link where it leads, of a submodule its commit.

    Args:
        repository: Has them.
        files: The files.
    """
    there = [file for file in files if file.mode != SUBMODULE]
    blobs = await repository.contents_of(*(file.hash for file in there))
    found = {file.path: blob for file, blob in zip(there, blobs, strict=True)}
    for file in files:
        if file.mode == LINK:
            found[file.path] = b"link to " + found[file.path]
        elif file.mode == SUBMODULE:
            found[file.path] = f"submodule at {file.hash}".encode()
    return found


def manifests(base: Mapping[str, bytes], head: Mapping[str, bytes]) -> tuple[dict[str, list[Document]], ...]:
    """Return the objects of both sides' files, by path; none of a file that is no manifest on one of them.

    Args:
        base: What files have, by path.
        head: The same of the other side.
    """
    read = [{path: documents.of_file(content, path) for path, content in side.items()} for side in (base, head)]
    text = {path for side in read for path, found in side.items() if found is None}
    return tuple(
        {path: found for path, found in side.items() if found is not None and path not in text} for side in read
    )
