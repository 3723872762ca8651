"""etcd: its own go.mod replaces modules by folders that are not published, so a go.mod of ours builds it."""

from collections.abc import Mapping
from pathlib import Path

from ci.supply.source import kubernetes
from ci.supply.source.go import GoToolchain

PACKAGE = "go.etcd.io/etcd/server/v3"
FOLDER = Path(__file__).parent / "files" / "etcd"


async def build(toolchain: GoToolchain, modules: Mapping[str, Path], out: Path, log: Path) -> None:
    """Write `etcd` into `out`.

    Args:
        toolchain: Go.
        modules: Module folders by pin name.
        out: Folder that gets the executable.
        log: Gets the compiler's output.
    """
    kubernetes.released(modules["etcd"], FOLDER)
    await toolchain.build(FOLDER, {"etcd": PACKAGE}, out, log)
