"""The cache: one folder that several processes fill at once, and in which each item is looked at before it is used."""

import contextlib
import functools
from pathlib import Path

import anyio

from ci.base import locks, paths
from ci.base.errors import MachineError
from ci.base.progress import note
from ci.supply import partial, records
from ci.supply.records import Kept

KEEPERS = (
    "go", "go-toolchain", "layers", "manifests", "models", "modules", "storage", "wheels",
    "upstream/arriving", "upstream/digests",
    *(f"{way}/{folder}" for way in ("source", "upstream") for folder in ("bin", "images", "tools")),
)  # fmt: skip
"""Folders of the cache in which something is made aside."""


class Cache:
    """Puts items there, and takes none for there that is not itself any more.

    Args:
        cache: The folder; the user's by default.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache or paths.cache()
        self.state = paths.state(self.cache)
        self._records = records.Records(self.cache, self.state)
        self._verify = False
        self._verified: set[Path] = set()

    def exclusive(self, name: str, what: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Let one task and one process at a time work on an item: of all that share the cache, if it can be written.

        Args:
            name: Of the lock.
            what: What it guards, for the one who waits.
        """
        for folder in {self._workplace, self.state}:
            _hide(folder)
        return locks.exclusive(self._workplace / "locks" / f"{name}.lock", what)

    async def lacks(self, kept: Kept, *, verify: bool = False) -> bool:
        """Return whether an item has to be put into the cache; one that is not itself any more is deleted, and said.

        Args:
            kept: The item.
            verify: Hash all of it.

        Raises:
            MachineError: It has to, and the cache cannot be written.
        """
        verify = verify or (self._verify and kept.path not in self._verified)
        fault = await anyio.to_thread.run_sync(functools.partial(self._records.fault, kept, verify=verify))
        if fault is None:
            self._verified.add(kept.path)
            return False
        self._require_writable(kept.what, fault)
        if kept.path.exists() or kept.path.is_symlink():
            note(f"{kept.what} {not_itself(fault)}: fetched again")
        await anyio.to_thread.run_sync(self._records.forget, kept)
        return True

    async def keep(self, kept: Kept) -> None:
        """Write down what an item is that was put into the cache: the last that is done to it."""
        await anyio.to_thread.run_sync(self._records.add, kept)
        self._verified.add(kept.path)

    def _there(self, kept: Kept) -> Path:
        if not kept.path.exists():
            raise MachineError(f"{kept.what}: not here yet", fix="python ci/main.py supply fetch")
        if fault := self._records.fault(kept):
            raise MachineError(f"{kept.what} {not_itself(fault)}", fix="python ci/main.py supply fetch")
        return kept.path

    def _require_writable(self, what: str, fault: str) -> None:
        if not self._records.writable:
            raise MachineError(
                f"{what}: not in the cache ({fault}), and {self.cache} is read-only",
                fix="Run `python ci/main.py supply fetch` where it can be written, or set ML_SERVING_CI_CACHE to a "
                "folder of your own.",
            )

    async def _sweep(self) -> None:
        """Delete what processes that are gone had begun to put into the cache."""
        if not self._records.writable:
            return
        folders = [self.cache, *(self.cache / name for name in KEEPERS), *(self.cache / "records").rglob("*/")]
        swept = [path for folder in folders for path in await anyio.to_thread.run_sync(partial.sweep, folder)]
        if swept:
            note(f"swept what ended processes had begun in the cache: {', '.join(path.name for path in swept)}")

    def _log(self, name: str) -> Path:
        return self.state / "logs" / f"{name}.log"

    @property
    def _workplace(self) -> Path:
        """The folder for what a build needs only while it runs."""
        return self.cache if self._records.writable else self.state


def _hide(folder: Path) -> None:
    """Have git leave a folder of ours out, which may lie in a checkout: linters would read all that is in it.

    At the top of ours are folders alone. Where there is a file, the folder is somebody's for other things as well.
    """
    with contextlib.suppress(OSError):  # told by whoever writes what is needed
        folder.mkdir(parents=True, exist_ok=True)
        if all(entry.is_dir() for entry in folder.iterdir()):
            (folder / ".gitignore").write_text("*\n")


def not_itself(fault: str) -> str:
    """Return what is said of an item of the cache with a fault."""
    return f"in the cache is not what was put there ({fault})"
