"""YAML as Kubernetes, Helm and Argo CD read it.

All three read with sigs.k8s.io/yaml, which reads with go.yaml.in/yaml/v2 and continues with what JSON can carry.
PyYAML's own rules differ (`12:30` is 750 to them, `1e3` a string), so plain scalars are resolved here as that library's
resolve.go does; tests/upstream holds the two together.

`read` is for the files that this tool writes, too: it refuses what that library reads in a way that no person means.
`documents` takes what others wrote as the library takes it: of a key that is there twice the last counts, a merge key
replaces what stands before it.
"""

import codecs
import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml

from ci.base import nesting
from ci.base.errors import UsageError

PREFIX = "tag:yaml.org,2002:"
STRING = f"{PREFIX}str"
COLLECTIONS: Mapping[type[yaml.Node], str] = {yaml.MappingNode: f"{PREFIX}map", yaml.SequenceNode: f"{PREFIX}seq"}
SCALARS: Mapping[str, type] = {
    f"{PREFIX}bool": bool,
    f"{PREFIX}float": float,
    f"{PREFIX}int": int,
    f"{PREFIX}null": type(None),
}
"""Tags that say what a scalar is to be read as."""
VERSION = (1, 1)
"""What a %YAML line may say."""
PLAIN = "plain"
"""Tag of a scalar without quotes and tag, for nothing but its text says what it is."""
MERGE = "<<"
UNWRITABLE = re.compile("[\x7f-\x9f\ufffe\uffff]")
"""What the library reads where it is escaped, and not where it stands: of U+0085 a space is left, others are errors.

Argo CD reads twice: an application's values again in Helm, manifests again as the JSON that they were read into.
"""
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
"""On the way through JSON a whole number beyond is rounded, unless it is read into one."""
WHOLE = range(-(2**63), 2**64)
"""What Go holds as whole numbers."""
MOST = 100_000
"""Nodes of a file, those that an alias stands for counted each time: a few lines of YAML can stand for billions."""
SEPARATOR = re.compile(r"^---[^\S\n]*(?:#.*)?$", re.MULTILINE)
"""Between documents: nothing else may stand in the line (k8s.io/apimachinery, util/yaml/decoder.go)."""
MARK = re.compile(r"^---", re.MULTILINE)
INNER_MARK = re.compile("(?:[\n\r]|\\A\ufeff)\ufeff")
"""A byte order mark at the beginning of a line: PyYAML leaves it out, the library takes it for text."""


BARE_TAG = re.compile(r"!(?:[\s,\[\]{}]|\Z)")
"""Where a tag may stand that names none: what it makes text for Go it leaves a number for PyYAML."""


class _Loader(yaml.CSafeLoader):
    """Tells scalars without quotes and tag from all others, and decides nothing about them."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """Return the tag of a node that has none."""
        if kind is yaml.ScalarNode:
            return PLAIN if implicit[0] else STRING
        return COLLECTIONS[kind]


def read(content: bytes, name: str) -> Any:
    """Return what a file has, its one document.

    Args:
        content: The file.
        name: What errors call it.

    Raises:
        UsageError: It is not YAML in UTF-8, is more than one document, has a key twice, a merge key, a tag, a key that
            is no string, or a number that JSON has not; or it is too deep or too large.
    """
    _, text = decoded(content, name)
    return nesting.read(lambda: _Strict(name, MOST, twice=True).document(text), name)


def documents(text: str, name: str) -> list[Any]:
    """Return the documents of a text, empty ones left out, each as JSON has it.

    Args:
        text: What a person, or a program such as Helm, wrote.
        name: What errors call it.

    Raises:
        UsageError: It is not YAML; or it has a key or a number that JSON has not, or what the Kubernetes library and
            PyYAML do not read alike; or it is too deep or too large.
    """
    return nesting.read(lambda: list(_documents(text, name)), name)


def stream(text: str, name: str) -> list[Any]:
    """Return what `documents` does for manifests, whose last line kubectl and Argo CD take for one that ends.

    Args:
        text: What a person, or a program such as Helm, wrote.
        name: What errors call it.

    Raises:
        UsageError: As for `documents`; or it has a character that Argo CD reads once and not again.
    """
    ended = text if text.endswith("\n") else f"{text}\n"
    return nesting.read(lambda: list(_documents(ended, name, twice=True)), name)


def parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the text of each document, with the number of lines that stand before it."""
    line = 0
    for part in SEPARATOR.split(text):
        yield line, part
        line += part.count("\n")


