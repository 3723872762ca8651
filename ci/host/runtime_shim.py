"""Puts `oci_runtime.py` where a Docker daemon can use it, apart from this checkout and its virtual environment."""

import sys
from pathlib import Path

from ci.base import command
from ci.base.errors import MachineError
from ci.host import oci_runtime

NAME = "ml-serving-ci-runc"
"""Name under which the daemon knows the runtime, and file name of the program."""


async def install(folder: Path) -> Path:
    """Write the runtime shim as an executable file.

    Args:
        folder: Where it goes; a place that outlives this checkout.

    Returns:
        The executable.

    Raises:
        MachineError: No Python outside a virtual environment runs here.
    """
    interpreter = await _interpreter()
    source = Path(oci_runtime.__file__).read_text()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / NAME
    content = f"#!{interpreter} -IS\n{source}"
    if target.is_file() and target.read_text() == content:
        return target
    partial = target.with_suffix(".partial")
    partial.write_text(content)
    partial.chmod(0o755)
    partial.replace(target)
    return target


async def _interpreter() -> Path:
    """Return a Python that stays when a virtual environment goes: the system's, else the one this one was made from."""
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path("/usr/bin/python3"), base):
        if not candidate.exists():
            continue
        probe = "import sys, json, shutil, pathlib; sys.exit(sys.version_info < (3, 10))"
        result = await command.run([candidate, "-IS", "-c", probe], check=False, timeout=20)
        if result.returncode == 0:
            return candidate
    raise MachineError(
        "the OCI runtime shim needs a Python 3.10 or later outside a virtual environment",
        fix="apt-get install -y python3-minimal",
    )
