"""Another program's own code, in a program that tests ask in JSON."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

from ci.supply import partial, pins
from ci.supply.source import go, kubernetes
from ci.supply.supply import MAIN_MODULES, Supply

SECONDS = 120


@dataclass(frozen=True)
class Program:
    """A program, built.

    Attributes:
        executable: The program.
        path: Where it finds programs that it calls.
    """

    executable: str
    path: str

    def __call__(self, asked):
        """Return what it makes of its input."""
        done = subprocess.run(
            [self.executable],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
            env={**os.environ, "PATH": self.path},
        )
        return json.loads(done.stdout)


def built(source, name, beside=()):
    """Build a program of ours on a pinned module, as the supply builds the module's own programs.

    Once for all processes and runs: it is kept in the supply's cache until the source or the pin is another one.

    Args:
        source: Its Go file.
        name: The module's, in pins.toml.
        beside: Folders of programs that it calls, before those on PATH.
    """

    async def build():
        supply = Supply("source")
        pin = supply.pins.modules[name]
        module = MAIN_MODULES / pin.main_module if pin.main_module else kubernetes.FILES / name
        program = supply.cache / "go" / f"{source.stem}-{pins.key(pin, go.FLAGS, module, source)}" / source.stem
        async with supply.exclusive(f"build-{pin.main_module or name}", f"the build of {source.stem}"):
            if not program.exists():
                await supply.fetch([name])
                toolchain = await supply.toolchain()
                with partial.folder(program.parent) as work, tempfile.TemporaryDirectory() as folder:
                    there = shutil.copytree(module, Path(folder, "module"))
                    await toolchain.build(there, {source.stem: str(source)}, work, work / "log")
        return program

    return Program(str(anyio.run(build)), os.pathsep.join([*map(str, beside), os.environ["PATH"]]))
