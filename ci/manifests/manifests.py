"""The objects of one rendered chart, each with the template it came from."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import documents, kubernetes_yaml, places

if TYPE_CHECKING:
    from ci.results import Finding

SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Own:
    """A value of an application's own.

    Attributes:
        key: Its keys, with dots.
        file: Where it stands.
        line: The line there.
    """

    key: str
    file: str
    line: int


Origin = Callable[[places.Path, Any], Own | None]


@dataclass(frozen=True)
class Manifest:
    """One rendered object.

    Attributes:
        data: The object.
        text: Its YAML.
        file: Its template, as a path from the top of the checkout.
        template: The template's text; empty where there is none to look into.
        index: Which of the objects of its kind from that template it is.
        siblings: How many they are.
        origin: Returns the application's own value that the one at a path comes from, whose indices count from the end.
    """

    data: Mapping[str, Any]
    text: str
    file: str
    template: str = ""
    index: int = 0
    siblings: int = 1
    origin: Origin | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.data.get("kind", ""))

    @property
    def name(self) -> str:
        """Its name."""
        return str(dig(self.data, "metadata", "name") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return mapping(dig(self.data, "metadata", "labels"))

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def dig(self, *path: str | int) -> Any:
        """Return the value at `path`, or None."""
        return dig(self.data, *path)

    def line(self, path: places.Path = ()) -> int:
        """Return the line in the template of the value at `path`; 0 where that cannot be known."""
        return places.template_line(self.template, self.kind, path, index=self.index, siblings=self.siblings)

    def finding(self, check: str, path: places.Path, message: str, remedy: str) -> "Finding":
        """Return what a check has to say of the value at `path`: where an application has it, else in the template.

        Args:
            check: The check.
            path: In the object.
            message: What is wrong.
            remedy: How to correct it.
        """
        from ci.results import Finding  # all that a report has: most who look into manifests make none

        found = Finding(check, self.file, self.line(path), f"{self}: {message}", remedy)
        own = self._own(path)
        if own is None:
            return found
        return Finding(check, own.file, own.line, f"{found.message} ({own.key}, rendered by {found.place})", remedy)

    def _own(self, path: places.Path) -> Own | None:
        """Return the application's own value at a path; where nothing is there, the nearest one around it."""
        if self.origin is None:
            return None
        there = next((depth for depth in range(len(path), 0, -1) if self.dig(*path[:depth]) is not None), 0)
        own = path[:there]
        return self.origin(places.from_end(self.data, own), self.dig(*own)) if there else None


def differing(one: Any, other: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each value that is not the same in both; of the nearest one around it where it is in a list.

    Args:
        one: What YAML or JSON makes of a document, or a part of it.
        other: The other.
        path: Of both.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            if key in one and key in other:
                yield from differing(one[key], other[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from differing(mine, its, (*path, number))
    elif type(one) is not type(other) or one != other:
        yield path


def dig(value: Any, *path: str | int) -> Any:
    """Return the value at `path` of nested mappings and lists, or None where there is none."""
    for part in path:
        if isinstance(value, Mapping) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one: a wrong type is the schema check's finding."""
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield index and value of the mappings in a list."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, Mapping):
            yield index, item


def parse(rendered: str, templates: Mapping[str, str], chart: str, origin: Origin | None = None) -> list[Manifest]:
    """Take apart what `helm template` printed.

    Args:
        rendered: The output.
        templates: Text of each template by its path in the chart ("templates/rollout.yaml").
        chart: Path of the chart from the top of the checkout.
        origin: As `Manifest` has it.

    Returns:
        The objects in the order of the output; those of a List each by itself.

    Raises:
        CheckFailedError: An object is YAML to helm but cannot be read here.
    """
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for text in kubernetes_yaml.SEPARATOR.split(rendered):
        comment = SOURCE.search(text)
        # helm names it <chart's name>/templates/…
        source = comment[1].partition("/")[2] if comment else ""
        try:
            objects = documents.parse(text, f"{chart}/{source}")
        except UsageError as error:
            said = error.message.partition(": ")[2]  # whose line is one of what helm printed
            raise CheckFailedError(f"{chart}/{source}: {said}", fix=error.fix, detail=text) from error
        found += [(source, text if len(objects) == 1 else json.dumps(data), data) for data in objects]
    total = Counter((source, str(data.get("kind"))) for source, _, data in found)
    seen: Counter[tuple[str, str]] = Counter()
    manifests = []
    for source, text, item in found:
        key = (source, str(item.get("kind")))
        manifests.append(
            Manifest(item, text, f"{chart}/{source}", templates.get(source, ""), seen[key], total[key], origin)
        )
        seen[key] += 1
    return manifests


def named(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest | None:
    """Return the object of this kind and name, or None."""
    return next((manifest for manifest in manifests if manifest.kind == kind and manifest.name == name), None)
