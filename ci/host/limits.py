"""What the kernel grants this process, its machine and their control groups, as /proc and /sys say it.

Where there is no /proc (macOS) every question has an answer as well: none.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"
UNLIMITED = 1 << 60
"""Version 1 of control groups writes "no limit" as a very large number."""

MEMORY_LIMITS = ("memory.max", "memory.high", "memory.limit_in_bytes")
"""Above the second one nothing is killed: it is slowed down until nothing is done in time."""


@dataclass(frozen=True)
class Limit:
    """The tightest limit of one kind on a process.

    Attributes:
        left: How much of it is left.
        file: The file that sets it.
    """

    left: float
    file: Path


def kernel() -> str:
    """Return this kernel's release, whatever `setarch` says to programs; empty where it does not tell."""
    return _text(PROC / "sys/kernel/osrelease").strip()


def memory_total() -> int:
    """Return this machine's memory in bytes, 0 where it does not tell."""
    return _meminfo("MemTotal")


def memory_available() -> int:
    """Return how much memory could be had without swapping, in bytes, 0 where the kernel does not tell."""
    return _meminfo("MemAvailable")


def inotify(kind: str) -> int | None:
    """Return a limit of inotify on each user, or None where the kernel does not tell.

    Args:
        kind: "watches" or "instances".
    """
    text = _text(PROC / f"sys/fs/inotify/max_user_{kind}").strip()
    return int(text) if text.isdigit() else None


def processes(program_name: str) -> Iterator[int]:
    """Yield the processes that run a program.

    Args:
        program_name: Its name, as `ps -o comm` has it.
    """
    for folder in PROC.glob("[0-9]*"):
        if program(int(folder.name)) == program_name:
            yield int(folder.name)


def program(process: int) -> str:
    """Return the name of a process's program, empty where it ended."""
    return _text(PROC / str(process) / "comm").strip()


def listens(process: int, port: int) -> bool:
    """Whether a process is known to listen on a TCP port.

    Args:
        process: Its number; of another user's process only root knows.
        port: The port.
    """
    try:
        held = {str(descriptor.readlink()) for descriptor in (PROC / str(process) / "fd").iterdir()}
    except OSError:
        return False
    # https://docs.kernel.org/networking/proc_net_tcp.html: the local address, then that of the peer, then the state
    lines = (
        line.split() for name in ("tcp", "tcp6") for line in _text(PROC / str(process) / "net" / name).splitlines()
    )
    return any(
        words[3] == LISTENING and int(words[1].rpartition(":")[2], 16) == port and f"socket:[{words[9]}]" in held
        for words in lines
        if len(words) > 9 and words[0] != "sl"
    )


def same_files(process: int) -> bool:
    """Whether a process sees the same mounts as this one."""
    try:
        return (PROC / str(process) / "ns/mnt").readlink() == (PROC / "self/ns/mnt").readlink()
    except OSError:
        # only root may look at others' processes; root that may not either is in a container with the host's processes
        return os.geteuid() != 0


def memory(process: int | None = None) -> Limit | None:
    """Return how much memory a process's control groups leave it, in bytes, or None where they set no limit."""
    found = []
    for folder in groups("memory", process):
        for name in MEMORY_LIMITS:
            limit = _number(folder / name)
            if limit is not None and limit < UNLIMITED:
                found.append(Limit(limit - memory_held(folder), folder / name))
    return min(found, key=lambda limit: limit.left, default=None)


def memory_held(group: Path) -> int:
    """Return the bytes that a control group holds and the kernel would not give back when asked; 0 once it is gone.

    That is all but the files cached, on either list: the kernel reckons both as available (si_mem_available in
    mm/show_mem.c; "the size of the file LRU lists" in filesystems/proc.rst), and what is needed is held against its
    `MemAvailable`. `docker stats` and the kubelet leave out the inactive list alone and count whatever was read twice
    (kubernetes/kubernetes#43916). The programs that run are among the files: a machine without room for them reads them
    again and again, so what it should have is more than this.

    Args:
        group: The group's folder, of either version.
    """
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes") or 0
    stat = dict(line.split() for line in _text(group / "memory.stat").splitlines() if len(line.split()) == 2)
    # of version 1 the plain names count the group without those below it
    cached = (stat.get(f"total_{name}", stat.get(name, "0")) for name in ("active_file", "inactive_file"))
    return max(0, used - sum(map(int, cached)))


def cpu_count() -> int:
    """Return how many CPUs this process, and what it starts, may run on."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def cpus(process: int | None = None) -> Limit | None:
    """Return how many CPUs' time a process's control groups grant it, or None where they set no limit."""
    found = []
    for folder in groups("cpu", process):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            found.append(Limit(int(words[0]) / int(words[1]), folder / "cpu.max"))
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota is not None and quota > 0 and period:
            found.append(Limit(quota / period, folder / "cpu.cfs_quota_us"))
    return min(found, key=lambda limit: limit.left, default=None)


def pids(process: int | None = None) -> Limit | None:
    """Return how many more tasks a process's control groups let it start, or None where they set no limit."""
    found = []
    for folder in groups("pids", process):
        limit = _number(folder / "pids.max")
        if limit is not None:
            found.append(Limit(limit - (_number(folder / "pids.current") or 0), folder / "pids.max"))
    return min(found, key=lambda limit: limit.left, default=None)


def groups(controller: str, process: int | None = None) -> list[Path]:
    """Return the control groups of a process that have a controller: its own, then those above it.

    Args:
        controller: "memory", "cpu", "pids", …
        process: Its number; this process by default.
    """
    mounted = mounts()
    for line in _text(PROC / str(process or "self") / "cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        key = controller if controller in controllers.split(",") else "" if number == "0" else None
        if key not in mounted or (key == "" and controller in mounted):
            continue
        root, mount = mounted[key]
        # seen from inside a container the path may begin above what is mounted
        inside = path.removeprefix(root) if root != "/" and path.startswith(root) else path
        folder = mount / inside.lstrip("/")
        return [one for one in (folder, *folder.parents) if one.is_relative_to(mount) and one.is_dir()]
    return []


def controllers() -> frozenset[str]:
    """Return the controllers that control groups made here can have."""
    mounted = mounts()
    unified = _text(mounted[""][1] / "cgroup.controllers").split() if "" in mounted else []
    return frozenset(unified) | frozenset(mounted) - {""}


def mounts() -> dict[str, tuple[str, Path]]:
    """Return where control groups are mounted.

    Returns:
        Each controller of version 1, and "" for version 2, to the group that the mount shows, and its folder.
    """
    found: dict[str, tuple[str, Path]] = {}
    for line in _text(PROC / "self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if not kind or kind[0] not in ("cgroup", "cgroup2"):
            continue
        shown = (words[3], Path(words[4]))
        # the last, for what is mounted may have no name
        for option in [""] if kind[0] == "cgroup2" else kind[-1].split(","):
            found.setdefault(option, shown)
    for option in [option for option in found if option in ("rw", "ro") or "=" in option or option == "xattr"]:
        del found[option]
    return found


def _meminfo(field: str) -> int:
    for line in _text(PROC / "meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
