"""What a run takes of the machine that the Docker daemon is on: memory of its containers, and disk."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from ci.base import command, tasks
from ci.base.errors import CIError
from ci.host import docker, limits

LOOK_SECONDS = 5.0
PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")


@dataclass
class Meter:
    """What was seen so far, in bytes; of memory what the kernel would not give back (`limits.memory_held`).

    Attributes:
        roots: Docker's own folders, where they are on this machine.
        idle: Memory of all containers at the first look.
        most: The most memory of all containers at one look.
        free: Space free on Docker's disks at the first look.
        least_free: The least space free at one look.
    """

    roots: list[Path]
    idle: int | None = None
    most: int = 0
    free: int | None = None
    least_free: int = 0
    _groups: dict[str, Path] = field(default_factory=dict)

    @property
    def memory(self) -> int | None:
        """The most memory above idle; None where this machine cannot see the daemon's containers."""
        return None if self.idle is None else self.most - self.idle

    @property
    def disk(self) -> int | None:
        """The most disk space taken since the first look; None where the daemon's disk is not here."""
        return None if self.free is None else self.free - self.least_free

    async def look(self) -> None:
        """Look once; where that fails, there is nothing to say of this moment."""
        with contextlib.suppress(CIError, OSError):
            await self._look()

    async def _look(self) -> None:
        if self.roots:
            disks = {root.stat().st_dev: shutil.disk_usage(root).free for root in self.roots}
            free = sum(disks.values())
            self.free, self.least_free = (free, free) if self.free is None else (self.free, min(self.least_free, free))
        used = await self._memory()
        if used is not None:
            self.idle = self.idle if self.idle is not None else used
            self.most = max(self.most, used)

    async def _memory(self) -> int | None:
        """Return what the daemon's containers use together; None where one of them runs on another machine."""
        listed = await command.run(["docker", "ps", "--quiet", "--no-trunc"], check=False, timeout=30)
        total = 0
        for container in listed.stdout.split():
            if container not in self._groups:
                shown = await command.run(
                    ["docker", "inspect", "--format={{.State.Pid}}", container], check=False, timeout=30
                )
                if shown.returncode != 0:
                    continue  # it ended meanwhile
                group = memory_group(int(shown.stdout), container)
                if group is None:
                    return None
                self._groups[container] = group
            total += limits.memory_held(self._groups[container])
        return total


def memory_group(pid: int, container: str) -> Path | None:
    """Return the control group that counts a container's memory, or None where this machine does not have it.

    Args:
        pid: The container's first process, as the daemon's machine numbers it.
        container: Its id, which Docker has in the group's name.
    """
    try:
        lines = (PROC / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if container in path and controllers in ("", "memory"):
            # a node's first process is below its container's own group
            parts = Path(path).parts
            last = next(number for number, part in enumerate(parts) if container in part)
            group = CGROUPS.joinpath(controllers, *parts[1 : last + 1])
            return group if group.is_dir() else None
    return None


@asynccontextmanager
async def measured() -> AsyncIterator[Meter]:
    """Look every few seconds for as long as the block runs.

    Yields:
        What was seen, growing.
    """
    meter = Meter(await _roots())
    await meter.look()

    async def again() -> None:
        while True:
            await anyio.sleep(LOOK_SECONDS)
            await meter.look()

    async with tasks.group() as group:
        group.start_soon(again)
        yield meter
        group.cancel_scope.cancel()


async def _roots() -> list[Path]:
    """Return the daemon's own folders; none where it is elsewhere: this machine may have one of the same name."""
    with contextlib.suppress(CIError):
        found = await docker.find()
        if found is not None and found.where == "here":
            return found.roots
    return []
