"""What `lint` finds as far as it needs no container: all but schemas, promtool's own checks, and the style of files."""

from functools import partial

import anyio

from ci import project
from ci.canary import engine
from ci.checks import argocd, gates, golden, pinned
from ci.manifests import references
from tests.harness.gates import executables
from tests.harness.project import Made
from tests.unit.conftest import find_tool


def findings(folder):
    """Lint the project in a folder."""
    made, given = Made(folder), project.load(folder)
    helm = find_tool("helm")
    of_helm = made.helm(helm, "lint").values()
    renderings = [*made.helm(helm, "template").values()]
    wrong, known, of_files = made.judged(
        lambda found: (
            found.findings,
            found.known,
            [
                *pinned.findings(given, found.judged, found.applications),
                *(finding for _, finding in golden.findings(folder, given, found.judged, found.applications)),
            ],
        )
    )
    unlinked = anyio.run(links, renderings)
    canaries = anyio.run(partial(gates.assess, *executables(), folder, given.paths.tree, renderings, known=known))
    return [
        *wrong,
        *argocd.findings(folder, given, made.git("rev-parse", "--show-prefix")),
        *of_files,
        *golden.strays(folder, given),
        *(finding for found in of_helm for finding in found),
        *(finding for each in renderings for finding in each.findings),
        *unlinked,
        *(finding for _, finding in made.on_throwaway(helm)),
        *canaries.findings,
    ]


async def links(renderings):
    """Return the links between rendered objects that lead nowhere."""
    texts = set().union(*(references.expressions(each.objects) for each in renderings))
    async with engine.empty(find_tool("prometheus")) as reader:
        read = await reader.read(texts)
    return [finding for each in renderings for finding in references.check(each.objects, read)]
