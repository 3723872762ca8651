"""Removing clusters: one by name, and whatever runs that ended badly left. Only what our labels and marks name goes."""

import json
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ci.base import command
from ci.base.errors import CIError
from ci.base.progress import note
from ci.base.wait import NotYet, until
from ci.cluster import runs

DELETE_SECONDS = 90.0
ABANDONED = timedelta(days=1)
"""After that nobody wants a cluster whose run cannot be seen from here: no run takes an hour."""

ClusterState = Literal["in use", "kept", "left over", "unknown"]


@dataclass(frozen=True)
class Found:
    """A cluster that this tool made, or what there is of it.

    Attributes:
        name: Its name, also its network's.
        owner: The process that made it, as its label says.
        owner_state: Whether that still runs.
        keep: Whether it was meant to outlive its run, and did not end before it came up.
        created: When it was made.
        network: The id of its network, if that is there.
        containers: Its nodes as Docker describes them.
        has_folder: Whether the folder of its name in this cache, if there is one, is its own.
    """

    name: str
    owner: str
    owner_state: runs.OwnerState
    keep: bool
    created: datetime
    network: str | None = None
    containers: list[dict[str, Any]] = field(default_factory=list)
    has_folder: bool = False

    @property
    def run(self) -> str:
        """The run's id or name."""
        return self.name.removeprefix(runs.PREFIX)

    @property
    def nodes(self) -> dict[str, str]:
        """Its containers with their states."""
        return {_name(container): container["State"]["Status"] for container in self.containers}

    @property
    def state(self) -> ClusterState:
        """Whether somebody wants it; unknown where the run cannot be seen from here, and may go on."""
        if self.owner_state == "alive":
            return "in use"
        if self.keep:
            return "kept"
        if self.owner_state == "dead" or datetime.now(UTC) - self.created > ABANDONED:
            return "left over"
        return "unknown"


async def clusters() -> list[Found]:
    """Return every cluster of ours, by the label on its network and by the mark in its folder."""
    return await _look([])


async def _look(gone: list[dict[str, Any]]) -> list[Found]:
    """Return every cluster of ours, those too whose nodes were on a network of ours that is gone."""
    marks = runs.marks()
    networks = {shown["Id"]: shown for shown in await _shown("network", "ls", f"--filter=label={runs.RUN_LABEL}")}
    nodes: dict[str, list[dict[str, Any]]] = {}
    for container in await _shown("container", "ls", "--all", f"--filter=label={runs.KIND_LABEL}"):
        if name := _cluster_of(container, [*networks.values(), *gone], marks):
            nodes.setdefault(name, []).append(container)
    found = [_on_network(network, nodes, marks) for network in networks.values()]
    stranded = [_on_network(network, nodes, marks) for network in gone if network["Name"] in nodes]
    found += [replace(cluster, network=None) for cluster in stranded]
    named = {cluster.name for cluster in found}
    found += [_by_mark(name, mark, nodes.get(name, [])) for name, mark in marks.items() if name not in named]
    return sorted(found, key=lambda cluster: cluster.name)


def _cluster_of(
    container: dict[str, Any], networks: Iterable[dict[str, Any]], marks: dict[str, runs.Mark]
) -> str | None:
    """Return the cluster of ours that a container of kind's is a node of; kind can give it no label of ours."""
    name: str = container["Config"]["Labels"][runs.KIND_LABEL]
    if name in marks and container["Id"] in marks[name].containers:
        return name
    # the id is empty before the first start
    joined = {end["NetworkID"] or joined_name for joined_name, end in container["NetworkSettings"]["Networks"].items()}
    own = (network for network in networks if network["Name"] == name)
    return name if any({network["Id"], network["Name"]} & joined for network in own) else None


def _on_network(network: dict[str, Any], nodes: dict[str, list[dict[str, Any]]], marks: dict[str, runs.Mark]) -> Found:
    name, labels = network["Name"], network["Labels"]
    mark = marks.get(name)
    own = mark if mark is not None and mark.network == network["Id"] else None
    containers = nodes.get(name, [])
    # elsewhere than in its own cache nobody can tell whether it came up
    keep = labels.get(runs.KEEP_LABEL) == "true" and bool(containers) and (own is None or own.came_up)
    has_folder = own is not None or (mark is None and runs.is_begun(name))
    owner = labels.get(runs.OWNER_LABEL, "")
    created = datetime.fromisoformat(network["Created"])
    return Found(name, owner, _state(owner), keep, created, network["Id"], containers, has_folder)


def _by_mark(name: str, mark: runs.Mark, containers: list[dict[str, Any]]) -> Found:
    """What has no network here: it was removed, or the cluster is another daemon's."""
    keep = mark.keep and mark.came_up
    return Found(name, mark.owner, _state(mark.owner), keep, mark.created, None, containers, has_folder=True)


