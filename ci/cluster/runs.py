"""What marks the things of one run, so that they are found again without a state file."""

import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from ci import paths
from ci.errors import UsageError

PREFIX = "ml-serving-ci-"
"""Begins the name of every cluster and network made here."""

RUN_LABEL = "ml-serving-ci.run"
OWNER_LABEL = "ml-serving-ci.owner"
KEEP_LABEL = "ml-serving-ci.keep"
KIND_LABEL = "io.x-k8s.kind.cluster"
"""kind's own label, on each of its containers; no other can be given to them."""

OWNER_VARIABLE = "ML_SERVING_CI_OWNER"
"""In the environment of every program started for a run, with the same text as the label."""


@dataclass(frozen=True)
class Owner:
    """The process that made something.

    Attributes:
        host: Its machine.
        pid: Its number there.
        started: When it started, in the kernel's ticks: tells it from a later process of the same number.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> "Owner":
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), _start_time(os.getpid()) or "")

    @classmethod
    def parse(cls, text: str) -> "Owner | None":
        """Read what `str` wrote, or return None."""
        match = re.fullmatch(r"(.+)/(\d+)/(\d+)", text)
        return cls(match[1], int(match[2]), match[3]) if match else None

    def __str__(self) -> str:
        return f"{self.host}/{self.pid}/{self.started}"

    @property
    def alive(self) -> bool:
        """Whether it still runs, or may still run where this machine cannot look."""
        return self.host != socket.gethostname() or _start_time(self.pid) == self.started


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
    return paths.cache() / "clusters" / name


def _start_time(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
