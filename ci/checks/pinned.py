"""Digests that sets lack on their way to a protected environment, to which `promote` takes none without.

It is told where a version begins its way, and as a warning: a set without digests may run in the environments before.
"""

from collections.abc import Mapping, Sequence

from ci.manifests import places
from ci.manifests.chart import Target
from ci.project import Project
from ci.results import Finding
from ci.tree import tree
from ci.tree.tree import Application, Key

CHECK = "pinned"


def findings(
    project: Project, judged: Sequence[Target], applications: Mapping[Key, Application | None]
) -> list[Finding]:
    """Return a warning for each digest that an application lacks.

    One that lacks it in several environments has it in the first of them, from where it moves to the others.

    Args:
        project: The project.
        judged: The applications.
        applications: All of the project, as the work tree has them, in the environments' order.
    """
    wanted = {target.name for target in judged}
    told: set[tuple[str, str]] = set()
    found = []
    for (environment, name), application in applications.items():
        guarded = project.guarded(environment)
        if application is None or not guarded:
            continue
        text = application.content.decode(errors="replace")
        for each in tree.unpinned(application.release):
            if (name, each.component) in told:
                continue
            told.add((name, each.component))
            line = places.values_line(text, each.key) or places.values_line(text, each.key[:1])
            said = f"{tree.dotted(each.key)}: {each.said}: {guarded[0]} takes no such set"
            remedy = f"{each.bump(environment, name)}; {each.how} prints the digest"
            if f"{environment}/{name}" in wanted:
                found.append(Finding(CHECK, application.file, line, said, remedy, "warning"))
    return found
