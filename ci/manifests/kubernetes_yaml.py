"""YAML as Kubernetes, Helm and Argo CD read it, and nothing that another reader takes for something else.

All three read with sigs.k8s.io/yaml, which reads with go.yaml.in/yaml/v2 and goes on with what JSON can carry. PyYAML's
own rules differ (`12:30` is 750 to them, `1e3` a string), so plain scalars are resolved here as that library's
resolve.go does; tests/upstream holds the two together. What it reads in a way that no person means is refused.
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from ci.base import nesting
from ci.base.errors import UsageError

PREFIX = "tag:yaml.org,2002:"
STRING = f"{PREFIX}str"
PLAIN = "plain"
"""Tag of a scalar without quotes and tag, for nothing but its text says what it is."""
MERGE = "<<"
WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>[1-9][0-9]*|0))"
)
BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
EXACT = 2**53
"""On the way through JSON a whole number beyond is rounded."""
MOST = 100_000
"""Nodes of a file, those that an alias stands for counted each time: a few lines of YAML can stand for billions."""


class _Loader(yaml.CSafeLoader):
    """Tells scalars without quotes and tag from all others, and decides nothing about them."""


_Loader.yaml_implicit_resolvers = {None: [(PLAIN, re.compile("", re.DOTALL))]}


def read(content: bytes, name: str) -> Any:
    """Return what a file has, its one document.

    Args:
        content: The file.
        name: What errors call it.

    Raises:
        UsageError: It is not YAML in UTF-8, is more than one document, has a key twice, a merge key, a tag, a key that
            is no string, or a number that JSON has not; or it is too deep or too large.
    """
    return nesting.read(lambda: _Reader(name).document(content), name)


def decoded(content: bytes, name: str) -> tuple[bytes, str]:
    """Return a file's byte order mark, if any, and the text after it.

    Raises:
        UsageError: It is not UTF-8; the line is named.
    """
    mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    try:
        return mark, content[len(mark) :].decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, len(mark) + error.start) + 1
        raise UsageError(f"{name}:{line}: not UTF-8", fix=f"iconv -t UTF-8 {name}") from error


@contextmanager
def reading(text: str, name: str) -> Iterator[None]:
    """Have errors of YAML name file and line."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{name}:{line}: not YAML: {error.problem}", fix=f"yamllint {name}") from error
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise UsageError(f"{name}:{line}: not YAML: {error.reason}", fix=f"yamllint {name}") from error


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes = 0

    def document(self, content: bytes) -> Any:
        _, text = decoded(content, self._name)
        with reading(text, self._name):
            documents = list(yaml.compose_all(text, _Loader))
            # of "! 1", which is text to Go, a node does not tell any more
            tagged = next((each for each in yaml.parse(text, _Loader) if getattr(each, "tag", None) == "!"), None)
        if tagged is not None:
            raise self._tagged(tagged)
        if len(documents) > 1:
            raise self._refusal(
                documents[1], "a second document, which Argo CD leaves out", "Give it a file of its own."
            )
        return self._value(documents[0]) if documents else None

    def _value(self, node: yaml.Node, in_flow: bool = False) -> Any:
        self._nodes += 1
        if self._nodes > MOST:
            said = f"more than {MOST} values, those behind aliases counted each time"
            raise self._refusal(node, said, "Write out what the aliases stand for, and less of it.")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, in_flow)
        assert isinstance(node, yaml.CollectionNode)
        in_flow = in_flow or bool(node.flow_style)
        if node.tag not in (f"{PREFIX}map", f"{PREFIX}seq"):
            raise self._tagged(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, in_flow) for each in node.value]
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            text = self._key(key, in_flow)
            if text in found:
                raise self._refusal(key, f"{text}: is there twice, first in line {lines[text]}", "Leave one.")
            lines[text] = key.start_mark.line + 1
            found[text] = self._value(value, in_flow)
        return found

    def _key(self, node: yaml.Node, in_flow: bool) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refusal(node, "a mapping or a list is no key", "Write one word.")
        if node.value == MERGE:
            raise self._refusal(
                node, f"{MERGE}: readers of YAML do not agree on what wins", "Write the keys themselves."
            )
        key = self._scalar(node, in_flow)
        if not isinstance(key, str):
            raise self._refusal(node, f"{node.value or 'nothing'}: is no string", f'Quote it: "{node.value}"')
        return key

    def _scalar(self, node: yaml.ScalarNode, in_flow: bool) -> Any:
        text: str = node.value
        if node.tag != PLAIN:
            if node.tag != STRING or not node.style:  # without quotes it has a tag, or it would be plain
                raise self._tagged(node)
            return text
        if in_flow and "?" in text:
            said = f"{text}: to some readers of YAML a question mark ends it, within [] and {{}}"
            raise self._refusal(node, said, f'Quote it: "{text}"')
        if text in WORDS:
            return WORDS[text]
        if NOT_FINITE.fullmatch(text):
            raise self._refusal(node, f"{text}: is a number that JSON has not", f'Quote it: "{text}"')
        found = _number(text)
        if found is None:
            return text
        if (isinstance(found, int) and abs(found) > EXACT) or found in (float("inf"), float("-inf")):
            raise self._refusal(node, f"{text}: Argo CD rounds so large a number", f'Quote it: "{text}"')
        return found

    def _tagged(self, node: Any) -> UsageError:
        tag = node.tag.replace(PREFIX, "!!")
        return self._refusal(
            node, f"has the tag {tag}, which readers of YAML take for different things", "Remove the tag."
        )

    def _refusal(self, node: Any, said: str, fix: str) -> UsageError:
        return UsageError(f"{self._name}:{node.start_mark.line + 1}: {said}", fix=fix)


def _number(text: str) -> int | float | None:
    """Return the number that a plain scalar is; None where it is a string (resolve.go, the hints D, S and '.')."""
    if text[:1] == ".":
        return float(text) if FLOAT.fullmatch(text) else None
    if text[:1] not in "+-0123456789":
        return None
    plain = text.replace("_", "")
    if found := INTEGER.fullmatch(plain):
        kind = next(kind for kind in BASES if found[kind])
        return int(found["sign"] + found[kind], BASES[kind])
    return float(plain) if FLOAT.fullmatch(plain) else None
