"""Scalars and keys in a YAML file, changed so that only their own bytes differ."""

import itertools
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml

KeyPath = tuple[str | int, ...]
"""The way to a node: keys of mappings as they are written, places in sequences counted from 0."""

MERGE = "<<"
STRING = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"
PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9._/:@+-]*[A-Za-z0-9._/@+-])?")
"""What is written without quotes; inside `{}` and `[]` it needs none either."""
NOT_STRINGS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"})
"""Words that YAML 1.1, YAML 1.2 or Helm may read as something else, in any case."""
LINE_BREAK = re.compile("[\n\x85\u2028\u2029]")
BLOCK_SCALAR = re.compile(r"[|>][-+0-9]*(?P<comment>[^\r\n]*)(?P<body>.*)", re.DOTALL)
NO_MARKS = {"start_mark": None, "end_mark": None}

_resolver: Any = yaml.resolver.Resolver()


def read(content: bytes, paths: Iterable[KeyPath], name: str = "file") -> dict[KeyPath, str]:
    """Return the text of scalars as it stands, whatever type YAML reads it as; null is the empty string.

    Raises:
        UsageError: As for `set_scalars`.
    """
    _, text = kubernetes_yaml.decoded(content, name)
    found = _find(text, list(paths), name)
    return {path: "" if _tag(event) == NULL else event.value for path, (_, event) in found.items()}


def set_scalars(content: bytes, values: Mapping[KeyPath, str], name: str = "file") -> bytes:
    """Set scalars, each read back as exactly that string by every reader of YAML.

    Everything else stays, byte for byte: comments, anchors, line breaks, a byte order mark. So do the quotes where the
    new value can be written in their kind; a block scalar becomes a double-quoted one.

    Args:
        content: The file.
        values: The new values; each path must be there, once in the whole file.
        name: What errors call the file.

    Returns:
        The file with the values set; the very same bytes when it has them already, as strings.

    Raises:
        UsageError: The file is not YAML in UTF-8, a path leads to no scalar of its own, or YAML cannot carry a value.
    """
    for path, value in values.items():
        # what YAML does not call printable, and the carriage return, which no value has on purpose
        if unwritable := yaml.reader.Reader.NON_PRINTABLE.search(value) or re.search("\r", value):
            said = f"the new value has U+{ord(unwritable[0]):04X}, which YAML cannot carry"
            raise _refusal(name, path, None, said, "Leave that character out.")
    mark, text = kubernetes_yaml.decoded(content, name)
    changes = {
        number: (path, event, values[path])
        for path, (number, event) in sorted(_find(text, values, name).items(), key=lambda item: item[1][0])
        if not (_is_string(event) and event.value == values[path])
    }
    pieces: list[str] = []
    done = 0
    for _, event, value in changes.values():
        start, end, written = _replacement(text, event, value)
        pieces += [text[done:start], written]
        done = end
    edited = "".join([*pieces, text[done:]])
    if not _differ_only_in(text, edited, {number: value for number, (_, _, value) in changes.items()}):
        which = ", ".join(f"{_dotted(path)} (line {_line(event)})" for path, event, _ in changes.values())
        said = f"{name}: {which}: cannot be set without a change to something else"
        raise UsageError(said, fix="Write it as `key: value`, on a line of its own.")
    return mark + edited.encode()


def keys(content: bytes, name: str = "file", within: KeyPath = ()) -> dict[str, int]:
    """Return the keys of a mapping, each with its line; none where there is no mapping.

    Args:
        content: The file, one document.
        name: What errors call it.
        within: The way to the mapping; the whole file by default.

    Raises:
        UsageError: The file is not YAML in UTF-8, or more than one document.
    """
    _, text = kubernetes_yaml.decoded(content, name)
    node = _composed(text, name)
    for step in within:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == step), None)
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return {key.value: key.start_mark.line + 1 for key, _ in pairs if isinstance(key, yaml.ScalarNode)}


