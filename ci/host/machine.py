"""The machine that will run the cluster: one small function a need.

Judged is what counts: the daemon's figures where the daemon is elsewhere, this machine's where it runs here.
"""

import os
import platform
import re
import resource
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ci.base import oserrors, paths, versions
from ci.base.errors import MachineError
from ci.host import daemon as daemons
from ci.host import docker as docker_host
from ci.host import limits, oci_runtime, packages, products
from ci.host.daemon import Daemon

GIB = 1 << 30


@dataclass(frozen=True)
class Demand:
    """What a whole run takes of one thing.

    Attributes:
        need: The thing.
        amount: How much.
        unit: Of what.
        source: Where the figure comes from.
    """

    need: str
    amount: float
    unit: str
    source: str

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}".strip()


# docs/machines.md has them as a table, held to these by a test
KERNEL = Demand("kernel", 5.13, "", "kube-proxy's nftables mode refuses older ones")
MEMORY = Demand("memory", 4, "GiB", "a whole run took 3.1 GiB above idle, cached files apart")
CLIENT_MEMORY = Demand("memory of this process", 1, "GiB", "the tool (0.2), its tests and Helm, the cluster elsewhere")
CPUS = Demand("CPUs", 2, "CPUs", "the smallest machine that whole runs were green on")
TASKS = Demand("tasks", 2048, "tasks", "1,350 were counted on a machine with whole runs")
DISK = Demand("disk space", 6, "GiB", "the cluster's own copy of the images, and room to work")
COLD_DISK = Demand("disk space, first run", 30, "GiB", "sources, Go's caches and the images themselves")
INODES = Demand("inodes", 100_000, "inodes", "the images in Docker were 50,000 files, and a whole run added 40,000")
WATCHES = Demand("inotify watches", 2048, "watches", "750 were counted on a machine with a whole run")
INSTANCES = Demand("inotify instances", 64, "instances", "30 were counted on a machine with a whole run")
OPEN_FILES = Demand("open files", 1024, "files", "Linux's own default; macOS has 256")
DEMANDS = (
    KERNEL,
    MEMORY,
    CLIENT_MEMORY,
    CPUS,
    TASKS,
    DISK,
    COLD_DISK,
    INODES,
    WATCHES,
    INSTANCES,
    OPEN_FILES,
)


@dataclass(frozen=True)
class Check:
    """How one need is met.

    Attributes:
        need: What is needed.
        outcome: "ok": there; "planned": this tool will see to it; "warning": may hurt; "missing": `test` cannot run.
        how: How it is met, or what is wrong.
        fix: What to do about a warning or a missing thing.
    """

    need: str
    outcome: Literal["ok", "planned", "warning", "missing"]
    how: str
    fix: str = ""


def checks(cache: Path, daemon: Daemon | None) -> list[Check]:
    """Check the machine that will run the cluster, and what this process is granted.

    Args:
        cache: The cache folder.
        daemon: The daemon that will run the cluster; None for one that is yet to be started.
    """
    found: list[Check | None] = [*system(), *storage(cache), open_files()]
    # where somebody chose a daemon that does not answer, this machine's figures would not be its
    if daemon is not None or here(daemon):
        found += [kernel(daemon), cpus(daemon)]
        if daemon is not None or limits.kernel():  # without /proc nothing is known of these; `system` says so
            found += [cgroups(daemon), memory(daemon), tasks(daemon)]
        if daemon is None or daemon.where != "elsewhere":
            found += [inotify("watches", WATCHES), inotify("instances", INSTANCES)]
        if daemon is None:
            found += [capabilities() if limits.kernel() else None, docker_disk()]
        elif daemon.where == "here":
            found += [disk("Docker", root) for root in daemon.roots]
        else:
            found.append(unseen(daemon))
    return [check for check in found if check is not None]


def here(daemon: Daemon | None) -> bool:
    """Whether the cluster will run on this machine, among its files and ports.

    Args:
        daemon: Runs the cluster; None for one that does not answer, or is yet to be started.
    """
    return daemon.where == "here" if daemon else platform.system() == "Linux" and not daemons.place().chosen


