"""Entries of the quarantine: one that cannot be read refuses nothing, and stops who asks."""

from collections.abc import Iterator
from pathlib import Path

from ci.base.errors import UsageError
from ci.checks import targets
from ci.project import Project
from ci.results import Finding
from ci.tree import quarantine, worktree

CHECK = "quarantine"


def findings(folder: Path, project: Project) -> Iterator[Finding]:
    """Yield what is wrong with entries; other files beside them are nobody's.

    Args:
        folder: The project's.
        project: The project.
    """
    for file in worktree.quarantined(folder, project):
        path = file.relative_to(folder).as_posix()
        try:
            quarantine.read(file.read_bytes(), path)
        except UsageError as error:
            yield targets.placed(CHECK, path, error)
        except OSError as error:
            yield Finding(CHECK, path, 0, str(error.strerror), "make it a file that can be read")
