"""What Argo CD is given against the project file that it is made of."""

import itertools
from pathlib import Path

from ci.project import Project
from ci.results import Finding
from ci.tree import argocd

CHECK = "argocd"
REMEDY = "python ci/main.py argocd render"


def findings(root: Path, project: Project, prefix: str = "") -> list[Finding]:
    """Compare the files of `paths.argocd` with what the project file makes of them.

    Args:
        root: The project file's folder.
        project: What it says.
        prefix: That folder in its git repository, "" for the top.

    Returns:
        A finding for each file that is missing or another one, at the first line that differs.

    Raises:
        UsageError: A patch that the project file names is not there, or does not fit.
    """
    found = []
    for path, wanted in argocd.render(project, prefix, argocd.read_patches(root, project)).items():
        file = root / path
        if not file.is_file():
            found.append(Finding(CHECK, path, 0, "there is no such file", REMEDY))
        elif (there := file.read_bytes()) != wanted:
            line, has, should = _first_difference(there, wanted)
            said = f"has {has}, and the project file makes it {should}"
            found.append(Finding(CHECK, path, line, said, REMEDY))
    return found


def _first_difference(there: bytes, wanted: bytes) -> tuple[int, str, str]:
    """Return the number of the first line that two texts do not share, and both lines, for people."""
    pairs = itertools.zip_longest(there.splitlines(keepends=True), wanted.splitlines(keepends=True))
    return next((number, _shown(one), _shown(other)) for number, (one, other) in enumerate(pairs, 1) if one != other)


def _shown(line: bytes | None) -> str:
    return "no more lines" if line is None else repr(line.decode(errors="replace").removesuffix("\n").strip(" "))