def system() -> list[Check]:
    """Check that this is Linux, with its /proc, on an architecture that there are tools and images for."""
    need = "operating system"
    if platform.system() != "Linux":
        name = {"Darwin": "macOS"}.get(platform.system(), platform.system())
        fix = "docker run --rm -v /var/run/docker.sock:/var/run/docker.sock ml-serving-ci test   # docs/machines.md"
        return [Check(need, "missing", f"{name}: the tools and images are Linux programs", fix)]
    if not limits.kernel():
        return [Check(need, "missing", "/proc is not there, or not whole", "mount -t proc proc /proc")]
    if platform.machine() not in docker_host.ARCHITECTURES:
        fix = "uname -m   # x86_64 and aarch64 are: use such a machine, and no setarch"
        return [Check("architecture", "missing", f"{platform.machine()}: no tool or image is pinned for it", fix)]
    return []


def kernel(daemon: Daemon | None) -> Check:
    """Check the kernel that the cluster's nodes will see.

    Args:
        daemon: Runs them; None for one that this process will start.
    """
    # what is started from here is told what this process is told, whatever the kernel is (setarch)
    releases = {daemon.kernel} if daemon else set()
    if daemon is None or daemon.where == "here":
        releases.add(platform.release())
    needed = str(KERNEL)
    old = [
        release for release in sorted(releases) if release and versions.numbers(release)[:2] < versions.numbers(needed)
    ]
    if old:
        how = f"{old[0]}, {needed} needed: {KERNEL.source}"
        return Check("kernel", "missing", how, _newer_kernel(daemon, old[0]))
    return Check("kernel", "ok", daemon.kernel if daemon and daemon.kernel else platform.release())


def _newer_kernel(daemon: Daemon | None, release: str) -> str:
    if daemon and daemon.product:
        return daemon.product.update
    if release.endswith("-Microsoft"):  # WSL 1 has none of Linux's
        return "wsl --set-version DISTRIBUTION 2   # in Windows' own shell"
    if "microsoft" in release:  # it comes with Windows, and none of the distribution's packages changes it
        return "wsl --update; wsl --shutdown   # in Windows' own shell"
    name = daemon.system if daemon else _os_release()
    if found := re.match(r"Ubuntu (\d\d\.04)", name):
        return f"sudo apt-get update && sudo apt-get install -y linux-generic-hwe-{found[1]} && sudo reboot"
    return "docker context create newer --docker host=ssh://USER@A-NEWER-MACHINE && docker context use newer"


def _os_release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def capabilities() -> Check:
    """Check for the capabilities that privileged containers of a daemon started here ask for."""
    need = "capabilities"
    missing = sorted(oci_runtime.missing_here())
    if not missing:
        return Check(need, "ok", "all of the kernel's")
    return Check(need, "planned", f"{', '.join(missing)} missing here: containers get an OCI runtime that does without")


CONTROLLERS = {"1": {"cpu", "cpuacct", "cpuset", "devices", "memory", "pids"}, "2": {"cpu", "cpuset", "memory", "pids"}}
"""What runc and the kubelet ask for, by version."""


