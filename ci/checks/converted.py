"""Files of the tree, of the chart and for Argo CD that its checkout would have with other bytes."""

from ci.checks.targets import placed
from ci.project import Project
from ci.results import Finding
from ci.tree import attributes
from ci.tree.git import Repository


async def findings(repository: Repository, project: Project) -> list[Finding]:
    """Return each of them, as the work tree would be committed.

    Args:
        repository: Has the work tree.
        project: Names the folders.
    """
    folders = tuple(f"{each}/" for each in (project.paths.tree, project.paths.argocd, project.paths.chart))
    found = await attributes.converted_on_disk(repository)
    return [
        placed("tree", path, attributes.refusal(path, why))
        for each, why in found.items()
        if (path := repository.own(each)).startswith(folders)
    ]
