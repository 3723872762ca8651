"""Kubernetes: all its components in one static binary, and the program that holds a pod's namespaces."""

from collections.abc import Mapping
from pathlib import Path

from ci.supply.source import go
from ci.supply.source.go import GoToolchain

FILES = Path(__file__).parent / "files" / "kubernetes"


async def build(toolchain: GoToolchain, modules: Mapping[str, Path], out: Path, log: Path) -> None:
    """Write `kubernetes` and `pause` into `out`.

    Args:
        toolchain: Go.
        modules: Module folders by pin name.
        out: Folder that gets the executables.
        log: Gets the compiler's output.
    """
    version = go.released(modules["kubernetes"], FILES / "kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    ldflags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())
    await toolchain.build(FILES / "kubernetes", {"kubernetes": "."}, out, log, ldflags=ldflags)
    await toolchain.build(FILES / "pause", {"pause": "."}, out, log)