def _state(owner: str) -> runs.OwnerState:
    parsed = runs.Owner.parse(owner)
    return parsed.state() if parsed is not None else "unknown"


async def delete(name: str, *, owner: runs.Owner | None = None) -> list[str]:
    """Remove a cluster of ours with everything that belongs to it; what is not there is no error.

    Args:
        name: The cluster's name.
        owner: Only what this process made, should another have taken the name meanwhile.

    Returns:
        What was removed, each in a few words.

    Raises:
        WaitTimeoutError: Something would not go.
    """
    removed: dict[str, None] = {}
    networks: list[dict[str, Any]] = []
    has_folder = False

    async def nothing_left() -> None:
        # a `docker run` that was killed may still get its container, network or not: look again until there is none
        nonlocal has_folder
        left = ""
        for cluster in await _look(networks):
            if cluster.name == name and (owner is None or cluster.owner == str(owner)):
                has_folder = has_folder or cluster.has_folder
                left = await _remove(cluster, removed, networks) or left
        if left:
            raise NotYet(left)

    await until(f"the cluster {name} is gone", nothing_left, timeout=DELETE_SECONDS, interval=0.1, successes=2)
    folder = runs.folder(name)
    if has_folder and folder.exists():
        shutil.rmtree(folder, ignore_errors=True)  # another user's stays
        if not folder.exists():
            removed[f"folder {folder}"] = None
    return list(removed)


async def _remove(cluster: Found, removed: dict[str, None], networks: list[dict[str, Any]]) -> str:
    """Remove what Docker has of a cluster, note its network in `networks`, and return what there was."""
    left = ""
    for container in cluster.containers:
        left = f"container {_name(container)}"
        await command.run(["docker", "rm", "--force", "--volumes", container["Id"]], check=False, timeout=60)
        removed[left] = None
    if cluster.network is not None and not left:
        # whoever else is on it stays: the registry, a person's container
        for shown in await _inspected("network", [cluster.network]):
            networks.append(shown)
            for guest in shown["Containers"] or {}:
                cut = ["docker", "network", "disconnect", "--force", cluster.network, guest]
                await command.run(cut, check=False, timeout=60)
        result = await command.run(["docker", "network", "rm", cluster.network], check=False, timeout=60)
        left = result.stderr.strip() or f"network {cluster.name}"
        if result.returncode == 0:
            removed[f"network {cluster.name}"] = None
    return left


async def clean(*, everything: bool = False) -> list[str]:
    """Remove what runs that ended badly left: their programs, containers, networks, volumes and files.

    Args:
        everything: Kept clusters too, and those of runs that still go on.

    Returns:
        What was removed, each in a few words.

    Raises:
        CIError: A cluster would not go; the others went all the same.
    """
    removed = stop_strays()
    stuck: list[CIError] = []
    for found in await clusters():
        if everything or found.state == "left over":
            try:
                removed += await delete(found.name)
            except CIError as error:
                stuck.append(error)
    if stuck:
        for line in (*(f"removed {each}" for each in removed), *(error.message for error in stuck[1:])):
            note(line)
        raise stuck[0]
    return removed


def stop_strays() -> list[str]:
    """Stop programs whose run is gone: a killed run cannot stop the ones it had started.

    Returns:
        Each that was stopped, by its number and command.
    """
    stopped = []
    for process in runs.PROCESSES.glob("[0-9]*"):
        if int(process.name) == os.getpid() or not _is_stray(process):
            continue
        try:
            handle = os.pidfd_open(int(process.name))
        except OSError:
            continue  # it ended meanwhile
        try:
            if _is_stray(process):  # still, so the handle is of it, and not of a later process of the same number
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                stopped.append(f"process {process.name} ({' '.join(words[:3]).strip()})")
        except OSError:
            continue
        finally:
            os.close(handle)
    return stopped


def _is_stray(process: Path) -> bool:
    """Tell whether a process was started for a run that is known to have ended."""
    marker = f"{runs.OWNER_VARIABLE}="
    try:
        variables = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False  # it ended meanwhile, or is another user's
    owner = next((variable.removeprefix(marker) for variable in variables if variable.startswith(marker)), "")
    return _state(owner) == "dead"


async def _shown(kind: str, *listing: str) -> list[dict[str, Any]]:
    """Return what `docker KIND inspect` shows of everything that a listing has."""
    listed = await command.run(["docker", kind, *listing, "--quiet", "--no-trunc"], timeout=30)
    return await _inspected(kind, listed.stdout.split())


async def _inspected(kind: str, ids: list[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    # what went in between is an error of Docker's, and left out
    result = await command.run(["docker", kind, "inspect", *ids], check=False, timeout=30)
    shown: list[dict[str, Any]] = json.loads(result.stdout or "[]")
    return shown


def _name(container: dict[str, Any]) -> str:
    return str(container["Name"]).removeprefix("/")
