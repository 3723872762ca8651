"""Objects as lines of text that can be compared, and seen."""

import difflib
import json
from collections.abc import Sequence
from typing import Any

import yaml

from ci.base.text import visible
from ci.manifests.documents import Document

CONTEXT_LINES = 3
WIDTH = 1_000_000
"""Of a line: none is folded, or a longer value would differ in several."""
SHORT = 120


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represented(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represented)


def lines(document: Document | None) -> list[str]:
    """Return an object as YAML with sorted keys, a line each; nothing where there is none."""
    if document is None:
        return []
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=WIDTH)
    return [visible(line, keep="\t") for line in text.removesuffix("\n").split("\n")]


def of_text(text: str | None) -> list[str]:
    """Return the lines of a text; nothing where there is none."""
    return [] if text is None else [visible(line, keep="\t") for line in text.split("\n")]


def unified(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """Return the lines of a unified diff, without its two lines of file names."""
    return tuple(difflib.unified_diff(before, after, n=CONTEXT_LINES, lineterm=""))[2:]


def short(value: Any) -> str:
    """Return a value on one line of at most `SHORT` characters; nothing where there is none."""
    if value is None:
        return ""
    text = visible(value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False))
    return text if len(text) <= SHORT else f"{text[: SHORT - 2]} …"
