"""What is made aside and becomes itself once it is whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def folder(final: Path) -> Iterator[Path]:
    """Yield a folder beside `final` that becomes it when the block ends well, and vanishes otherwise."""
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
