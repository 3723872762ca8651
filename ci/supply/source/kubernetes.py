"""Kubernetes: all its components in one static binary, and the program that holds a pod's namespaces."""

from collections.abc import Mapping
from pathlib import Path

from ci.errors import MachineError
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
    version = released(modules["kubernetes"], FILES / "kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    ldflags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamp.items())
    await toolchain.build(FILES / "kubernetes", {"kubernetes": "."}, out, log, ldflags=ldflags)
    await toolchain.build(FILES / "pause", {"pause": "."}, out, log)


def released(module: Path, folder: Path) -> str:
    """Return the version of a pinned module, which the go.mod that builds it must name as well.

    Args:
        module: The module's folder in Go's cache ("…/kubernetes@v1.35.8").
        folder: Our own module that builds it.

    Raises:
        MachineError: The go.mod names another version.
    """
    name, _, version = "/".join(module.parts[-2:]).partition("@")
    required = {line.removeprefix("require").split("//")[0].strip() for line in (folder / "go.mod").open()}
    if not any(line.endswith(f"{name} {version}") for line in required):
        raise MachineError(
            f"{folder / 'go.mod'}: does not require {name} {version}, which pins.toml names",
            fix="Change the version there too, then run `go mod tidy` in that folder.",
        )
    return version
