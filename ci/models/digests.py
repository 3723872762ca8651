"""Digests of models: of each file, and of a model as a whole."""

import hashlib
import os
from pathlib import Path

from ci.base import files


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
