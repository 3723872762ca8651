"""The page of what the source way builds otherwise than the publishers do, made of pins.toml.

python -m ci.supply.differences > docs/differences.md
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ci.base.paths import ROOT
from ci.supply import pins
from ci.supply.pins import Difference, Image, Module, Pins

PAGE = ROOT / "docs" / "differences.md"
COMMAND = "python -m ci.supply.differences > docs/differences.md"
HEAD = f"""\
<!-- Made of ci/supply/pins.toml: {COMMAND} -->
# What is built otherwise than its publisher builds it

With `--supply upstream` every image is its publisher's. With `--supply source` it is put together here from upstream's
code at the same version ([supply](supply.md)). Whatever is otherwise stands below, with the reason why nobody who uses
a throw-away cluster meets it, or the tests that would be red where it is met.
"""
WHY = ("why that is no difference", "tests")
Pinned = TypeVar("Pinned", Image, Module)


def page(pinned: Pins) -> str:
    """Return the page."""
    same = [f"| `{name}` | `{image.as_upstream}` |" for name, image in pinned.images.items() if image.as_upstream]
    parts = [
        HEAD,
        "## All images\n",
        _table(("what", *WHY), (_row(each) for each in pinned.differs)),
        "## Single images\n",
        _table(("image", "what", *WHY), _rows(pinned.images)),
        "## Programs, in images and as tools\n",
        _table(("module", "what", *WHY), _rows(pinned.modules)),
        "## As the publisher's Dockerfile does\n",
        "The same programs, entrypoint and user, but for what holds for all images. The module has the Dockerfile.\n",
        _table(("image", "Dockerfile"), same),
    ]
    return "\n".join(parts)


def _rows(pinned: Mapping[str, Pinned]) -> list[str]:
    return [f"| `{name}` {_row(each)}" for name, item in pinned.items() for each in item.differs]


def _row(difference: Difference) -> str:
    tests = difference.tested_by and f"[`{Path(difference.tested_by).name}`](../{difference.tested_by})"
    return f"| {difference.what} | {difference.why} | {tests} |"


def _table(head: tuple[str, ...], rows: Iterable[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(page(pins.load()))
