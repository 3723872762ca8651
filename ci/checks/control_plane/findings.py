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
NAMES = (("metadata", "name"), ("metadata", "namespace"))
"""What nearly every message repeats."""
OF_KSERVE: Mapping[str | int, str] = {"containers": "model"}
"""Keys of the pods that KServe makes, and what it makes them of."""
TOLD_BY = {"rules": "PrometheusRule", "runtimes": "InferenceService"}
"""Kind of the objects that a check looks into."""
REMEDY = "change what it names: a cluster refuses it as well"
REMEDIES = {"Undecided": "run it again; `--no-control-plane` leaves this check out"}


@dataclass(frozen=True)
class Refusal:
    """One thing that the control plane has against an object.

    Attributes:
        target: The application's name.
        manifest: The object.
        said: What.
        finding: The same, where it is to be changed.
    """

    target: str
    manifest: Manifest
    said: str
    finding: Finding

    def is_told_by(self, other: Finding) -> bool:
        """Tell whether a finding of another check is about the same."""
        if other.check == "schema":
            return other.message.startswith(f"{self.manifest}: ")
        return TOLD_BY.get(other.check) == self.manifest.kind


def refusals(renderings: Sequence[Rendering], complaints: Sequence[Mapping[str, Any]]) -> Iterator[Refusal]:
    """Yield what is wrong with renderings.

    Args:
        renderings: What was applied.
        complaints: As `inside.apply` tells them.
    """
    objects = {each.target.name: each.objects for each in renderings}
    for each in complaints:
        manifest, said = objects[each["application"]][each["object"]], " ".join(each["said"].split())
        field = each["field"]
        path = places.field_path(field)
        if not field or manifest.dig(*path) is None:
            path = tuple(place(manifest.data, field or _field(said), said))
        else:
            path = (*path, *_inner(manifest.dig(*path), said))
        message = said if field in said else f"{field}: {said}"
        finding = manifest.finding(CHECK, path, message, REMEDIES.get(each["reason"], REMEDY))
        yield Refusal(each["application"], manifest, said, finding)


def untold(found: Sequence[Refusal], others: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, Finding]]:
    """Yield what no other check says, for of its own rules each knows the place better; of one value once.

    Args:
        found: What the control plane has to say.
        others: What other checks found, each with its target's name.
    """
    told = set()
    for each in found:
        cause = (each.target, each.finding.place, each.said)
        if cause not in told and not any(
            each.is_told_by(finding) for target, finding in others if target == each.target
        ):
            told.add(cause)
            yield each.target, each.finding


def place(data: Mapping[str, Any], field: str, said: str) -> places.Path:
    """Return the path of the value that something is said of; of the object itself where that cannot be told.

    What is refused may be another object, which a controller made of this one: its field has another beginning. A
    message repeats the value in most cases.

    Args:
        data: The object.
        field: The field as Kubernetes writes it; empty where none is named.
        said: What is said.
    """
    values = [(path, value) for path, value in places.walk(data) if path not in NAMES]
    if not field:
        texts = [(path, value) for path, value in values if isinstance(value, str) and len(value) >= TELLING]
        return max(((len(value), path) for path, value in texts if value in said), default=(0, ()))[1]
    made = places.field_path(field)
    own = tuple(OF_KSERVE.get(part, part) for part in made)
    near = [
        (bool(_inner(value, said) or _is_repeated(path, value, said)), shared, -len(path), path)
        for path, value in values
        if (shared := max(places.shared(path, made), places.shared(path, own)))
    ]
    if not near:
        return ()
    *_, found = max(near, key=lambda each: each[:3])
    return (*found, *_inner(manifests.dig(data, *found), said))


def _inner(value: Any, said: str) -> places.Path:
    """Return the way to the first thing in a value that is repeated in what is said."""
    return next((path for path, inner in places.walk(value) if _is_repeated(path, inner, said)), ())


def _is_repeated(path: places.Path, value: Any, said: str) -> bool:
    """Tell whether what is said has a value, or its key, in quotes."""
    return any(f'"{each}"' in said for each in (value, path[-1]) if isinstance(each, str | int))


def _field(said: str) -> str:
    found = FIELD.search(said)
    return found[0] if found else ""
