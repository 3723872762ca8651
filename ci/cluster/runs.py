"""What marks the things of one run, so that they are found again without a state file."""

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime

from ci.base import jsonfile, paths
from ci.base.errors import UsageError

PREFIX = "ml-serving-ci-"
"""Begins the name of every cluster and network made here."""

RUN_LABEL = "ml-serving-ci.run"
"""On the network of every cluster made here: the network is ours by it, and what kind put on it."""
OWNER_LABEL = "ml-serving-ci.owner"
KEEP_LABEL = "ml-serving-ci.keep"
KIND_LABEL, KIND_ROLE_LABEL = "io.x-k8s.kind.cluster", "io.x-k8s.kind.role"
"""kind's own labels, on each of its containers; no other can be given to them."""

OWNER_VARIABLE = "ML_SERVING_CI_OWNER"
"""In the environment of every program started for a run, with the same text as the label."""
MARK = "cluster.json"
"""In the folder of every cluster made here."""


OwnerState = Literal["alive", "dead", "unknown"]
PROCESSES = Path("/proc")
UNSEEN = "-"
"""In place of what this machine does not show of a process."""


@dataclass(frozen=True)
class Owner:
    """The process that made something.

    Attributes:
        boot: The kernel it runs on, from its start to its end.
        namespace: The PID namespace in which its number counts.
        pid: Its number there.
        started: When it started, in the kernel's ticks: tells it from a later process of the same number.
    """

    boot: str
    namespace: str
    pid: int
    started: str

    @classmethod
    def me(cls, processes: Path = PROCESSES) -> "Owner":
        """Return this process.

        Args:
            processes: Where the process table is.
        """
        # by `self`, for the table may be another namespace's, with another process at our number
        stat = _read(processes / "self" / "stat")
        return cls(
            _read(processes / "sys" / "kernel" / "random" / "boot_id").strip() or UNSEEN,
            _namespace(processes / "self") or UNSEEN,
            os.getpid(),
            _fields(stat)[START] if stat and not _has_a_clock_of_its_own(processes) else UNSEEN,
        )

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """Read what `str` wrote, or return None."""
        match = re.fullmatch(r"([^/]+)/([^/]+)/([1-9]\d{0,6})/(\d+|-)", text)
        return cls(match[1], match[2], int(match[3]), match[4]) if match else None

    def __str__(self) -> str:
        return f"{self.boot}/{self.namespace}/{self.pid}/{self.started}"

    def state(self, processes: Path = PROCESSES) -> OwnerState:
        """Tell whether it still runs; unknown wherever this process cannot look, dead only where it has looked.

        Args:
            processes: Where the process table is.
        """
        here = Owner.me(processes)
        if (self.boot, self.namespace) != (here.boot, here.namespace) or UNSEEN in (self.boot, self.namespace):
            return "unknown"
        if UNSEEN in (self.started, here.started) or not _is_of_this_namespace(processes):
            return "unknown"
        stat = _read(processes / str(self.pid) / "stat")
        if stat:
            fields = _fields(stat)
            return "dead" if fields[STATE] in "ZX" or fields[START] != self.started else "alive"
        try:
            os.kill(self.pid, 0)  # tells a process that is hidden from this user (hidepid) from one that ended
        except ProcessLookupError:
            return "dead"
        except PermissionError:
            pass
        return "unknown"


def environment() -> dict[str, str]:
    """Return the variables that mark a program as started for this process's run."""
    return {OWNER_VARIABLE: str(Owner.me())}


def new_id() -> str:
    """Return a random run id."""
    return secrets.token_hex(4)


def cluster_name(run: str) -> str:
    """Return the name of a run's cluster and network.

    Args:
        run: A run id, or a name a person chose.

    Raises:
        UsageError: It cannot be part of a container's name.
    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", run):
        raise UsageError(
            f"--name {run}: not a name for a cluster", fix="Use at most 30 lower-case letters, digits and dashes."
        )
    return f"{PREFIX}{run}"


def folder(name: str) -> Path:
    """Return the folder of a cluster's own files on this machine: kubeconfig, mirror configuration, logs."""
    return paths.state() / "clusters" / name


@dataclass(frozen=True)
class Mark:
    """What says that a cluster's folder is ours, and which things in Docker are.

    Attributes:
        network: The id of the cluster's network.
        owner: Who made it, as in the label.
        keep: Whether it is meant to outlive its run.
        created: When the folder was made.
        containers: The ids of its nodes, once kind has made them.
    """

    network: str
    owner: str
    keep: bool
    created: AwareDatetime
    containers: tuple[str, ...] = ()

    @property
    def came_up(self) -> bool:
        """Whether kind had made the cluster: of its other files a cleaner may have taken one since."""
        return bool(self.containers)

    def write(self, name: str) -> None:
        """Put it into the folder of a cluster."""
        jsonfile.write(folder(name) / MARK, self)

    @classmethod
    def read(cls, name: str) -> "Mark | None":
        """Return the mark in the folder of a cluster, or None where there is none, or none that this user may see."""
        try:
            return jsonfile.read(folder(name) / MARK, cls)
        except UsageError:
            return None


def is_begun(name: str) -> bool:
    """Return whether a run was killed before the folder of its cluster had its mark: there is nothing else in it.

    Args:
        name: The cluster's, as its network has it; others give networks names that lead to other folders.
    """
    try:
        return Path(name).name == name and all(path.name.startswith(f".{MARK}.") for path in folder(name).iterdir())
    except OSError:
        return False


def marks() -> dict[str, Mark]:
    """Return the marks of all clusters that have a folder in this cache, by the clusters' names."""
    try:
        names = [path.name for path in folder("x").parent.iterdir()]
    except OSError:
        return {}
    found = {name: Mark.read(name) for name in names}
    return {name: mark for name, mark in found.items() if mark is not None}


STATE, START = 0, 19
"""Places in the fields of /proc/PID/stat that come after the program's name."""


def _fields(stat: str) -> list[str]:
    return stat.rpartition(")")[2].split()


def _namespace(process: Path) -> str:
    try:
        return str((process / "ns" / "pid").readlink()).strip("pid:[]")
    except OSError:
        return ""


def _has_a_clock_of_its_own(processes: Path) -> bool:
    """Tell whether this process is in a time namespace, in which each process started at another time than outside."""
    offset = re.search(r"^boottime\s+(\S+)\s+(\S+)$", _read(processes / "self" / "timens_offsets"), re.MULTILINE)
    return offset is not None and offset.groups() != ("0", "0")


def _is_of_this_namespace(processes: Path) -> bool:
    """Tell whether a process table has the numbers of this process's PID namespace, not those of one around it."""
    numbers = re.search(r"^NSpid:(.*)$", _read(processes / "self" / "status"), re.MULTILINE)
    return numbers is not None and len(numbers[1].split()) == 1


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
