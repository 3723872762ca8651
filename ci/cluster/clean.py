"""Removing clusters: one by name, and whatever runs that ended badly left."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci import command
from ci.cluster import runs
from ci.supply import registry
from ci.wait import NotYet, until

DELETE_SECONDS = 90.0


@dataclass(frozen=True)
class Found:
    """A cluster that this tool made, or what there is of it.

    Attributes:
        name: Its name, also its network's.
        run: The run's id or name.
        kept: Whether it was meant to outlive its run, and came up.
        in_use: Whether the run that made it is still going on.
        nodes: Its containers with their states.
    """

    name: str
    run: str
    kept: bool
    in_use: bool
    nodes: dict[str, str]

    @property
    def left_over(self) -> bool:
        """Whether nobody wants it any more."""
        return not self.kept and not self.in_use


async def clusters() -> list[Found]:
    """Return every cluster of ours, by the labels on Docker's networks and containers, and by its files."""
    nodes: dict[str, dict[str, str]] = {}
    for container in await _docker("ps", "--all", f"--filter=label={runs.KIND_LABEL}", "--no-trunc"):
        name = _labels(container).get(runs.KIND_LABEL, "")
        if name.startswith(runs.PREFIX):
            nodes.setdefault(name, {})[container["Names"]] = container["State"]
    listed = await _docker("network", "ls", f"--filter=label={runs.RUN_LABEL}")
    networks = {network["Name"]: _labels(network) for network in listed}
    folders = {folder.name for folder in runs.folder("x").parent.glob(f"{runs.PREFIX}*")}
    return [_found(name, networks.get(name, {}), nodes.get(name, {})) for name in sorted({*nodes, *networks, *folders})]


def _found(name: str, labels: dict[str, str], nodes: dict[str, str]) -> Found:
    owner = runs.Owner.parse(labels.get(runs.OWNER_LABEL, ""))
    in_use = owner is not None and owner.alive
    came_up = bool(nodes) and (runs.folder(name) / "kubeconfig").exists()
    kept = labels.get(runs.KEEP_LABEL) == "true" and came_up
    return Found(name, name.removeprefix(runs.PREFIX), kept, in_use, nodes)


async def delete(name: str) -> list[str]:
    """Remove a cluster with everything that belongs to it; what is not there is no error.

    Args:
        name: The cluster's name.

    Returns:
        What was removed, each in a few words.

    Raises:
        WaitTimeoutError: Something would not go.
    """
    removed: dict[str, None] = {}

    async def gone() -> None:
        # a `docker run` that was killed may still get its container: look again until there is none
        for container in await _docker("ps", "--all", f"--filter=label={runs.KIND_LABEL}={name}", "--no-trunc"):
            await command.run(["docker", "rm", "--force", "--volumes", container["ID"]], check=False, timeout=60)
            removed[f"container {container['Names']}"] = None
            raise NotYet(f"container {container['Names']} was there")
        if await _docker("network", "ls", f"--filter=name=^{name}$"):
            await command.run(
                ["docker", "network", "disconnect", "--force", name, registry.CONTAINER], check=False, timeout=60
            )
            result = await command.run(["docker", "network", "rm", name], check=False, timeout=60)
            if result.returncode == 0:
                removed[f"network {name}"] = None
            raise NotYet(result.stderr.strip() or f"network {name} was there")

    await until(f"the cluster {name} is gone", gone, timeout=DELETE_SECONDS, interval=0.1, successes=2)
    folder = runs.folder(name)
    if folder.exists():
        shutil.rmtree(folder)
        removed[f"folder {folder}"] = None
    return list(removed)


async def clean(*, everything: bool = False) -> list[str]:
    """Remove what runs that ended badly left: their programs, containers, networks, volumes and files.

    Args:
        everything: Kept clusters too, and those of runs that still go on.

    Returns:
        What was removed, each in a few words.
    """
    removed = stop_strays()
    for found in await clusters():
        if everything or found.left_over:
            removed += await delete(found.name)
    return removed


def stop_strays() -> list[str]:
    """Stop programs whose run is gone: a killed run cannot stop the ones it had started.

    Returns:
        Each that was stopped, by its number and command.
    """
    stopped = []
    marker = f"{runs.OWNER_VARIABLE}="
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().decode(errors="replace").split("\0")
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # ended meanwhile, or another user's
        owner = next((runs.Owner.parse(v.removeprefix(marker)) for v in variables if v.startswith(marker)), None)
        if owner is not None and not owner.alive and int(process.name) != os.getpid():
            try:
                os.kill(int(process.name), signal.SIGKILL)
            except ProcessLookupError:
                continue
            stopped.append(f"process {process.name} ({' '.join(words[:3]).strip()})")
    return stopped


async def _docker(*args: str) -> list[dict[str, Any]]:
    """Return what a `docker … ls` shows, an object a line."""
    result = await command.run(["docker", *args, "--format={{json .}}"], timeout=30)
    return [json.loads(line) for line in result.stdout.splitlines()]


def _labels(item: dict[str, Any]) -> dict[str, str]:
    return dict(label.partition("=")[::2] for label in item["Labels"].split(","))
