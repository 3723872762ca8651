"""Raise a pin: what follows from the version alone. docs/supply.md has what a person looks at besides."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit

from ci.base import files, versions
from ci.base.errors import UsageError
from ci.supply import differences, pins
from ci.supply.source import kubernetes
from ci.supply.supply import MAIN_MODULES, Supply


async def raise_pin(supply: Supply, name: str, version: str = "", file: Path = pins.FILE) -> str:
    """Pin another release of a module: in pins.toml, in the go.mod of ours that builds it, in docs/differences.md.

    Args:
        supply: The source way.
        name: The module's name in pins.toml.
        version: The release; the newest when empty.
        file: The pins file.

    Returns:
        One line: what it was and what it is.

    Raises:
        UsageError: There is no such module, or no version is named and the pinned one is the newest.
        MachineError: That release cannot be had.
        CommandError: The go.mod that builds it cannot require that release.
    """
    pin = pins.load(file).modules.get(name)
    if pin is None:
        raise UsageError(f"{name}: no such module in pins.toml", fix="python ci/main.py supply newer")
    toolchain = await supply.toolchain()
    if not version:
        version = await toolchain.newest(pin.path)
        if versions.older(version, pin.version):
            raise UsageError(
                f"{name} {pin.version}: the newest release that the module proxy names is {version}, which is older",
                fix=f"python ci/main.py supply raise {name} VERSION",
            )
    _, checksum = await toolchain.release(pin.path, version)
    folder = MAIN_MODULES / pin.main_module if pin.main_module else kubernetes.FILES / name
    if pin.main_module or (folder / "go.mod").exists():
        with tempfile.TemporaryDirectory() as aside:  # a release that does not fit leaves everything as it was
            copy = shutil.copytree(folder, Path(aside, "module"))
            await toolchain.require(copy, pin.path, pin.version, version)
            for written in ("go.mod", "go.sum"):
                files.write(folder / written, (copy / written).read_bytes())
    files.write(file, _raised(file.read_text(), name, pin.version, version, checksum).encode())
    files.write(differences.PAGE, differences.page(pins.load(file)).encode())
    return f"{name} {pin.version} → {version}"


def _raised(text: str, name: str, old: str, new: str, checksum: str) -> str:
    """Return pins.toml with a module's release, also in its flags and in its tools' and images' own versions."""
    document: Any = tomlkit.parse(text)
    document["modules"][name]["sum"] = checksum
    places = [(document["modules"][name], "version"), (document["modules"][name], "ldflags")]
    places += [(tool, "version") for tool in document["tools"].values() if tool["source"].startswith(f"{name}/")]
    places += [(image, "tag") for image in document["images"].values() if _is_of(image["source"], name)]
    for table, key in places:
        if old.removeprefix("v") in table.get(key, ""):
            table[key] = table[key].replace(old.removeprefix("v"), new.removeprefix("v"))
            _unpin(table)
    return tomlkit.dumps(document)


def _unpin(table: Any) -> None:
    """Empty what is pinned of the old version's bytes; `supply pin` looks the new ones up."""
    if "digest" in table:
        table["digest"] = ""
    if "sha256" in table.get("upstream", {}):
        table["upstream"]["sha256"].update(dict.fromkeys(table["upstream"]["sha256"], ""))


def _is_of(source: Mapping[str, Any], module: str) -> bool:
    """Whether an image has files of a module."""
    origins = source.get("files", {}).values()
    return any(origin.startswith((f"bin:{module}/", f"module:{module}/")) for origin in origins)