def cgroups(daemon: Daemon | None) -> Check:
    """Check for the control groups that containers and the kubelet need.

    Args:
        daemon: Says what it can limit; None for one that will be started here.
    """
    need = "control groups"
    if daemon is not None:
        how = f"version {daemon.cgroup_version}, driver {daemon.cgroup_driver or 'not told'}"
        if not daemon.missing_controllers:
            return Check(need, "ok", how)
        missing = ", ".join(daemon.missing_controllers)
        return Check(need, "missing", f"{how}: the daemon does without {missing}", _enable(daemon))
    version = "1" if CONTROLLERS["1"] & limits.mounts().keys() else "2"
    absent = sorted(CONTROLLERS[version] - limits.controllers())
    if not absent:
        return Check(need, "ok", f"version {version}")
    if not limits.mounts():
        fix = packages.by_hand("cgroupfs-mount") if packages.available() else "mount -t cgroup2 none /sys/fs/cgroup"
        return Check(need, "missing", "none mounted", fix)
    if version == "2":
        fix = f"echo '{' '.join(f'+{name}' for name in absent)}' | sudo tee /sys/fs/cgroup/cgroup.subtree_control"
    else:
        folders = [f"/sys/fs/cgroup/{name}" for name in absent]
        fix = " && ".join(
            f"sudo mkdir -p {folder} && sudo mount -t cgroup -o {name} cgroup {folder}"
            for name, folder in zip(absent, folders, strict=True)
        )
    return Check(need, "missing", f"version {version} without {', '.join(absent)}", fix)


def _enable(daemon: Daemon) -> str:
    """Return the command that gives a daemon the controllers it lacks."""
    if "rootless" in daemon.security:
        return (
            "sudo mkdir -p /etc/systemd/system/user@.service.d && "
            "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | "
            "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload"
        )
    options = "cgroup_enable=memory cgroup_memory=1" if "memory" in daemon.missing_controllers else ""
    if options and daemon.architecture in ("aarch64", "armv7l"):  # Raspberry Pi OS turns it off
        return f"sudo sed -i '1s/$/ {options}/' /boot/firmware/cmdline.txt && sudo reboot   # or /boot/cmdline.txt"
    return "docker info | grep WARNING   # each names a kernel option (CONFIG_MEMCG, CONFIG_CFS_BANDWIDTH, ...)"


def memory(daemon: Daemon | None) -> Check:
    """Check for memory: what is free of this machine's and its groups' limits leave, or all that the daemon has.

    Args:
        daemon: Runs the cluster; None for one that this process will start.
    """
    need = "memory"
    more = f"{MEMORY} needed"
    if daemon is not None and daemon.where == "elsewhere":
        total = daemon.memory / GIB
        if total and total < MEMORY.amount:
            return Check(need, "missing", f"{total:.1f} GiB at the daemon's machine, {more}", _enlarge(daemon))
        how = f"{total:.1f} GiB at the daemon's machine" if total else "the daemon does not say how much it has"
        return _client_memory(Check(need, "ok", how))
    available = limits.memory_available()
    check = Check(need, "ok", f"{available / GIB:.1f} GiB available")
    if available < MEMORY.amount * GIB:
        fix = "end something that uses it: ps -eo rss,comm --sort=-rss | head"
        if limits.memory_total() < MEMORY.amount * GIB:  # there is no more, whatever ends
            fix = _enlarge(daemon)
        check = Check(need, "missing", f"{check.how}, {more}", fix)
    if daemon is not None and daemon.where == "this kernel":
        return _client_memory(check)
    granted = [limits.memory(), *([limits.memory(daemon.process)] if daemon else [])]
    tightest = min((one for one in granted if one), key=lambda one: one.left, default=None)
    if tightest and tightest.left < min(available, MEMORY.amount * GIB):
        how = f"{tightest.left / GIB:.1f} GiB left by {tightest.file}, {more}"
        return Check(need, "missing", how, _lift(tightest.file, "memory"))
    return check


def _client_memory(check: Check) -> Check:
    """Return a check of the daemon's memory, unless this process has too little for its own part."""
    own = limits.memory()
    if check.outcome != "ok" or own is None or own.left >= CLIENT_MEMORY.amount * GIB:
        return check
    how = f"{check.how}; this process: {own.left / GIB:.1f} GiB left by {own.file}, {CLIENT_MEMORY.amount:g} needed"
    return Check(check.need, "warning", how, _lift(own.file, "memory"))


def _enlarge(daemon: Daemon | None) -> str:
    amounts = {"memory": 8, "cpus": max(4, daemon.cpus if daemon else 0)}
    if daemon and daemon.product:
        return daemon.product.enlarge.format(**amounts)
    if "microsoft" in limits.kernel() and (daemon is None or daemon.where != "elsewhere"):
        return products.WSL.format(**amounts)
    return "docker context ls   # then: docker context use ONE of a larger machine"


