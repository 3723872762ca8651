"""Application files and charts as people write them: the text archives in tests/corpus.

In an archive a line `-- NAME --` begins a file. Words after the name say what lines of text cannot show: `crlf`, `bom`,
`no-newline` (at the end).
"""

import codecs
import re
from functools import cache
from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[1] / "corpus"
BEGINS = re.compile(rb"^-- (\S+)((?: \S+)*) --\n", re.MULTILINE)
COMMIT = re.compile(rb"(?<=revision: )[0-9a-f]{40}")
"""Of a chart: no archive can know one of the repository that it is put into."""
BRANCHES = ("release-1.4", "release/2026-q4")
TAGS = ("chart-v1.7.3",)
"""What the applications name besides as the revision of their chart."""


@cache
def applications():
    """Content by name."""
    return dict(_read(FOLDER / "applications.txt"))


@cache
def charts():
    """By name, the content of each of a chart's files by its path from the chart."""
    found = {}
    for path, content in _read(FOLDER / "charts.txt"):
        chart, _, file = path.partition("/")
        found.setdefault(chart, {})[file] = content
    return found


def refused():
    """Values that are refused, each with who had them, its key, and who refuses them."""
    return yaml.safe_load((FOLDER / "refused.yaml").read_text())


def cases():
    """By part and name what was once accepted or is refused, each with the tests that hold it."""
    return yaml.safe_load((FOLDER / "cases.yaml").read_text())


def marked(text):
    """Return the number of the line that ends with the mark; 0 where none does."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# here")), 0)


def at(content, commit):
    """Return an application's file, pinned to a commit where it is pinned to one."""
    return COMMIT.sub(commit.encode(), content)


def _read(archive):
    first, *parts = BEGINS.split(archive.read_bytes())
    assert not first, f"{archive}: begins with no `-- NAME --`"
    for name, words, content in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield name.decode(), _as_said(content, words.decode().split())


def _as_said(content, words):
    assert set(words) <= {"crlf", "bom", "no-newline"}, words
    if "no-newline" in words:
        content = content.removesuffix(b"\n")
    if "crlf" in words:
        content = content.replace(b"\n", b"\r\n")
    return (codecs.BOM_UTF8 if "bom" in words else b"") + content
