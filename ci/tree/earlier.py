"""Which applications run another model than the one that their golden file is of.

A golden file is of the model that its project has now: the one that the first environment with the application runs. A
later environment has an earlier one until a promotion reaches it, and the known answer that came with that one.
"""

from collections.abc import Mapping

from ci.project import Project
from ci.tree.tree import Application, Key


def models(project: Project, applications: Mapping[Key, Application | None]) -> dict[Key, str]:
    """Return the applications that run another model than the first environment that has them, which is named.

    Args:
        project: Names the environments in order.
        applications: All that the tree has; None where a file cannot be read. Where that is the first environment's,
            nobody knows the model that the golden file is of, and the others count as earlier ones.
    """
    found = {}
    for key, application in applications.items():
        first = next(place for each in project.names if (place := (each, key[1])) in applications)
        model = applications[first]
        if application is not None and (model is None or application.model != model.model):
            found[key] = first[0]
    return found