LIFTED = {
    "memory": ("MemoryMax=infinity", "--memory=8g --memory-swap=8g"),
    "cpu": ("CPUQuota=", "--cpus=4"),
    "pids": ("TasksMax=infinity", "--pids-limit=-1"),
}
"""How systemd and Docker take a limit away, by controller."""


def _lift(file: Path, controller: str) -> str:
    """Return the command that lifts a control group's limit, by who made the group."""
    unit, option = LIFTED[controller]
    if file.name == "memory.high":
        unit = "MemoryHigh=infinity"
    group = file.parent.name
    if found := re.fullmatch(r"(?:docker-)?([0-9a-f]{64})(?:\.scope)?", group):
        return f"docker update {option} {found[1][:12]}   # on the machine that runs this container"
    if group.endswith((".service", ".scope", ".slice")):
        user = "--user " if "/user@" in str(file) else ""
        return f"{'' if user else 'sudo '}systemctl {user}set-property --runtime {group} {unit}"
    if os.geteuid() == 0 and not os.access(file, os.W_OK):  # a container sees its own group, and may not change it
        return f"docker update {option} {socket.gethostname()}   # on the machine that runs this container"
    return f"echo {-1 if file.name in ('memory.limit_in_bytes', 'cpu.cfs_quota_us') else 'max'} | sudo tee {file}"


def cpus(daemon: Daemon | None) -> Check:
    """Check for CPUs, and for the share of them that is granted here.

    Args:
        daemon: Runs the cluster; None for one that this process will start.
    """
    need = "CPUs"
    count = daemon.cpus if daemon and daemon.cpus else limits.cpu_count()
    check = Check(need, "ok", str(count))
    if count < CPUS.amount:
        fix = _enlarge(daemon)
        if daemon is None and count < (os.cpu_count() or 1):
            fix = f"run it without taskset or --cpuset-cpus: this machine has {os.cpu_count()}"
        check = Check(need, "warning", f"{count}, {CPUS.amount:g} needed: steps will exceed their deadlines", fix)
    granted = limits.cpus()
    if granted and granted.left < CPUS.amount and (daemon is None or daemon.where == "here"):
        how = f"{count}, of which {granted.file} grants {granted.left:.1f}, {CPUS.amount:g} needed"
        return Check(need, "warning", f"{how}: steps will exceed their deadlines", _lift(granted.file, "cpu"))
    return check


def tasks(daemon: Daemon | None) -> Check | None:
    """Check for a limit on the tasks that may be started here; None where there is none.

    Args:
        daemon: Runs the cluster; None for one that this process will start.
    """
    granted = limits.pids()
    if granted is None or (daemon is not None and daemon.where != "here"):
        return None
    how = f"{granted.left:.0f} more allowed by {granted.file}"
    if granted.left >= TASKS.amount:
        return Check("tasks", "ok", how)
    return Check("tasks", "warning", f"{how}, up to {TASKS.amount:g} used", _lift(granted.file, "pids"))