def without(content: bytes, gone: Collection[str], name: str = "file") -> bytes:
    """Remove keys of a file, each with its value and the comments beside and right above it.

    Everything else stays, byte for byte, and so does the comment that the file begins with.

    Args:
        content: The file, one document.
        gone: Keys of the mapping that the file is; one that is not there is none to remove.
        name: What errors call the file.

    Raises:
        UsageError: The file is not YAML in UTF-8, or a key cannot be removed without a change to something else.
    """
    mark, text = kubernetes_yaml.decoded(content, name)
    root = _composed(text, name)
    if not isinstance(root, yaml.MappingNode):
        return content
    edited = text
    for key, value in reversed(root.value):
        if key.value in gone:
            edited = _without_lines(edited, key, value)
    left = [(key, value) for key, value in root.value if key.value not in gone]
    try:
        now = yaml.compose(edited, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        now = root
    if _as_written(left) != _as_written(now.value if now else []):
        first = next(key for key, _ in root.value if key.value in gone)
        said = (
            f"{name}:{first.start_mark.line + 1}: {first.value}: cannot be removed without a change to something else"
        )
        raise UsageError(said, fix=f"Remove it by hand: {', '.join(sorted(gone))}.")
    return mark + edited.encode()


def written(value: str, style: str | None = None) -> str:
    """Return how a string is written on one line, so that every reader of YAML reads it back as that string.

    Args:
        value: The string.
        style: The quotes that it should have, by PyYAML's name; by default none where it needs none.
    """
    if not style and PLAIN.fullmatch(value) and value.lower() not in NOT_STRINGS:
        return value
    # within single quotes a line break would be a real one
    quotes = "'" if style == "'" and not LINE_BREAK.search(value) else '"'
    return yaml.dump(value, default_style=quotes, width=sys.maxsize, allow_unicode=True).removesuffix("\n")


class Dumper(yaml.SafeDumper):
    """Writes strings so that every reader of YAML takes them for strings, and text of several lines as such."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if written(text) == text else '"'
    return dumper.represent_scalar(STRING, text, style=style)


Dumper.add_representer(str, _string)


class _Node(NamedTuple):
    """A node on the way of a path, by the event it begins with and that event's place among all of the file."""

    document: int
    number: int
    event: yaml.NodeEvent


@dataclass
class _Open:
    """A mapping or sequence that the parser is inside of; its path is None where none asked for leads through."""

    path: KeyPath | None
    is_mapping: bool
    nodes: int = 0
    key: str | None = None

    def enter(self, text: str | None) -> KeyPath | None:
        """Return the path of the next node in it, whose text this is; a key has none."""
        self.nodes += 1
        if self.is_mapping and self.nodes % 2:
            self.key = text
            return None
        step = self.key if self.is_mapping else self.nodes - 1
        return None if self.path is None or step is None else (*self.path, step)


def _find(text: str, paths: Collection[KeyPath], name: str) -> dict[KeyPath, tuple[int, yaml.ScalarEvent]]:
    """Return the scalars at these paths and their places among the events."""
    ways = {path[:length] for path in paths for length in range(len(path) + 1)}
    found: dict[KeyPath, list[_Node]] = {way: [] for way in ways | {(*way, MERGE) for way in ways}}
    inside: list[_Open] = []
    anchored: dict[str, str | None] = {}
    document = 0
    for number, event in enumerate(_events(text, name)):
        if isinstance(event, yaml.DocumentStartEvent):
            document += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            inside.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        value = event.value if isinstance(event, yaml.ScalarEvent) else None
        if isinstance(event, yaml.AliasEvent):
            value = anchored.get(event.anchor or "")
        elif event.anchor:
            anchored[event.anchor] = value
        path = inside[-1].enter(value) if inside else ()
        if path is not None and path in found:
            if path in ways and found[path] and found[path][-1].document == document:
                said = f"the key is there twice, first in line {_line(found[path][-1].event)}"
                raise _refusal(name, path, event, said, "Leave one.")
            found[path].append(_Node(document, number, event))
        else:
            path = None
        if isinstance(event, yaml.CollectionStartEvent):
            inside.append(_Open(path, isinstance(event, yaml.MappingStartEvent)))
    return {path: _scalar(path, found, name) for path in paths}


def _scalar(path: KeyPath, found: Mapping[KeyPath, list[_Node]], name: str) -> tuple[int, yaml.ScalarEvent]:
    """Return the one node at a path if it is a scalar of its own, and refuse anything else."""
    if not found[path]:
        raise _missing(path, found, name)
    _, number, event = found[path][0]
    if len(found[path]) > 1:
        said = f"is in more than one document, again in line {_line(found[path][1].event)}"
        raise _refusal(name, path, event, said, "Give each document a file of its own.")
    if isinstance(event, yaml.AliasEvent):
        fix = f"Write a value in its place, or set the one at &{event.anchor}."
        raise _refusal(name, path, event, f"is the alias *{event.anchor}", fix)
    if not isinstance(event, yaml.ScalarEvent):
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "list"
        raise _refusal(name, path, event, f"is a {kind}, not a scalar", "Name a scalar inside it.")
    if event.tag not in (None, STRING):
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise _refusal(name, path, event, f"has the tag {tag}, so it is no string", "Remove the tag.")
    return number, event


def _missing(path: KeyPath, found: Mapping[KeyPath, list[_Node]], name: str) -> UsageError:
    """Return the error for a path that leads nowhere: how far it leads, and why no further."""
    way = path
    while way and not found[way]:
        way = way[:-1]
    if not found[way]:
        return _refusal(name, path, None, "the file has nothing in it", "Write the key into the file first.")
    event, merges = found[way][0].event, found[(*way, MERGE)]
    said = f"{_dotted(way)} has no {path[len(way)]}"
    fix = "Write it there; docs/gitops.md shows what a file has."
    if isinstance(event, yaml.AliasEvent):
        said = f"{_dotted(way)} is the alias *{event.anchor}"
        fix = f"Write a mapping in its place, or set the one at &{event.anchor}."
    elif merges:
        said += f" of its own, only what line {_line(merges[0].event)} merges into it"
    return _refusal(name, path, event, said, fix)


def _replacement(text: str, event: yaml.ScalarEvent, value: str) -> tuple[int, int, str]:
    """Return where a scalar's own text starts and ends, without its anchor and tag, and what to write there."""
    assert event.start_mark is not None
    assert event.end_mark is not None
    start, end = event.start_mark.index, event.end_mark.index
    scalar = written(value, event.style)
    if event.anchor or event.tag:  # the event begins with them; only the tokens tell where they end
        tokens = yaml.scan(text[start:end], Loader=yaml.CLoader)
        own = next((token for token in tokens if isinstance(token, yaml.ScalarToken)), None)
        start = start + own.start_mark.index if own else end
    if start == end:
        return end, end, scalar if text[end - 1].isspace() else f" {scalar}"
    if block := BLOCK_SCALAR.match(text[start:end]) if event.style in ("|", ">") else None:
        body = block["body"]
        scalar += block["comment"] + body[len(body.rstrip(" \t\r\n")) :]
    return start, end, scalar


def _without_lines(text: str, key: yaml.Node, value: yaml.Node) -> str:
    """Return a text without the lines that a key and its value begin and end in."""
    lines = text.split("\n")
    first, last = key.start_mark.line, _last(value).end_mark.line
    comment = first
    while comment and lines[comment - 1].startswith("#"):
        comment -= 1
    if comment and not lines[comment - 1].startswith("---"):
        first = comment
    after = last + 1
    if (first == 0 or not lines[first - 1].strip()) and after < len(lines) - 1 and not lines[after].strip():
        after += 1
    return "\n".join(lines[:first] + lines[after:])


def _last(node: yaml.Node) -> yaml.Node:
    """Return the node that a value ends with: a block's own end is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return node


def _as_written(pairs: list[tuple[yaml.Node, yaml.Node]]) -> str:
    """Return what pairs of a mapping say, whatever is between them."""
    return str(yaml.serialize(yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)))


def _differ_only_in(before: str, after: str, values: Mapping[int, str]) -> bool:
    """Tell whether two texts are the same events but for some scalars, which are these strings in the second."""
    events = (yaml.parse(text, Loader=yaml.CLoader) for text in (before, after))
    try:
        for number, (old, new) in enumerate(itertools.zip_longest(*events)):
            if type(old) is not type(new):
                return False
            expected = vars(old) | NO_MARKS
            if number in values:
                if not (isinstance(new, yaml.ScalarEvent) and _is_string(new)):
                    return False
                expected |= {"value": values[number], "style": new.style, "implicit": new.implicit}
            if vars(new) | NO_MARKS != expected:
                return False
    except yaml.YAMLError:
        return False
    return True


def _is_string(event: yaml.ScalarEvent) -> bool:
    """Tell whether every reader takes the scalar for a string."""
    certain = event.style or event.tag or (event.value[:1].isalpha() and event.value.lower() not in NOT_STRINGS)
    return bool(certain) and _tag(event) == STRING


def _tag(event: yaml.ScalarEvent) -> str:
    return event.tag or str(_resolver.resolve(yaml.ScalarNode, event.value, event.implicit))


def _events(text: str, name: str) -> Iterator[yaml.Event]:
    with kubernetes_yaml.reading(text, name):
        yield from yaml.parse(text, Loader=yaml.CLoader)


def _composed(text: str, name: str) -> yaml.Node | None:
    with kubernetes_yaml.reading(text, name):
        return yaml.compose(text, Loader=yaml.CSafeLoader)


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path)) or "the top"


def _refusal(name: str, path: KeyPath, event: yaml.Event | None, said: str, fix: str) -> UsageError:
    place = f"{name}:{_line(event)}" if event else name
    return UsageError(f"{place}: {_dotted(path)}: {said}", fix=fix)
