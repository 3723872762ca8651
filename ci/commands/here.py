"""Which project a command is about: that of `--project`, or of the folder it is called in or one above."""

from pathlib import Path

from ci import project
from ci.base import settings
from ci.project import Project


def folder() -> Path:
    """Return the folder with the project file.

    Raises:
        UsageError: There is none.
    """
    return settings.project() or project.find(Path.cwd())


def found() -> Project:
    """Return what the project file in the work tree says.

    Raises:
        UsageError: It is not there, or not what it should be.
    """
    return project.load(folder())
