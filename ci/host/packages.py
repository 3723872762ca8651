"""Debian packages, installed where the machine lacks a program."""

import os
import shutil

from ci.base import command, locks, paths, progress
from ci.base.errors import CommandError, MachineError


def available() -> bool:
    """Whether this is Debian or made from it (Ubuntu)."""
    return shutil.which("apt-get") is not None


async def install(*names: str) -> None:
    """Install packages, with a line that says so.

    Args:
        names: The packages.

    Raises:
        MachineError: This is not Debian, or not root, or apt-get cannot; `fix` has the commands.
    """
    if not available():
        raise MachineError(
            f"{', '.join(names)}: not installed here", fix="install it with this system's own package manager"
        )
    if os.geteuid() != 0:
        raise MachineError(f"{', '.join(names)}: not installed here, and only root can", fix=by_hand(*names))
    progress.note(f"not installed here: {', '.join(names)}; apt-get installs it (--no-install refuses)")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "--quiet", "--option=DPkg::Lock::Timeout=300"]
    try:
        with progress.step(f"install {' '.join(names)}"):
            await command.run([*apt, "update"], env=env, timeout=300)
            await command.run([*apt, "install", "--yes", "--no-install-recommends", *names], env=env, timeout=900)
    except CommandError as error:
        fix = error.fix or f"{by_hand(*names)}   # until that works: its sources, the network, a proxy"
        raise MachineError(
            f"{', '.join(names)}: not installed here, and {error.message}", fix=fix, detail=error.detail
        ) from error


async def ensure(program: str, package: str) -> None:
    """Install a package where its program is missing; of several tasks or processes that ask at once, one does it.

    Args:
        program: What is looked for on PATH.
        package: Brings it.

    Raises:
        MachineError: As `install`.
    """
    if shutil.which(program) is not None:
        return
    async with locks.exclusive(paths.state() / "locks" / "apt.lock", f"the package {package}"):
        if shutil.which(program) is None:
            await install(package)


def by_hand(*names: str) -> str:
    """Return the command that installs packages."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y {' '.join(names)}"


def docker_by_hand() -> str:
    """Return the command that installs Docker here: Debian's package, elsewhere Docker's own script."""
    return by_hand("docker.io") if available() else "curl -fsSL https://get.docker.com | sudo sh"


def removal(name: str) -> str:
    """Return the command that removes a package.

    Args:
        name: The package.
    """
    manager = next((one for one in ("apt-get", "dnf", "yum", "zypper") if shutil.which(one)), "apt-get")
    return f"{'' if os.geteuid() == 0 else 'sudo '}{manager} remove -y {name}"
