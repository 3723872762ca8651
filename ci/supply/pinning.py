"""Pin what publishers publish: the digest of an image, the SHA-256 of a tool's file for each architecture."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomlkit

from ci.base import files
from ci.base.errors import MachineError, UsageError
from ci.base.progress import note
from ci.supply import copies, download, pins
from ci.supply.supply import Supply


async def pin(supply: Supply, names: Sequence[str], file: Path = pins.FILE) -> list[str]:
    """Look up at the publishers what is pinned by a tag or a version alone, and write it into the pins file.

    Args:
        supply: With crane, which is fetched.
        names: Tools and images; all when empty.
        file: The pins file, of which nothing else is changed.

    Returns:
        A line for each pin that is new or another one.

    Raises:
        UsageError: There is no tool or image of a name.
        MachineError: Something cannot be looked up; what can be is written all the same.
    """
    pinned = pins.load(file)
    images = [name for name, image in pinned.images.items() if not image.own]
    for name in names:
        if name not in (*pinned.tools, *images):
            raise UsageError(
                f"{name}: no tool and no image of that name in pins.toml", fix="python ci/main.py supply list"
            )
    await supply.fetch(["crane"])
    document: Any = tomlkit.parse(file.read_text())
    changed, refused = [], []
    for name in names or (*pinned.tools, *images):
        look_up = _tool if name in pinned.tools else functools.partial(_image, supply.tool("crane"))
        try:
            found = await look_up(pinned, name)
        except MachineError as error:
            refused.append(error)
            continue
        changed += [f"{name}{of}: {value}" for of, value in _written(document, name, found)]
    files.write(file, tomlkit.dumps(document).encode())
    if refused:
        first, *others = refused
        for other in others:
            note(other.message)
        raise first
    return changed


Found = dict[str, str]
"""By architecture; of an image, which has one digest for all, by nothing."""


async def _image(crane: Path, pinned: pins.Pins, name: str) -> Found:
    return {"": await copies.digest(crane, pinned.ref(name))}


async def _tool(pinned: pins.Pins, name: str) -> Found:
    tool = pinned.tools[name]
    return {
        each: await download.published(tool.version, tool.upstream, each)
        for each in sorted(set(pins.ARCHITECTURES.values()))
    }


def _written(document: Any, name: str, found: Found) -> list[tuple[str, str]]:
    """Write what was found for one name, and return what of it is new."""
    if name in document["tools"]:
        table, keys = document["tools"][name]["upstream"].setdefault("sha256", tomlkit.inline_table()), found
    else:
        table, keys = document["images"][name], {"digest": found[""]}
    new = {key: value for key, value in keys.items() if table.get(key) != value}
    table.update(new)
    return [("" if key == "digest" else f" {key}", value) for key, value in new.items()]