def open_files() -> Check | None:
    """Check how many files this process may open; None where it is enough."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= OPEN_FILES.amount:
        return None
    return Check("open files", "warning", f"{soft}, {OPEN_FILES.amount:.0f} needed", "ulimit -n 4096")


def unseen(daemon: Daemon) -> Check:
    """Say what of the daemon's machine cannot be seen from here, and how to look.

    Args:
        daemon: The daemon.
    """
    what = "its disk" if daemon.where == "this kernel" else "its disk, free memory and inotify limits"
    look = "df -h /; df -i /" + ("" if daemon.where == "this kernel" else "; head -3 /proc/meminfo")
    how = f"{what} cannot be seen from here: {DISK} free needed, {COLD_DISK.amount:g} for a first run"
    return Check("the daemon's machine", "warning", how, f"docker run --rm debian:stable-slim sh -c '{look}'")


def storage(cache: Path) -> list[Check]:
    """Check the disk of the cache; where that is read-only it has to hold everything, and takes nothing more.

    Args:
        cache: The cache folder.
    """
    try:
        if not paths.writable(cache):
            found = [disk("the cache is read-only; files of runs", paths.state(cache), fetches=False)]
        else:
            found = [disk("cache", cache)]
        there, state = _nearest(cache), paths.state(cache)
        flags = os.statvfs(there).f_flag
    except OSError as error:
        told = oserrors.machine(error)
        return [Check(f"cache at {cache}", "missing", told.message, told.fix or "")]
    if not paths.writable(state):
        how = "this user may not write there what belongs to a run: clusters, locks, logs"
        found.append(Check(f"files of runs at {state}", "missing", how, "export ML_SERVING_CI_STATE=DIR of your own"))
    if flags & oserrors.NOEXEC:
        how = "on a file system mounted noexec, from which none of the supply's programs runs"
        look = f"findmnt --target {shlex.quote(str(there))}"
        fix = f"{look}   # remount it with exec, or set ML_SERVING_CI_CACHE=DIR elsewhere"
        found.append(Check(f"cache at {cache}", "missing", how, fix))
    return found


def docker_disk() -> Check:
    """Check the disk that a daemon started here will have, as its configuration says."""
    try:
        return disk("Docker", docker_host.data_root())
    except MachineError as error:
        return Check("Docker's configuration", "missing", error.message, error.fix or "")


def disk(whose: str, folder: Path, *, fetches: bool = True) -> Check:
    """Check for free disk space, in bytes and in files.

    Args:
        whose: What is kept there.
        folder: Where it is needed; it need not exist yet.
        fetches: Whether a first run fills it.
    """
    need = f"disk space at {folder} ({whose})"
    try:
        there = _nearest(folder)
        stat = os.statvfs(there)
    except PermissionError as error:
        how = f"this user may not look ({error.strerror}): {DISK} free needed, {COLD_DISK.amount:g} for a first run"
        return Check(need, "warning", how, f"sudo df -h {shlex.quote(str(folder))}")
    free, inodes = stat.f_bavail * stat.f_frsize / GIB, stat.f_favail
    place = shlex.quote(str(there))
    fix = f"df -h {place}; docker system df   # docker system prune removes what Docker holds and nothing uses"
    if free < DISK.amount:
        return Check(need, "missing", f"{free:.1f} GiB free, {DISK} needed", fix)
    if stat.f_files and inodes < INODES.amount:  # btrfs has no number of them
        how = f"{inodes} inodes free, {INODES.amount:g} needed: few files more, however small"
        return Check(need, "missing", how, f"df -i {place}; sudo du --inodes -xd2 {place} | sort -n | tail")
    if fetches and free < COLD_DISK.amount:
        how = f"{free:.1f} GiB free, a first run takes up to {COLD_DISK}"
        return Check(need, "warning", how, fix)
    return Check(need, "ok", f"{free:.0f} GiB free")


def _nearest(folder: Path) -> Path:
    """Return a folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def inotify(kind: Literal["watches", "instances"], demand: Demand) -> Check | None:
    """Check a limit of inotify, which a node of many containers uses up; None where the kernel does not tell.

    Args:
        kind: Which.
        demand: How many are needed.
    """
    need = f"inotify {kind}"
    limit = limits.inotify(kind)
    if limit is None or limit >= demand.amount:
        return None if limit is None else Check(need, "ok", str(limit))
    setting = f"fs.inotify.max_user_{kind}"
    fix = f"sudo sysctl -w {setting}={524288 if kind == 'watches' else 512}   # until the next boot; then /etc/sysctl.d"
    error = "no space left on device" if kind == "watches" else "too many open files"
    return Check(need, "warning", f"{limit}, {demand.amount:g} needed: “{error}” may come up", fix)
