"""Serving runtimes: each model has one that is there, and takes its format and its protocol."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from ci.checks.targets import MODEL
from ci.manifests import runtimes
from ci.manifests.chart import Rendering
from ci.results import Finding

CHECK = "runtimes"


def rendered(renderings: Sequence[Rendering], known: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Finding]]:
    """Yield each model that no serving runtime takes, with its application's name.

    A warning where a cluster may have a runtime that nothing here knows of.

    Args:
        renderings: Without findings; a runtime of one application serves the others, too.
        known: KServe's own runtimes.
    """
    there = [*runtimes.of(each.data for rendering in renderings for each in rendering.objects), *known]
    for rendering in renderings:
        for manifest in rendering.objects:
            fault = runtimes.fault(manifest.data, there)
            if fault is None:
                continue
            severity: Literal["error", "warning"] = "error" if fault.sure else "warning"
            file, line = rendering.target.place((MODEL, fault.key))
            said = f"{MODEL}.{fault.key}: {manifest}: {fault.said}"
            if not line:
                path = (*runtimes.MODEL, fault.key)
                file, line, said = manifest.file, manifest.line(path), f"{manifest}: {fault.said}"
            yield rendering.target.name, Finding(CHECK, file, line, said, fault.remedy, severity)
