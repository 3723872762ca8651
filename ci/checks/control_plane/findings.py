"""From what a control plane has against an object to the value that it is about, with file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.manifests import manifests, places
from ci.manifests.chart import Rendering
from ci.manifests.manifests import Manifest
from ci.results import Finding

CHECK = "control-plane"
FIELD = re.compile(r"\b(?:spec|metadata|data)(?:\.[\w/-]+|\[[^\]]*\])+")
"""A field in what is said."""
TELLING = 4
"""Letters that a value needs to be told by where no field is named: shorter ones are in any sentence."""
REMEDY = "change what it names: a cluster refuses it as well"
REMEDIES = {"Undecided": "run it again; `--no-control-plane` leaves this check out"}


@dataclass(frozen=True)
class Refusal:
    """One thing that the control plane has against an object.

    Attributes:
        target: The application's name.
        manifest: The object.
        finding: What, and where.
    """

    target: str
    manifest: Manifest
    finding: Finding


def refusals(renderings: Sequence[Rendering], complaints: Sequence[Mapping[str, Any]]) -> Iterator[Refusal]:
    """Yield what is wrong with renderings.

    Args:
        renderings: What was applied.
        complaints: As `inside.apply` tells them.
    """
    objects = {each.target.name: each.objects for each in renderings}
    for each in complaints:
        manifest, said = objects[each["application"]][each["object"]], " ".join(each["said"].split())
        path = place(manifest.data, each["field"] or _field(said), said)
        message = said if not each["field"] or each["field"] in said else f"{each['field']}: {said}"
        finding = manifest.finding(CHECK, path, message, REMEDIES.get(each["reason"], REMEDY))
        yield Refusal(each["application"], manifest, finding)


def untold(found: Sequence[Refusal], others: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, Finding]]:
    """Yield what no other check says: of its own few rules each knows the place better.

    Args:
        found: What the control plane has to say.
        others: What other checks found, each with its target's name.
    """
    for each in found:
        own = [finding for target, finding in others if target == each.target]
        if not any(_tells(finding, each.manifest) for finding in own):
            yield each.target, each.finding


def _tells(finding: Finding, manifest: Manifest) -> bool:
    """Tell whether a finding is why an object is refused."""
    kinds = {"rules": "PrometheusRule", "runtimes": "InferenceService"}
    return kinds.get(finding.check) == manifest.kind or (
        finding.check == "schema" and finding.message.startswith(f"{manifest}: ")
    )


def place(data: Mapping[str, Any], field: str, said: str) -> places.Path:
    """Return the path of the value that something is said of; of the object itself where that cannot be told.

    What is refused may be an object that a controller made of this one: there the field has another beginning. A
    message repeats the value, too.

    Args:
        data: The object.
        field: The field as Kubernetes writes it; empty where none is named.
        said: What is said.
    """
    wanted = places.field_path(field)
    values = [
        (path, value)
        for path, value in places.walk(data)
        if path not in (("metadata", "name"), ("metadata", "namespace"))
    ]
    if not wanted:
        told = [
            (len(value), path)
            for path, value in values
            if isinstance(value, str) and len(value) >= TELLING and value in said
        ]
        return max(told, key=lambda each: each[0])[1] if told else ()
    if manifests.dig(data, *wanted) is None:
        near = [(places.shared(path, wanted), _repeated(path, value, said), -len(path), path) for path, value in values]
        keys, _, _, found = max(near, key=lambda each: each[:3], default=(0, 0, 0, ()))
        if not keys:
            return ()
        wanted = tuple(found)
    inner = [path for path, value in places.walk(manifests.dig(data, *wanted)) if _repeated(path, value, said)]
    return (*wanted, *inner[0]) if inner else wanted


def _repeated(path: places.Path, value: Any, said: str) -> bool:
    """Tell whether what is said has a value, or its key, in quotes."""
    return any(f'"{each}"' in said for each in (value, path[-1]) if isinstance(each, str | int))


def _field(said: str) -> str:
    found = FIELD.search(said)
    return found[0] if found else ""
