"""Applications' files that are where Argo CD looks for none: it deploys TREE/ENVIRONMENT/NAME.yaml alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml
from ci.project import Project
from ci.results import Finding
from ci.tree import tree, worktree

CHECK = "tree"
ENDINGS = (".yaml", ".yml")


def findings(folder: Path, project: Project) -> Iterator[Finding]:
    """Yield a warning for each; a file is an application's by what it has, so that other files may be anywhere.

    Args:
        folder: The project's.
        project: The project.
    """
    top = folder / project.paths.tree
    for file in sorted(each for each in top.rglob("*") if each.suffix in ENDINGS and each.is_file()):
        way = file.relative_to(top).parts
        deployed = len(way) == 2 and file.suffix == ENDINGS[0]  # or told where it is judged
        if not deployed and way[0] != worktree.QUARANTINE and _is_application(file):
            place = f"{project.paths.tree}/{way[0] if way[0] in project.names else 'ENVIRONMENT'}/{file.stem}.yaml"
            said = "has the form of an application's file, and Argo CD deploys none from there"
            path = file.relative_to(folder).as_posix()
            move = f"move it to {place}, or" if not (folder / place).exists() else "move it"
            yield Finding(CHECK, path, 0, said, f"{move} out of {project.paths.tree}", "warning")


def _is_application(file: Path) -> bool:
    try:
        found = kubernetes_yaml.read(file.read_bytes(), file.name)
    except (UsageError, OSError):
        return False
    return isinstance(found, Mapping) and {str(section) for section, _ in tree.KEYS} <= found.keys()
