"""Where two values differ, as paths of fields."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]
"""Keys from the top of an object; an item of a list is "[NAME]" where the items have names, else "[INDEX]"."""

PLAIN = re.compile(r"[A-Za-z0-9_-]+|\[[^\]]*\]")


@dataclass(frozen=True)
class Change:
    """A field that differs.

    Attributes:
        path: Where.
        before: Its value; None where there is none, which is what null means to Kubernetes.
        after: Its new value, likewise.
    """

    path: Path
    before: Any
    after: Any


def changes(before: Any, after: Any, path: Path = ()) -> Iterator[Change]:
    """Yield every field that differs between two values, as deep down as it can be told.

    Args:
        before: A value as JSON has it.
        after: Another.
        path: Where they are.
    """
    if same(before, after):
        return
    pair = [{} if value is None else value for value in (before, after)]
    if all(isinstance(value, dict) for value in pair) and any(pair):
        for key in sorted({*pair[0], *pair[1]}):
            yield from changes(pair[0].get(key), pair[1].get(key), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(before, after, path)
    else:
        yield Change(path, before, after)


def _items(before: Sequence[Any], after: Sequence[Any], path: Path) -> Iterator[Change]:
    old, new = named(before), named(after)
    if old is not None and new is not None:
        kept = [name for name in old if name in new]
        moved = [name for name in new if name in old]
        if kept != moved:
            yield Change(path, kept, moved)
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _item(old.get(name), new.get(name), (*path, f"[{name}]"))
    elif len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _item(one, other, (*path, f"[{index}]"))
    else:
        yield Change(path, before, after)


def _item(before: Any, after: Any, path: Path) -> Iterator[Change]:
    """Yield what differs in an item; one that comes or goes is one change."""
    if before is None or after is None:
        yield Change(path, before, after)
    else:
        yield from changes(before, after, path)


def named(items: Sequence[Any]) -> Mapping[str, Any] | None:
    """Return a list's items by name, or None where they have no names or share one."""
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        return None
    return dict(zip(map(str, names), items, strict=True))


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: true is not 1, as it is to Python."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def shown(path: Path) -> str:
    """Return a path as people write it ("spec.predictor.model.env[MODE].value")."""
    text = ""
    for part in path:
        if not PLAIN.fullmatch(part):
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
        elif part.startswith("[") or not text:
            text += part
        else:
            text += f".{part}"
    return text
