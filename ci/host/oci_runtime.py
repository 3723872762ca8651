"""OCI runtime that drops the capabilities this machine does not have, then becomes runc.

`docker run --privileged` asks for every capability the kernel knows. Where the machine itself was started without some
of them (nested or hardened virtual machines), runc refuses the container. This program takes them out of the
container's configuration first. `ci.host.runtime_shim` copies this one file out of the package, so it uses nothing but
the standard library.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")

# In the order of their bits, include/uapi/linux/capability.h.
CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)


def missing_capabilities(status: str, last: int) -> frozenset[str]:
    """Return the kernel's capabilities that the bounding set of a process lacks.

    Args:
        status: Text of the process's `/proc/PID/status`.
        last: Number of the kernel's last capability (`/proc/sys/kernel/cap_last_cap`).
    """
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    bounding = int(line.split()[1], 16)
    return frozenset(name for bit, name in enumerate(CAPABILITIES[: last + 1]) if not bounding >> bit & 1)


def missing_here(process: int | None = None) -> frozenset[str]:
    """Return the kernel's capabilities that a process can never have; none where the kernel does not tell.

    Args:
        process: Its number; this process by default.
    """
    proc = Path("/proc")
    try:
        last = int((proc / "sys/kernel/cap_last_cap").read_text())
        status = (proc / str(process or "self") / "status").read_text()
    except OSError:  # macOS has no /proc
        return frozenset()
    return missing_capabilities(status, last)


def without(process: dict[str, Any], missing: frozenset[str]) -> dict[str, Any]:
    """Return an OCI process object without the `missing` capabilities."""
    capabilities = process.get("capabilities")
    if not capabilities:
        return process
    kept = {
        name: [one for one in names if one not in missing] if name in SETS and names else names
        for name, names in capabilities.items()
    }
    return {**process, "capabilities": kept}


def edit(arguments: list[str], missing: frozenset[str]) -> None:
    """Rewrite the configuration that a runc command line is about to read, in place.

    Args:
        arguments: runc's arguments.
        missing: Capabilities to take out.
    """
    command = next((word for word in arguments if word in ("create", "run", "exec", "restore")), None)
    if command == "exec":
        process = _option(arguments, "--process", "-p")
        if process is not None:
            path = Path(process)
            path.write_text(json.dumps(without(json.loads(path.read_text()), missing)))
    elif command is not None:
        path = Path(_option(arguments, "--bundle", "-b") or ".") / "config.json"
        config = json.loads(path.read_text())
        if "process" in config:
            config["process"] = without(config["process"], missing)
            path.write_text(json.dumps(config))


def _option(arguments: list[str], *names: str) -> str | None:
    for index, word in enumerate(arguments):
        if word in names and index + 1 < len(arguments):
            return arguments[index + 1]
        for name in names:
            if word.startswith(name + "="):
                return word[len(name) + 1 :]
    return None


def main() -> None:
    """Edit, then replace this process by runc."""
    edit(sys.argv[1:], missing_here())
    # containerd starts runtimes with whatever PATH the daemon had, at times without the sbin folders
    search = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"))
    runc = shutil.which("runc", path=search)
    if runc is None:
        sys.exit(f"{sys.argv[0]}: no runc on {search}")
    os.execv(runc, [runc, *sys.argv[1:]])  # noqa: S606 - becoming runc is the point


if __name__ == "__main__":
    main()
