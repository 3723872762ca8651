"""Links that lead out of the repository: where one is, Argo CD renders nothing at all of that commit."""

import posixpath
from pathlib import Path

from ci.results import Finding
from ci.tree.git import Repository

CHECK = "tree"
SETTING = "reposerver.allow.oob.symlinks"
"""Of Argo CD's own, which this tool cannot see: so it is a warning."""


async def findings(repository: Repository) -> list[Finding]:
    """Return a warning for each, wherever in the repository it is.

    Args:
        repository: Has the work tree.
    """
    return [
        Finding(
            CHECK,
            repository.own(path),
            0,
            f"is a link to {target}, out of the repository: Argo CD renders nothing of it (out-of-bounds symlinks)",
            f"remove it, or link to a path inside; where Argo CD has {SETTING}, it does not matter",
            "warning",
        )
        for path in await repository.files_on_disk()
        if (repository.folder / path).is_symlink()
        if _leaves(path, target := (repository.folder / path).readlink())
    ]


def _leaves(path: str, target: Path) -> bool:
    """Tell whether a link is absolute or leaves the repository on its way (CheckOutOfBoundsSymlinks of Argo CD)."""
    place = posixpath.dirname(path)
    for part in target.parts:
        place = posixpath.normpath(posixpath.join(place, part))
        if place.startswith(("/", "../")) or place == "..":
            return True
    return False
