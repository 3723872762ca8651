"""Parts of a Debian system as layers, made by mmdebstrap."""

import os
from pathlib import Path

from ci.base import command
from ci.host import packages
from ci.supply.pins import Root

DROPPED = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
    "/usr/share/i18n/*",
    "/usr/share/zoneinfo/*",
    "/var/cache/apt/*",
    "/var/lib/apt/lists/*",
    "/var/lib/dpkg/info/*.md5sums",
)
"""Nothing in a container reads these."""


async def debian(root: Root, out_tar: Path, log: Path) -> None:
    """Write a Debian root as an uncompressed tar.

    Args:
        root: What is in it.
        out_tar: The tar, written aside and renamed.
        log: Gets mmdebstrap's output.

    Raises:
        MachineError: mmdebstrap is missing and cannot be installed.
    """
    await packages.ensure("mmdebstrap", "mmdebstrap")
    partial = out_tar.with_name(f".{out_tar.name}.partial-{os.getpid()}.tar")
    try:
        await command.run(
            [
                "mmdebstrap",
                f"--variant={root.variant}",
                f"--include={','.join(root.packages)}",
                *(f"--dpkgopt=path-exclude={glob}" for glob in (*DROPPED, *root.exclude)),
                '--customize-hook=rm --force "$1/etc/resolv.conf" "$1/etc/hostname"',  # this machine's, copied in
                "--aptopt=Acquire::Retries 3",
                "--format=tar",
                root.suite,
                partial,
            ],
            env={"SOURCE_DATE_EPOCH": "0"},
            log=log,
            timeout=1800,
        )
        partial.rename(out_tar)
    finally:
        partial.unlink(missing_ok=True)
