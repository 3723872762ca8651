"""A report file is there whole or not at all, even when the run is killed while it writes."""

import hashlib
import tempfile
from pathlib import Path

from ci import oserrors


def write(path: Path, data: bytes) -> None:
    """Write `data` beside `path` and rename it into place.

    Args:
        path: The file; its folder is made where it is missing.
        data: Its whole content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        oserrors.naming(path),
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as aside,
    ):
        try:
            aside.write(data)
            aside.flush()
            Path(aside.name).chmod(0o644)
            Path(aside.name).replace(path)
        except BaseException:
            Path(aside.name).unlink(missing_ok=True)
            raise


def sha256(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
