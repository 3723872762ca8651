"""Dagger out of its published Go module: the engine's programs, and a `dagger` command.

The module leaves out two of its parts that are modules of their own and not published: the constants its image is
built with (`engine/distconsts`) and the Dang v2 language. `files/dagger/module` has these constants, and for every
package that needs the language one that does without: modules written in Dang v2 are refused, the terminal interface is
left out with the libraries only it uses, and `cmd/dagger` is a command of our own with `run`, `session` and `version`.
Everything else is upstream's code as it stands.

The image `registry.dagger.io/engine` needs, beside these programs: `runc` at /usr/local/bin/runc, CNI's bridge,
firewall, host-local and loopback plugins and `dnsname` in /opt/cni/bin, dnsmasq, git and a shell on PATH, both
xtables-*-multi in /usr/bin, and an empty /usr/local/share/dagger/content. Clients dial it through
`docker exec -i NAME buildctl dial-stdio`, which `dial-stdio` answers under that name.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio

from ci.base import command
from ci.supply.source import go

OVERLAY = Path(__file__).parent / "files" / "dagger" / "module"
REPLACED = ("cmd/dagger", "core/sdk/dang/v2", "dagql/idtui", "util/scrub")
"""Packages whose own files go before the overlay's come."""
DISTCONSTS = "github.com/dagger/dagger/engine/distconsts"
THIRD_PARTY = {"github.com/charmbracelet/huh": "huh", "github.com/vito/dang/v2": "dang"}
"""Modules replaced by a folder of third_party; the overlay has what is still imported of them."""
PACKAGES = {
    "dagger": "./cmd/dagger",
    "dagger-engine": "./cmd/engine",
    "dagger-init": "./cmd/init",
    "dnsname": "./cmd/dnsname",
    "dial-stdio": "./cmd/dialstdio",
}


async def build(toolchain: go.GoToolchain, modules: Mapping[str, Path], out: Path, log: Path) -> None:
    """Build the engine's programs and the `dagger` command.

    Args:
        toolchain: Go.
        modules: Folder of each pinned Go module; only read.
        out: Folder that gets the executables.
        log: Gets the compiler's output.
    """
    module = modules["dagger"]
    version = module.name.rpartition("@")[2]
    with tempfile.TemporaryDirectory(prefix="dagger-") as work:
        folder = Path(work, "dagger")
        await anyio.to_thread.run_sync(_prepare, module, folder)
        await command.run(
            [
                toolchain.program,
                "mod",
                "edit",
                "-dropreplace=dagger.io/dagger",  # upstream points at a folder; the published module does as well
                *(f"-replace={path}=./third_party/{name}" for path, name in THIRD_PARTY.items()),
            ],
            cwd=folder,
            env=go.FLAGS,
            timeout=60,
        )
        package = "github.com/dagger/dagger/engine"
        # the SDK compares its own version with the engine's
        stamp = f"-X {package}.Version={version} -X {package}.Tag={version}"
        # with Go 1.27, the golang.org/x/net of its go.mod hands HTTP/2 to net/http and lacks what its grpc asks for
        await toolchain.build(folder, PACKAGES, out, log, ldflags=stamp, tags="http2legacy")


def _prepare(module: Path, folder: Path) -> None:
    """Copy the module without what the build has no use for, and lay the overlay over it."""
    ignored = shutil.ignore_patterns("*_test.go", "testdata")
    shutil.copytree(module, folder, ignore=ignored, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*/")):
        path.chmod(0o755)  # Go's cache is read-only, folders too
    for package in REPLACED:
        for file in (folder / package).glob("*.go"):
            file.unlink()
    shutil.copytree(OVERLAY, folder, dirs_exist_ok=True)
    (folder / "engine" / "distconsts" / "go.mod").write_text(f"module {DISTCONSTS}\n")
    for module_path, name in THIRD_PARTY.items():
        replacement = folder / "third_party" / name
        replacement.mkdir(parents=True, exist_ok=True)
        (replacement / "go.mod").write_text(f"module {module_path}\n")
