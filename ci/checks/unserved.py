"""Sets that nothing serves: the chart renders InferenceServices with another model or image than the application's."""

from collections.abc import Iterator, Sequence

from ci.checks.targets import MODEL
from ci.manifests.chart import Rendering
from ci.results import Finding
from ci.tree import taken, tree

CHECK = "unserved"
VALUES = {taken.URI: (MODEL, "storageUri"), taken.IMAGE: (MODEL, "image")}
"""Where the ApplicationSet writes each part of a set, whose lines `Target.place` knows."""


def rendered(renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield what of each application's set the chart does not serve, with the application's name.

    Args:
        renderings: Without findings.
    """
    for rendering in renderings:
        target = rendering.target
        if target.application is None:
            continue
        uri, image = (str(target.value(path) or "") for path in VALUES.values())
        for key, said in taken.unserved(uri, image, (each.data for each in rendering.objects)):
            place = target.place(VALUES[key])
            yield target.name, Finding(CHECK, *place, f"{tree.dotted(key)}: {said}", taken.REMEDY)
