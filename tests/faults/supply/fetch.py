"""Another process that wants a tool: `python -m tests.faults.supply.fetch CACHE URL [MEMBER]`; it prints its path."""

import sys
from dataclasses import replace
from pathlib import Path

import anyio

from ci.supply.pins import Download, Tool
from ci.supply.supply import Supply


def supply(cache, url, member=""):
    """A supply with one tool, published at an address, its checksum file beside it."""
    made = Supply("upstream", cache)
    download = Download(url=url, sums=f"{url}.sha256", member=member)
    made.pins = replace(made.pins, tools={"tool": Tool("v1.0.0", "module/tool", download)})
    return made


if __name__ == "__main__":
    wanted = supply(Path(sys.argv[1]), *sys.argv[2:])
    anyio.run(wanted.fetch, ["tool"])
    print(wanted.tool("tool"))
