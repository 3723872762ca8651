"""Where things are: this checkout, and the user's folders."""

import os
from pathlib import Path

import platformdirs

from ci.base import settings

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "charts" / "ml-serving"
"""The tool's own."""


def cache() -> Path:
    """Return the folder of everything that may be rebuilt: `$ML_SERVING_CI_CACHE`, else the user's cache folder."""
    return settings.cache()


def state(beside: Path | None = None) -> Path:
    """Return the folder of what belongs to this machine: clusters, logs, Docker's own files.

    It is `$ML_SERVING_CI_STATE`, else the cache folder, else, where that is read-only, the user's folder for state.

    Args:
        beside: The cache folder, where it is another than the user's.
    """
    folder = beside or cache()
    return settings.state() or (folder if writable(folder) else Path(platformdirs.user_state_dir("ml-serving-ci")))


def writable(folder: Path) -> bool:
    """Return whether this user may write into a folder, or make it where it is missing."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(there, os.W_OK)
