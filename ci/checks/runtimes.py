"""Serving runtimes: each model has one that is there, and takes its format and its protocol."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal

from ci.checks.targets import MODEL
from ci.manifests import runtimes
from ci.manifests.chart import Rendering, Target
from ci.manifests.manifests import Manifest
from ci.results import Finding

CHECK = "runtimes"
PATHS = {"readinessProbe": "readinessPath", "livenessProbe": "livenessPath"}
"""The chart's keys of what a probe asks; the start-up's is the same as the liveness probe's."""
VERSION = ("model", "modelFormat", "version")
"""The chart's key of a format's version, without which any is taken."""
METRICS = {"port": ("metricsPort", "port"), "path": ("metricsPath",)}
"""The chart's keys that say where it has metrics from; the first says nothing else."""


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
                found = _assumed(rendering.target, manifest, there)
                yield from ((rendering.target.name, finding) for finding in found)
                continue
            severity: Literal["error", "warning"] = "error" if fault.sure else "warning"
            versioned = fault.key in VERSION and rendering.target.value((MODEL, *VERSION))
            key = VERSION if versioned else (fault.key,)
            file, line = rendering.target.place((MODEL, *key))
            said = f"{'.'.join((MODEL, *key))}: {manifest}: {fault.said}"
            if not line:
                path = (*runtimes.MODEL, fault.key)
                file, line, said = manifest.file, manifest.line(path), f"{manifest}: {fault.said}"
            yield rendering.target.name, Finding(CHECK, file, line, said, fault.remedy, severity)


def _assumed(target: Target, manifest: Manifest, there: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what the chart takes for granted of a server, nobody has written, and its runtime says otherwise."""
    yield from _port(target, manifest, there)
    runtime = target.value((MODEL, "runtime"))
    if not runtime:
        return
    file, line = target.place((MODEL, "runtime"))
    for probe, (path, theirs) in runtimes.other_paths(manifest.data, there).items():
        key = PATHS.get(probe)
        if key is not None and not _written(target, "probes", key):
            said = (
                f"{MODEL}.runtime: {runtime} is asked {theirs} by its own probes, and the chart's {probe} asks {path}"
            )
            remedy = f"{MODEL}.probes.{key}: {theirs}; or write {path} there, where that server has it"
            yield Finding(CHECK, file, line, said, remedy)
    for probe, (path, theirs) in runtimes.unspoken_paths(manifest.data, there).items():
        key = PATHS.get(probe)
        if key is not None and not _written(target, "probes", key):
            said = f"{MODEL}.runtime: {runtime} has no protocol v2, by which the chart's {probe} asks {path}"
            yield Finding(CHECK, file, line, said, f"{MODEL}.probes.{key}: {theirs}, or another path that it has")
    yield from _otherwise(target, manifest, there)
    for what, (ours, theirs) in runtimes.other_metrics(manifest.data, there).items():
        if not any(_written(target, key) for key in METRICS[what]):
            said = f"{MODEL}.runtime: {runtime} has its metrics at {what} {theirs}, and the chart asks {what} {ours}"
            remedy = f"{MODEL}.{METRICS[what][0]}: {theirs}"
            yield Finding(CHECK, file, line, said, remedy, "warning")


def _port(target: Target, manifest: Manifest, there: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield that a server listens elsewhere than it is asked: at what was written of the two."""
    found = runtimes.unheard_port(manifest.data, there)
    if found is None:
        return
    runtime, ours = target.value((MODEL, "runtime")), found.ours
    if _written(target, "port"):
        told = f"the server is told {ours.text}" if ours else f"{runtime} is told {found.theirs}"
        said = f"{MODEL}.port: {told}, and nothing tells it of {found.port}, where requests and probes come"
        remedy = f"{MODEL}.port: {ours.value}" if ours else f"tell it by {MODEL}.args"
        yield Finding(CHECK, *target.place((MODEL, "port")), said, f"{remedy}; or write the port that it listens on")
    elif ours:
        said = f"{MODEL}.{ours.path[0]}: {ours.text}: requests and probes come to {found.port}"
        remedy = f"{'leave it out; or ' if runtime else ''}{MODEL}.port: {ours.value}"
        place = target.place((MODEL, *ours.path))
        yield Finding(CHECK, *place, f"{said}, and nothing tells the server of that", remedy)


def _otherwise(target: Target, manifest: Manifest, there: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what a server is told beside its runtime by which it is not what the chart takes it for."""
    named = ", ".join(f"{probe} asks {path}" for probe, path in runtimes.models_asked(manifest.data).items())
    for word, theirs in runtimes.otherwise(manifest.data, there):
        own = f"{MODEL}.{word.path[0]}: {word.text}"
        if theirs.value == runtimes.NAME and named:
            said = f"{own}: the server calls its model so, and the chart's {named}"
            keys = f"{MODEL}.probes.readinessPath and {MODEL}.knownAnswer.path"
            remedy = f"leave it out: the model has the application's name; or write the path with that one in {keys}"
        elif _is_file(theirs.value) and not _is_file(word.value):
            said = f"{own}: {MODEL}.storageUri is in {theirs.value}, and the server would serve another model than that"
            remedy = f"leave it out, or name a folder in {runtimes.FILES}"
        else:
            continue
        yield Finding(CHECK, *target.place((MODEL, *word.path)), said, remedy)


def _is_file(text: str) -> bool:
    """Tell whether a text is a place among the files that KServe puts there."""
    return PurePosixPath(posixpath.normpath(text)).is_relative_to(runtimes.FILES)


def _written(target: Target, *keys: str) -> bool:
    """Tell whether somebody has written a value of the model, beside the chart itself."""
    file, line = target.place((MODEL, *keys))
    return bool(line) and file != target.values[-1].file
