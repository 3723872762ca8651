"""The tool's own command: `python -m tests.internet.tool PINS REGISTRY ARGUMENT…`.

What it is told otherwise than a user's is where its pins are, and that the local registry runs already, as a process
where Docker would run a container.
"""

import sys
from pathlib import Path

from ci import main
from ci.supply import pins
from ci.supply.registry import Registry
from ci.supply.supply import Supply


def local_registry(host):
    async def start(self, **_):
        self._registry = Registry(host, int(host.rpartition(":")[2]))

    return start


if __name__ == "__main__":
    program, file, registry, *arguments = sys.argv
    pins.FILE = Path(file)
    pins.load.__defaults__ = (pins.FILE,)
    Supply._start_registry = local_registry(registry)
    sys.argv = ["ci/main.py", *arguments]
    main.run()
