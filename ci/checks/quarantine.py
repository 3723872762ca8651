"""Entries of the quarantine: one that cannot be read refuses nothing, and stops who asks."""

from collections.abc import Iterator
from pathlib import Path

from ci.base.errors import UsageError
from ci.checks import targets
from ci.checks.targets import Chosen
from ci.project import Project
from ci.results import Finding
from ci.tree import quarantine, worktree

CHECK = "quarantine"


def findings(folder: Path, project: Project, chosen: Chosen) -> Iterator[Finding]:
    """Yield what is wrong with entries; other files beside them are nobody's.

    Args:
        folder: The project's.
        project: The project.
        chosen: Of which applications.
    """
    root = folder / project.paths.tree / worktree.QUARANTINE
    for each in _all(root, folder, project):
        parts = (folder / each.file).relative_to(root).parts
        if not parts or chosen.has_some(parts[0]):
            yield each


def _all(root: Path, folder: Path, project: Project) -> Iterator[Finding]:
    linked = [place for place in (root, *sorted(root.glob("*"))) if place.is_symlink() and place.is_dir()]
    for place in linked:
        yield _link(folder, place)
    entries = [file for file in worktree.quarantined(folder, project) if not {*file.parents} & {*linked}]
    for file in entries:
        yield from _entry(folder, file)
    for file in sorted(root.rglob("*")):
        if file.suffix in (".yaml", ".yml") and file not in entries and not {*file.parents} & {*linked}:
            path = file.relative_to(folder).as_posix()
            said = f"refuses nothing: an entry is {quarantine.folder_of(project, 'APPLICATION')}/NAME.yaml"
            yield Finding(CHECK, path, 0, said, "move it there, or call it otherwise", "warning")


def _entry(folder: Path, file: Path) -> Iterator[Finding]:
    if file.is_symlink():
        yield _link(folder, file)
        return
    path = file.relative_to(folder).as_posix()
    try:
        quarantine.read(file.read_bytes(), path)
    except UsageError as error:
        yield targets.placed(CHECK, path, error)
    except OSError as error:
        yield Finding(CHECK, path, 0, str(error.strerror), "make it a file that can be read")


def _link(folder: Path, place: Path) -> Finding:
    said = "a symbolic link, which bump and promote do not follow"
    return Finding(CHECK, place.relative_to(folder).as_posix(), 0, said, "put there what it leads to")
