"""Where a thing stands: the line of a key in a YAML file, and in a Helm template, which is no YAML."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Path = Sequence[str | int]
KEY = r"""["']?{}["']?\s*:(?:\s|$)"""
PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]|\[([^\]]+)\]")
NULL = "tag:yaml.org,2002:null"
CONTROL = re.compile(r"\{\{-?\s*(?:if|else|range|with|end)\b")


def values_line(text: str, path: Path) -> int:
    """Return the line of a key in a YAML file.

    Args:
        text: The file.
        path: Keys and list indices from its top.

    Returns:
        Line from 1; 0 where the file has no such key, or is no YAML.
    """
    line, _, missing = _walked(text, path)
    return 0 if missing else line


def counting_line(text: str, path: Path) -> int:
    """Return the line of a key in a file of Helm values, or of the null around it, which takes away what others have.

    Args:
        text: The file.
        path: As for `values_line`.
    """
    line, tag, missing = _walked(text, path)
    return 0 if missing and tag != NULL else line


def _walked(text: str, path: Path) -> tuple[int, str, int]:
    """Return line and tag of a key in a YAML file, or of the nearest around it, and how many are missing from there."""
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return 0, "", len(path)
    line = 0
    for depth, part in enumerate(path):
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line, node.tag, len(path) - depth
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line, node.tag if node else "", len(path) - depth
    return line, node.tag if node else "", 0


def nearest_line(text: str, path: Path) -> int:
    """Return the line of a key in a YAML file, or of the nearest one around it that is there; else the first.

    Args:
        text: The file.
        path: Keys and list indices from its top.
    """
    return next(filter(None, (values_line(text, path[:depth]) for depth in range(len(path), 0, -1))), 1)


def walk(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Path, Any]]:
    """Yield everything in a value, with the way there."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for part, item in inner:
        yield (*path, part), item
        yield from walk(item, (*path, part))


def from_end(value: Any, path: Path) -> Path:
    """Return a way with list indices counted from the end, as a template that adds to lists adds in front.

    Args:
        value: What it leads into.
        path: Each part of it is there.
    """
    found: list[str | int] = []
    for part in path:
        found.append(part - len(value) if isinstance(part, int) else part)
        value = value[part]
    return found


def indices(path: Path) -> Path:
    """Return the list indices of a way."""
    return [part for part in path if isinstance(part, int)]


def shared(one: Path, other: Path) -> int:
    """Return how many keys two ways have in common at their ends; 0 where one of them alone ends in a list."""
    if not other or isinstance(one[-1], int) != isinstance(other[-1], int):
        return 0
    return same_end(*([part for part in path if isinstance(part, str)] for path in (one, other)))


def same_end(one: Path, other: Path) -> int:
    """Return how many keys and list indices two ways have in common at their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def field_path(field: str) -> tuple[str | int, ...]:
    """Return the path of a field as Kubernetes writes it, such as spec.ports[0].name or limits[nvidia.com/gpu]."""
    return tuple(int(index) if index else key or whole for key, index, whole in PART.findall(field))


@dataclass(frozen=True)
class _Line:
    number: int
    indent: int  # of the key; behind the dash for the first key of a list item
    dash: int | None  # of the dash, if the line begins a list item
    text: str
    control: bool


def template_line(text: str, kind: str, path: Path, *, index: int = 0, siblings: int = 1) -> int:
    """Return the line of a key in a Helm template, as deep along `path` as the template spells it out.

    Args:
        text: The template.
        kind: The object's kind.
        path: Keys and list indices from the object's top.
        index: Which of the objects of this kind that were rendered from this template.
        siblings: How many they are.

    Returns:
        Line from 1 of the key, or of the nearest one around it that the template holds literally; 0 where the object
        itself cannot be told from others.
    """
    of_kind = re.compile(KEY.format("kind") + rf"\s*[\"']?{re.escape(kind)}[\"']?\s*$")
    documents = [lines for lines in _documents(text) if any(of_kind.match(line.text) for line in lines)]
    if len(documents) == siblings:
        lines = documents[index]
    elif len(documents) == 1:
        lines = documents[0]
    else:
        return 0
    number = next(line.number for line in lines if of_kind.match(line.text))
    for part in path:
        found = _item(lines, part) if isinstance(part, int) else _key(lines, part)
        if found is None:
            break
        at, lines = found
        number = at.number
    return number


def _documents(text: str) -> list[list[_Line]]:
    documents: list[list[_Line]] = [[]]
    comment = False
    for number, raw in enumerate(text.splitlines(), start=1):
        bare = raw.strip()
        comment = comment or bare.startswith(("{{/*", "{{- /*"))
        skipped = comment or not bare or bare.startswith("#")
        if comment and "*/" in bare:
            comment = False
        if skipped:
            continue
        if raw.startswith("---"):
            documents.append([])
            continue
        column = len(raw) - len(raw.lstrip())
        control = bare.startswith("{{")
        item = re.match(r"-(?:\s+|$)", bare)
        if item and not control:
            documents[-1].append(_Line(number, column + item.end(), column, bare[item.end() :], control))
        else:
            documents[-1].append(_Line(number, column, None, bare, control))
    return documents


def _key(lines: Sequence[_Line], name: str) -> tuple[_Line, list[_Line]] | None:
    """Find a key of a mapping and the lines of its value."""
    indent = next((line.indent for line in lines if not line.control), None)
    pattern = re.compile(KEY.format(re.escape(name)))
    places = [
        at for at, line in enumerate(lines) if not line.control and line.indent == indent and pattern.match(line.text)
    ]
    if len(places) != 1 or indent is None:
        return None  # not spelled out here, or in two branches of a condition
    at = places[0]
    block = []
    for line in lines[at + 1 :]:
        # a list may stand at its key's own indentation
        if not line.control and (line.indent <= indent or (line.dash is not None and line.dash < indent)):
            break
        block.append(line)
    return lines[at], block


def _item(lines: Sequence[_Line], index: int) -> tuple[_Line, list[_Line]] | None:
    """Find an item of a list and its lines, unless a condition or a loop decides how many there are."""
    dash = next((line.dash for line in lines if not line.control), None)
    if dash is None:
        return None
    starts = [at for at, line in enumerate(lines) if line.dash == dash]
    if index >= len(starts) or any(line.control and line.indent <= dash + 2 for line in lines[: starts[-1]]):
        return None
    end = starts[index + 1] if index + 1 < len(starts) else len(lines)
    return lines[starts[index]], list(lines[starts[index] : end])
