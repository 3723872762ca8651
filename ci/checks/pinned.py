"""Digests that sets lack on their way to a protected environment, to which `promote` takes none without.

It is told where a version begins its way, and as a warning: a set without digests may run in the environments before.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from ci.base.errors import UsageError
from ci.manifests import places
from ci.manifests.chart import Target
from ci.project import Project
from ci.results import Finding
from ci.tree import tree, worktree

CHECK = "pinned"


def findings(folder: Path, project: Project, judged: Sequence[Target]) -> list[Finding]:
    """Return a warning for each digest that an application lacks.

    One that lacks it in several environments has it in the first of them, from where it moves to the others.

    Args:
        folder: The project's.
        project: The project.
        judged: The applications.
    """
    wanted = {target.name for target in judged}
    told: set[tuple[str, str]] = set()
    found = []
    for file in worktree.files(folder, project):
        guarded = project.guarded(file.environment) if file.environment in project.names else ()
        if not guarded:
            continue
        try:
            content = (folder / file.path).read_bytes()
            lacking = [*tree.unpinned(tree.read(project, file.environment, file.name, content).release)]
        except (UsageError, OSError, yaml.YAMLError):  # which is told where it is read to be judged
            continue
        text = content.decode(errors="replace")
        for each in lacking:
            if (file.name, each.component) in told:
                continue
            told.add((file.name, each.component))
            line = places.values_line(text, each.key) or places.values_line(text, each.key[:1])
            said = f"{tree.dotted(each.key)}: {each.said}: {guarded[0]} takes no such set"
            remedy = f"{each.bump(file.environment, file.name)}; {each.how} prints the digest"
            if f"{file.environment}/{file.name}" in wanted:
                found.append(Finding(CHECK, file.path, line, said, remedy, "warning"))
    return found
