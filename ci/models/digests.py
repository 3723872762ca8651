"""Digests of models: of each file, and of a model as a whole."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from ci.base import files
from ci.base.errors import UsageError

BOOKKEEPING = Path(".cache", "huggingface")
"""What the client of hf:// leaves in a model's folder: no file of the model, and different each time.

A model of any other store has files of its own there: KServe gets them, and a server may load them."""
UNLISTED = frozenset("\n\r\\")
"""What no file of a model has in its name: a line break would let two models have one listing, and `sha256sum` writes
each of these in another way. The chart's files/pinned_model.py refuses the same."""


def of_files(folder: Path, *, hub: bool = False) -> dict[str, str]:
    """Return the SHA-256 of every file of a model, by its path in the model's folder.

    Args:
        folder: With the files.
        hub: Whether it is one of hf://.
    """
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    own = {name: path for name, path in found.items() if not (hub and name.is_relative_to(BOOKKEEPING))}
    return {name.as_posix(): files.sha256(path) for name, path in own.items()}


def pinned(folder: Path) -> str:
    """Return the digest of a model's files as the chart's `exampleModel.digest` has it.

    Args:
        folder: With the files, as KServe gets them from the model's storageUri.

    Raises:
        UsageError: A file's name cannot be listed.
    """
    return of_listing(of_files(folder))


def of_path(path: Path, *, hub: bool = False) -> str | None:
    """Return the digest of a model that is a folder, or one file, which KServe has alone in a folder.

    Args:
        path: The folder or file.
        hub: Whether the model is one of hf://.

    Returns:
        None where no file is in it.

    Raises:
        UsageError: A file's name cannot be listed.
    """
    found = of_files(path, hub=hub) if path.is_dir() else {path.name: files.sha256(path)}
    return of_listing(found) if found else None


def of_listing(files: Mapping[str, str]) -> str:
    """Return the digest of a model whose files are these.

    It is the SHA-256 of the listing that `sha256sum` prints of all of them, sorted by path in bytes.

    Args:
        files: The path of each in the model's folder to its SHA-256.

    Raises:
        UsageError: A path cannot be listed.
    """
    for path in files:
        if not UNLISTED.isdisjoint(path):
            raise UsageError(
                f"{path!r}: no name for a file of a model: it has a line break or a backslash", fix="Rename it."
            )
    listing = sorted((os.fsencode(f"./{path}"), digest.encode()) for path, digest in files.items())
    lines = b"".join(digest + b"  " + path + b"\n" for path, digest in listing)
    return f"sha256:{hashlib.sha256(lines).hexdigest()}"
