"""Another program's own code, in a program that tests ask in JSON."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass

import anyio

from ci.supply.source import kubernetes
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


def built(source, name, folder, beside=()):
    """Build a program of ours on a pinned module, as the supply builds the module's own programs.

    Args:
        source: Its Go file.
        name: The module's, in pins.toml.
        folder: An empty one, kept as long as the result.
        beside: Folders of programs that it calls, before those on PATH.
    """

    async def build():
        supply = Supply("source")
        await supply.fetch([name])
        toolchain = await supply.toolchain()
        main = supply.pins.modules[name].main_module
        module = shutil.copytree(MAIN_MODULES / main if main else kubernetes.FILES / name, folder / "module")
        await toolchain.build(module, {source.stem: str(source)}, folder, folder / "log")

    anyio.run(build)
    return Program(str(folder / source.stem), os.pathsep.join([*map(str, beside), os.environ["PATH"]]))
