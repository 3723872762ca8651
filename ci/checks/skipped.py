"""Objects that Argo CD never applies: a throw-away cluster has what production does not."""

from collections.abc import Iterator, Sequence

from ci.manifests import hooks
from ci.manifests.chart import Rendering
from ci.results import Finding

CHECK = "skipped"
REMEDY = "Leave the object out by a value of the chart, or have no such annotation."


def rendered(renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each such object, with the application's name.

    Args:
        renderings: Without findings.
    """
    for rendering in renderings:
        for manifest in rendering.objects:
            if hooks.is_never_applied(manifest.data):
                path = ("metadata", "annotations", hooks.ARGO_CD)
                said = f"Argo CD never applies it ({hooks.ARGO_CD}: {manifest.dig(*path)}), and is proven with it"
                yield rendering.target.name, manifest.finding(CHECK, path, said, REMEDY)
