"""The executables that are here already: for commands of a moment, which load nothing that fetches or builds one."""

import contextlib
import functools
import os
import shutil
import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from ci.base.errors import MachineError, UsageError
from ci.supply import pins
from ci.supply.cache import Cache, not_itself
from ci.supply.records import Kept

Way = Literal["upstream", "source"]


def installed(name: str) -> Path:
    """Return a tool that is on this machine already: the supply's in either way, else the user's own.

    Raises:
        MachineError: There is none.
    """
    for way in typing.get_args(Way):
        with contextlib.suppress(MachineError):
            return Tools(way).tool(name)
    own = shutil.which(name)
    if own is None:
        raise MachineError(f"{name} is not here", fix=f"python ci/main.py supply fetch {name}")
    return Path(own)


class Tools(Cache):
    """The tools that one way has put into the cache.

    Args:
        way: "upstream" or "source".
        cache: Folder of everything that may be rebuilt.
    """

    def __init__(self, way: Way, cache: Path | None = None) -> None:
        super().__init__(cache)
        self.way = way
        self.pins = pins.load()

    @cached_property
    def bin(self) -> Path:
        """The folder of the host's tools, for PATH."""
        return self.cache / self.way / "bin"

    def tool(self, name: str) -> Path:
        """Return an executable's path.

        Raises:
            UsageError: Nothing of that name is pinned.
            MachineError: It has not been fetched.
        """
        if name not in self.pins.tools:
            raise UsageError(f"{name}: no such tool in pins.toml", fix="python ci/main.py supply list")
        path = self.bin / name
        executable = self._named(name)
        if executable is None or not path.exists():
            raise MachineError(f"{name} is not here yet", fix="python ci/main.py supply fetch")
        if fault := self._records.fault(self._program(name, executable)):
            raise MachineError(f"{name} {not_itself(fault)}", fix=f"python ci/main.py supply fetch {name}")
        return path

    def _named(self, name: str) -> Path | None:
        """Return the executable in this cache that `bin` has under a name, if it has one."""
        try:
            target = Path(os.path.normpath(self.bin / (self.bin / name).readlink()))
        except OSError:
            return None
        return target if target.is_relative_to(self.cache) else None

    def _program(self, what: str, executable: Path) -> Kept:
        """Return what the cache keeps an executable in: a folder of a build, or a file alone."""
        if executable.parent.parent != self.cache / "go":
            return Kept(what, executable, functools.partial(_fault, ()))
        return self._kept_build(what, executable.parent)

    def _kept_build(self, what: str, folder: Path) -> Kept:
        pin = self.pins.modules.get(folder.name.rpartition("-")[0])
        return Kept(what, folder, functools.partial(_fault, pin.executables if pin else ()))


def _fault(wanted: Sequence[str], path: Path, digests: Mapping[str, str]) -> str | None:
    from ci.supply import adoption  # only what has no record is looked at so

    return adoption.programs(wanted, path, digests)
