"""Secrets out of two versions of an object; that one has changed stays visible, and nothing else about it.

Not even a digest of it is shown: who may guess a short password may try each guess.
"""

import re
from collections.abc import Mapping
from typing import Any

from ci.base.masking import HIDDEN, spans
from ci.diff.fields import named, same
from ci.manifests.documents import Document

CHANGED = "*** (changed)"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Holds a whole earlier version of the object."""

NAME = re.compile(r"password|passwd|pwd|passphrase|token|secret|credential|key", re.IGNORECASE)
"""In the name of a variable, or in a key of a ConfigMap: the value is a secret."""
FIELD = re.compile(
    r"password|passwd|passphrase|clientsecret|(access|bearer|id|refresh)?token|(api|access|private|secret(access)?)key",
    re.IGNORECASE,
)
"""The whole name of any field, without dashes and underscores: a text in it is a secret."""
OPTION = re.compile(r"--?[\w-]*(password|passwd|token|secret|key)[\w-]*", re.IGNORECASE)
"""An argument whose next one is a secret."""

SECRET = re.compile(
    r"""(?x) \bkind ["']? \s* : \s* ["']? Secret\b | secretGenerator | stringData
    | /data/ [^"'\s]* (?i:password|passwd|passphrase|token|secret|key|credential)"""
)
"""In a text that is no object: a Secret that cannot be read, kustomize's own, a JSON patch of one."""


def pair(before: Document | None, after: Document | None) -> tuple[Document | None, Document | None]:
    """Return two versions of an object without their secrets.

    Args:
        before: The earlier one; None where there is none.
        after: The later one, likewise.

    Returns:
        Both; where they differed, they still do, in the same fields.
    """
    return _values(before, after, (), str((before or after or {}).get("kind")), hidden=False)


def texts(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Return two versions of a text without its secrets; where they differed, they still do.

    Args:
        before: The earlier one; None where there is none.
        after: The later one, likewise.
    """
    one, two = _text(before, after)
    return one, two


def is_secret(text: str) -> bool:
    """Tell whether a text that is no object may hold a Secret's values in a form that cannot be taken out of it."""
    return SECRET.search(text) is not None


def _values(before: Any, after: Any, path: tuple[str, ...], kind: str, *, hidden: bool) -> tuple[Any, Any]:
    kinds = {type(value) for value in (before, after) if value is not None}
    one: Any
    two: Any
    if kinds == {dict}:
        one, two = _mapping(before or {}, after or {}, path, kind, hidden=hidden)
    elif kinds == {list}:
        one, two = _list(before or [], after or [], path, kind, hidden=hidden)
    elif kinds & {dict, list}:  # before and after have nothing in common
        one, _ = _values(before, None, path, kind, hidden=hidden)
        _, two = _values(None, after, path, kind, hidden=hidden)
    else:
        return _leaf(before, after) if hidden else _text(before, after)
    return (None if before is None else one), (None if after is None else two)


def _mapping(
    before: dict[str, Any], after: dict[str, Any], path: tuple[str, ...], kind: str, *, hidden: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    one, two = {}, {}
    for key in {**before, **after}:
        values = [side[key] for side in (before, after) if key in side]
        secret = hidden or any(_is_secret(key, value, side, path, kind) for side in (before, after) for value in values)
        old, new = _values(before.get(key), after.get(key), (*path, key), kind, hidden=secret)
        if key in before:
            one[key] = old
        if key in after:
            two[key] = new
    return one, two


def _is_secret(key: str, value: Any, siblings: dict[str, Any], path: tuple[str, ...], kind: str) -> bool:
    if key == LAST_APPLIED or (siblings.get("kind") == "Secret" and key in ("data", "stringData")):
        return True
    if key == "value" and NAME.search(str(siblings.get("name", ""))):
        return True
    if not isinstance(value, str):
        return False
    if kind == "ConfigMap" and path == ("data",) and "\n" not in value and NAME.search(key):
        return True
    return FIELD.fullmatch(re.sub(r"[-_]", "", key)) is not None


def _list(
    before: list[Any], after: list[Any], path: tuple[str, ...], kind: str, *, hidden: bool
) -> tuple[list[Any], list[Any]]:
    old, new = named(before), named(after)
    if old is None or new is None:
        old, new = ({str(index): item for index, item in enumerate(side)} for side in (before, after))
    one, two = {}, {}
    for key in {**old, **new}:
        secret = hidden or any(_follows_option(side, key) for side in (old, new))
        first, second = _values(old.get(key), new.get(key), (*path, "[]"), kind, hidden=secret)
        one[key], two[key] = first, second
    return [one[key] for key in old], [two[key] for key in new]


def _follows_option(items: Mapping[str, Any], key: str) -> bool:
    previous = items.get(str(int(key) - 1)) if key.isdecimal() else None
    return isinstance(previous, str) and OPTION.fullmatch(previous) is not None


def _leaf(before: Any, after: Any) -> tuple[Any, Any]:
    if before is None or after is None or same(before, after):
        return (None if before is None else HIDDEN), (None if after is None else HIDDEN)
    return HIDDEN, CHANGED


def _text(before: Any, after: Any) -> tuple[Any, Any]:
    """Hide what is secret in two texts."""
    old, one = _hidden(before, [])
    _, two = _hidden(after, old)
    if not same(before, after) and same(one, two):
        return one, f"{two} (changed)"
    return one, two


def _hidden(text: Any, earlier: list[str]) -> tuple[list[str], Any]:
    """Return the secrets in a text, and the text without them; those that are not the earlier ones are marked."""
    if not isinstance(text, str):
        return [], text
    found: list[str] = []
    parts, at = [], 0
    for number, (start, end) in enumerate(spans(text)):
        found.append(text[start:end])
        changed = number < len(earlier) and earlier[number] != found[-1]
        parts += [text[at:start], CHANGED if changed else HIDDEN]
        at = end
    return found, "".join([*parts, text[at:]])
