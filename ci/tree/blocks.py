"""A mapping put into a YAML file, on lines of its own; every other line stays as it is."""

import copy
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml
from ci.tree import scalars

INDENT = 2


def set_block(content: bytes, path: tuple[str, ...], value: Mapping[str, Any], name: str = "file") -> bytes:
    """Set what stands at a path to a mapping; keys on the way that are not there are written, too.

    Args:
        content: The file, one document in block style.
        path: Keys from the top.
        value: The mapping.
        name: What errors call the file.

    Returns:
        The file; the very same bytes where it says so already.

    Raises:
        UsageError: The file is no YAML, or the place is written in a way that has no lines of its own.
    """
    before = kubernetes_yaml.read(content, name)
    mark, text = kubernetes_yaml.decoded(content, name)
    wanted = _with(before, path, value)
    if wanted == before:
        return content
    edited = _edited(text, yaml.compose(text, Loader=yaml.CSafeLoader), path, value)
    try:
        done = kubernetes_yaml.read(edited.encode(), name)
    except UsageError:
        done = None
    if done != wanted:
        raise UsageError(
            f"{name}: {'.'.join(path)} cannot be set without a change to something else",
            fix=f"Write it on lines of its own: {_dumped(value, in_one_line=True)}",
        )
    return mark + edited.encode()


def _with(data: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return data with a value at a path."""
    if not path:
        return value
    own = dict(data) if isinstance(data, Mapping) else {}
    own[path[0]] = _with(copy.deepcopy(own.get(path[0])), path[1:], value)
    return own


def _edited(text: str, root: yaml.Node | None, path: tuple[str, ...], value: Mapping[str, Any]) -> str:
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith(ending):
        lines[-1] += ending
    node, key, depth = root, None, 0
    while depth < len(path) and isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        pair = next((pair for pair in node.value if pair[0].value == path[depth]), None)
        if pair is None:
            break
        (key, node), depth = pair, depth + 1
    if isinstance(node, yaml.MappingNode) and node.value and depth < len(path):
        first, last = node.value[0][0], node.value[-1][1]
        at, column = _end(last) + 1, first.start_mark.column
    elif key is not None and node is not None:
        start = key.start_mark.line
        at, column = start + 1, key.start_mark.column + INDENT
        lines[start] = f"{lines[start][: key.end_mark.column]}:{ending}"
        del lines[at : max(at, _end(node) + 1)]
    else:
        at, column = len(lines), 0
    block: Any = value
    for step in reversed(path[depth:]):
        block = {step: block}
    written = textwrap.indent(_dumped(block), " " * column).splitlines()
    return "".join([*lines[:at], *(f"{line}{ending}" for line in written), *lines[at:]])


def _dumped(value: Any, *, in_one_line: bool = False) -> str:
    style = True if in_one_line else None  # a mapping of scalars has one line, others have lines of their own
    written: str = yaml.dump(
        value,
        Dumper=scalars.Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=style,
    )
    return written


def _end(node: yaml.Node) -> int:
    """Return the last line of a node: a block's own end is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.line) - (
        1 if node.end_mark.column == 0 and node.end_mark.line > node.start_mark.line else 0
    )
