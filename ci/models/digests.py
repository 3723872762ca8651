"""Digests of models: of each file, and of a model as a whole."""

import hashlib
import os
from pathlib import Path

from ci.errors import CheckFailedError
from ci.report import files, jsonfile


def of_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in found}


def pinned(folder: Path) -> str:
    """Return the digest of a model's files as the chart's `exampleModel.digest` has it.

    It is the SHA-256 of the listing that `sha256sum` prints of all of them, sorted by path in bytes.

    Args:
        folder: With the files, as KServe gets them from the model's storageUri.
    """
    listing = sorted((os.fsencode(f"./{path}"), digest.encode()) for path, digest in of_files(folder).items())
    lines = b"".join(digest + b"  " + path + b"\n" for path, digest in listing)
    return f"sha256:{hashlib.sha256(lines).hexdigest()}"


def require_unchanged(folder: Path, record: Path) -> None:
    """Refuse models that are not what was recorded when they were trained: nothing is served unchecked.

    Raises:
        CheckFailedError: A file was changed, removed or added.
    """
    recorded, found = jsonfile.read(record, dict[str, str]), of_files(folder)
    for path in sorted({*recorded, *found}):
        if recorded.get(path) != found.get(path):
            raise CheckFailedError(
                f"{folder / path}: sha256:{found.get(path)}, but sha256:{recorded.get(path)} was trained",
                fix=f"rm -r {record.parent}; they are trained again",
            )
