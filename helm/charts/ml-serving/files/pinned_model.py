"""Starts a model server with the very files that are pinned, or not at all: loading a model can run what is in it.

Arguments: --hub where the model is one of hf://, the digest, and the command; what KServe adds to it comes after that.
"""

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

MODEL = Path("/mnt/models")
REASON = Path("/dev/termination-log")
BOOKKEEPING = MODEL / ".cache" / "huggingface"
"""What the client of hf:// leaves beside a model, and different each time; of other models it is a part."""
UNLISTED = frozenset("\n\r\\")
"""What no file's name has: a line break would let two models have one listing."""


def main() -> None:
    """Compare, then become the model server."""
    hub = sys.argv[1] == "--hub"
    pinned, *command = sys.argv[2 if hub else 1 :]
    listing = []
    for folder, _, names in os.walk(MODEL, followlinks=True):
        if hub and Path(folder).is_relative_to(BOOKKEEPING):
            continue
        for name in names:
            path = f"./{Path(folder, name).relative_to(MODEL).as_posix()}"
            if not UNLISTED.isdisjoint(path):
                refuse(f"{path!r}: no name for a file of a model: it has a line break or a backslash\n")
            with Path(folder, name).open("rb") as file:
                listing.append((os.fsencode(path), hashlib.file_digest(file, "sha256").hexdigest()))
    lines = b"".join(digest.encode() + b"  " + path + b"\n" for path, digest in sorted(listing))
    found = f"sha256:{hashlib.sha256(lines).hexdigest()}"
    if found != pinned:
        refuse(f"the model's files have {found}, but {pinned} is pinned (exampleModel.digest)\n", lines)
    os.execvp(command[0], command)  # noqa: S606 - an argument list; the server takes this process's place


def refuse(reason: str, lines: bytes = b"") -> NoReturn:
    """End with a reason that `kubectl describe` shows, and the listing in the log."""
    with suppress(OSError):
        REASON.write_text(reason)
    sys.exit(reason + lines.decode(errors="replace"))


main()