def _documents(text: str, name: str, *, twice: bool = False) -> Iterator[Any]:
    for line, part in parts(text):
        found = _Reader(name, max(MOST, len(part)), line, twice=twice).document(part)
        if found is not None:
            yield found


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
def reading(text: str, name: str, before: int = 0) -> Iterator[None]:
    """Have errors of YAML name file and line.

    Args:
        text: What is read.
        name: What errors call the file.
        before: Lines of the file that stand before the text.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = before + (error.problem_mark.line + 1 if error.problem_mark else 1)
        if error.problem == "second occurrence":
            said = "an anchor that is there already: readers of YAML do not agree on it"
            raise UsageError(f"{name}:{line}: {said}", fix="Give each anchor a name of its own.") from error
        raise UsageError(f"{name}:{line}: not YAML: {error.problem}", fix=f"yamllint {name}") from error
    except yaml.reader.ReaderError as error:
        line = before + text.encode().count(b"\n", 0, error.position) + 1
        raise UsageError(f"{name}:{line}: not YAML: {error.reason}", fix=f"yamllint {name}") from error


class _Reader:
    """Reads as the library does."""

    def __init__(self, name: str, most: int, before: int = 0, *, twice: bool = False) -> None:
        self._name = name
        self._twice = twice
        self._most = most
        self._before = before
        self._nodes = 0

    def document(self, text: str) -> Any:
        """Return what a document has, and nothing of what follows its end: the library reads no further."""
        if (more := MARK.search(text)) is not None:
            line = self._before + text.count("\n", 0, more.start()) + 1
            raise UsageError(f"{self._name}:{line}: between documents is more than ---", fix="Write it below the line.")
        self._require_marks(text)
        with reading(text, self._name, self._before):
            self._require_named_tags(text)
            loader = _Loader(text)
            if text.lstrip().startswith("{"):  # of JSON, kubectl and Argo CD read one object after the other
                node = loader.get_single_node()
            else:
                node = loader.get_node() if loader.check_node() else None
        return None if node is None else self._value(node)

    def _require_marks(self, text: str) -> None:
        if (mark := INNER_MARK.search(text)) is not None:
            line = self._before + text.count("\n", 0, mark.end()) + 1
            raise UsageError(f"{self._name}:{line}: a byte order mark within the text", fix="Leave it out.")

    def _require_named_tags(self, text: str) -> None:
        """Refuse what a node does not tell any more: "! 1" is text to Go."""
        events = yaml.parse(text, _Loader) if BARE_TAG.search(text) is not None else ()
        if (bare := next((each for each in events if getattr(each, "tag", None) == "!"), None)) is not None:
            raise self._tag(bare)

    def _value(self, node: yaml.Node, in_flow: bool = False) -> Any:
        self._nodes += 1
        if self._nodes > self._most:
            said = f"more than {self._most} values, those behind aliases counted each time"
            raise self._refusal(node, said, "Write out what the aliases stand for, and less of it.")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, in_flow)
        assert isinstance(node, yaml.CollectionNode)
        in_flow = in_flow or bool(node.flow_style)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, in_flow) for each in node.value]
        found: dict[str, Any] = {}
        self._fill(found, node, in_flow)
        return found

    def _fill(self, found: dict[str, Any], node: yaml.CollectionNode, in_flow: bool) -> None:
        """Put what a mapping has into a value, key by key, as decode.go does: what comes later replaces."""
        for key, value in node.value:
            if _merges(key):
                for each in self._merged(value):
                    self._fill(found, each, in_flow or bool(each.flow_style))
            else:
                found[self._key(key, in_flow)] = self._value(value, in_flow)

    def _merged(self, node: yaml.Node) -> list[yaml.MappingNode]:
        """Return the mappings that a merge key names, in the order in which they are put in."""
        self._nodes += 1
        named = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(each, yaml.MappingNode) for each in named):
            raise self._refusal(node, f"{MERGE}: takes a mapping, or a list of them", "Write the keys themselves.")
        return list(named)

    def _key(self, node: yaml.Node, in_flow: bool) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._refusal(node, "a mapping or a list is no key", "Write one word.")
        key = self._scalar(node, in_flow)
        if isinstance(key, str):
            return key
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, int):
            return str(key)
        raise self._not_a_key(node)

    def _scalar(self, node: yaml.ScalarNode, in_flow: bool) -> Any:
        text: str = node.value
        if self._twice and (found := UNWRITABLE.search(text)) is not None:
            said = f"U+{ord(found[0]):04X} in a text: Argo CD reads it once, and not again"
            raise self._refusal(node, said, "Leave that character out.")
        if node.tag != PLAIN:
            if in_flow and not text and not node.style:
                said = "has a tag, which some readers of YAML take the comma after it for a part of"
                raise self._refusal(node, said, "Remove the tag.")
            return self._tagged(node)
        if in_flow and "?" in text:
            said = f"{text}: to some readers of YAML a question mark ends it, within [] and {{}}"
            raise self._refusal(node, said, f'Quote it: "{text}"')
        return self._plain(node)

    def _plain(self, node: yaml.ScalarNode) -> Any:
        """Return what the text of a scalar is where nothing but the text says so."""
        text: str = node.value
        if text in WORDS:
            return WORDS[text]
        if NOT_FINITE.fullmatch(text):
            raise self._refusal(node, f"{text}: is a number that JSON has not", f'Quote it: "{text}"')
        found = _number(text)
        return text if found is None else self._number(node, found)

    def _number(self, node: yaml.ScalarNode, found: int | float) -> Any:
        """Return a number as the library holds it, and JSON after it: 1e3 is 1000; what is too large is text."""
        if isinstance(found, int) and found not in WHOLE:
            digits: str = node.value.replace("_", "")
            found = float(digits) if FLOAT.fullmatch(digits) else float("inf")
        if isinstance(found, float):
            if found in (float("inf"), float("-inf")):
                return node.value
            return int(found) if found.is_integer() and int(found) in WHOLE else found
        return found

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        """Return what a scalar is whose quotes or tag say so."""
        if node.tag == STRING or not node.tag.startswith(PREFIX):
            return node.value
        wanted = SCALARS.get(node.tag)
        if wanted is None:
            raise self._tag(node)
        found = self._plain(node)
        if isinstance(found, int) and wanted is float and not isinstance(found, bool):
            return found
        if type(found) is not wanted:
            said = f"{node.value}: is no {node.tag.removeprefix(PREFIX)}, as its tag has it"
            raise self._refusal(node, said, "Remove the tag.")
        return found

    def _not_a_key(self, node: yaml.ScalarNode) -> UsageError:
        return self._refusal(node, f"{node.value or 'nothing'}: is no string", f'Quote it: "{node.value}"')

    def _tag(self, node: Any) -> UsageError:
        tag = node.tag.replace(PREFIX, "!!")
        return self._refusal(
            node, f"has the tag {tag}, which readers of YAML take for different things", "Remove the tag."
        )

    def _refusal(self, node: Any, said: str, fix: str) -> UsageError:
        return UsageError(f"{self._name}:{self._before + node.start_mark.line + 1}: {said}", fix=fix)


class _Strict(_Reader):
    """Reads what all readers read alike."""

    def document(self, text: str) -> Any:
        """Return what the one document of a file has."""
        self._require_marks(text)
        with reading(text, self._name):
            documents = list(itertools.islice(yaml.compose_all(text, _Loader), 2))
            self._require_named_tags(text)
            events = list(yaml.parse(text, _Loader)) if "%" in text else []
        for event in events:  # Go reads no YAML but 1.1
            if getattr(event, "version", None) not in (None, VERSION):
                raise self._refusal(event, "a version of YAML that Argo CD does not read", "Remove the %YAML line.")
        if len(documents) > 1:
            raise self._refusal(
                documents[1], "a second document, which Argo CD leaves out", "Give it a file of its own."
            )
        return self._value(documents[0]) if documents else None

    def _value(self, node: yaml.Node, in_flow: bool = False) -> Any:
        if not isinstance(node, yaml.ScalarNode) and node.tag != COLLECTIONS[type(node)]:
            raise self._tag(node)
        return super()._value(node, in_flow)

    def _fill(self, found: dict[str, Any], node: yaml.CollectionNode, in_flow: bool) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value:
            text = self._key(key, in_flow)
            if text in found:
                raise self._refusal(key, f"{text}: is there twice, first in line {lines[text]}", "Leave one.")
            lines[text] = key.start_mark.line + 1
            found[text] = self._value(value, in_flow)

    def _key(self, node: yaml.Node, in_flow: bool) -> str:
        if isinstance(node, yaml.ScalarNode):
            if node.value == MERGE:
                raise self._refusal(
                    node, f"{MERGE}: readers of YAML do not agree on what wins", "Write the keys themselves."
                )
            if not isinstance(self._scalar(node, in_flow), str):
                raise self._not_a_key(node)
        return super()._key(node, in_flow)

    def _number(self, node: yaml.ScalarNode, found: int | float) -> Any:
        if (isinstance(found, int) and abs(found) > EXACT) or found in (float("inf"), float("-inf")):
            text: str = node.value
            raise self._refusal(node, f"{text}: Argo CD rounds so large a number", f'Quote it: "{text}"')
        return found

    def _tagged(self, node: yaml.ScalarNode) -> Any:
        if node.tag != STRING or not node.style:  # without quotes it has a tag, or it would be plain
            raise self._tag(node)
        return node.value


def _merges(key: yaml.Node) -> bool:
    return bool(key.value == MERGE and key.tag in (PLAIN, f"{PREFIX}merge"))


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
