"""Files that differ without any object that shows it: as text where that is what they are, else by their names."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from ci.base.text import counted, visible
from ci.diff import mask, text
from ci.diff.files import Changed
from ci.diff.model import FileChange

Change = Literal["added", "changed", "deleted", "renamed"]
NOTHING = "no object that is shown differs by it"
MOST = 200_000
"""Bytes of a file that is shown: comparing lines takes time by their number squared."""


def files(changed: Sequence[Changed], shown: Collection[str], places: Collection[str]) -> Iterator[FileChange]:
    """Yield what is to be said of the files that differ beside the objects.

    Args:
        changed: The files that differ.
        shown: Files of plain manifests of which an object is shown.
        places: Applications, as ENV/NAME, of which an object is shown.
    """
    for each in changed:
        said = list(_said(each))
        if each.contents is not None:
            why, diff = _text(*each.contents)
            yield FileChange(visible(each.path), _change(each), "; ".join([*said, *why]), diff)
        elif said or not _is_shown(each, shown, places):
            yield FileChange(visible(each.path), _change(each), "; ".join([*said, each.later or NOTHING]))


def _change(changed: Changed) -> Change:
    if changed.before is None:
        return "added"
    if changed.after is None:
        return "deleted"
    return "changed" if changed.before.path == changed.after.path else "renamed"


def _said(changed: Changed) -> Iterator[str]:
    before, after = changed.before, changed.after
    if before is not None and after is not None:
        if before.path != after.path:
            yield f"was {visible(before.path)}"
        if before.mode != after.mode:
            yield f"mode {before.mode} → {after.mode}"


def _is_shown(changed: Changed, shown: Collection[str], places: Collection[str]) -> bool:
    if changed.rendered is None:
        return any(each is not None and each.path in shown for each in (changed.before, changed.after))
    whole = changed.rendered.endswith("/") or not changed.rendered
    return any(place.startswith(changed.rendered) if whole else place == changed.rendered for place in places)


def _text(before: bytes | None, after: bytes | None) -> tuple[list[str], tuple[str, ...]]:
    """Return why a file's text is not shown, if so, and the lines that differ."""
    there = [each for each in (before, after) if each is not None]
    try:
        texts = [None if each is None else each.decode() for each in (before, after)]
    except UnicodeDecodeError:
        texts = []
    if not texts or any(b"\0" in each for each in there):
        return [f"binary, {counted(max(map(len, there)), 'byte')}"], ()
    if max(map(len, there)) > MOST:
        return [f"not shown: {counted(max(map(len, there)), 'byte')}"], ()
    if any(mask.is_secret(each) for each in texts if each is not None):
        return ["not shown: it may hold a Secret"], ()
    one, two = (text.of_text(each) for each in mask.texts(*texts))
    return [], text.unified(one, two)
