"""The supply: every tool and image by its pin, cached, in one of two ways."""

import contextlib
import importlib
import json
import os
import posixpath
import shutil
import tempfile
import typing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import anyio
import filelock
import requests

from ci import command, paths, tasks
from ci.errors import CommandError, MachineError, UsageError
from ci.host import docker
from ci.progress import step
from ci.supply import archives, download, partial, pins, registry
from ci.supply.source import checkout, go, images, layers, python_images, roots
from ci.wait import NotYet, until

Way = Literal["upstream", "source"]
PROBE_SECONDS = 4
BUILDS_AT_ONCE = 2
RECIPES = Path(__file__).parent / "source"
MAIN_MODULES = RECIPES / "files" / "main-modules"


@dataclass(frozen=True)
class Item:
    """One line of `supply list`.

    Attributes:
        kind: "tool" or "image".
        name: As in pins.toml.
        version: The pinned version or tag.
        way: How it is got.
        cached: Whether it is there already.
        size: Bytes in the cache, or None while it is not there.
    """

    kind: Literal["tool", "image"]
    name: str
    version: str
    way: Way
    cached: bool
    size: int | None


def choose(way: str) -> Way:
    """Turn `--supply` into a way: "auto" takes upstream where its registry answers within seconds, else source."""
    if way == "upstream":
        return "upstream"
    if way == "source":
        return "source"
    if way != "auto":
        raise UsageError(f"--supply {way}: not one of auto, upstream, source")
    try:
        requests.get("https://registry-1.docker.io/v2/", timeout=PROBE_SECONDS)
    except requests.RequestException:
        return "source"
    return "upstream"


def installed(name: str) -> Path:
    """Return a tool that is on this machine already: the supply's in either way, else the user's own.

    For commands of a moment, which neither ask a registry nor build anything.

    Raises:
        MachineError: There is none.
    """
    for way in typing.get_args(Way):
        path = Supply(way).bin / name
        if path.exists():
            return path
    own = shutil.which(name)
    if own is None:
        raise MachineError(f"{name} is not here", fix=f"python ci/main.py supply fetch {name}")
    return Path(own)


class Supply:
    """Every tool and image, by its pin.

    Args:
        way: "upstream" or "source" (see `choose`).
        cache: Folder of everything that may be rebuilt.
    """

    def __init__(self, way: Way, cache: Path | None = None) -> None:
        self.way = way
        self.cache = cache or paths.cache()
        self.pins = pins.load()
        self._locks: dict[str, anyio.Lock] = {}
        self._builds = anyio.CapacityLimiter(BUILDS_AT_ONCE)
        self._registry: registry.Registry | None = None
        self._toolchain: go.GoToolchain | None = None

    # --- what others ask for ---------------------------------------------------------------------------------------

    @cached_property
    def bin(self) -> Path:
        """The folder of the host's tools, for PATH."""
        return self.cache / self.way / "bin"

    @property
    def registry(self) -> registry.Registry:
        """The local registry, which `fetch` of an image starts."""
        assert self._registry is not None, "no image has been fetched"
        return self._registry

    def tool(self, name: str) -> Path:
        """Return an executable's path.

        Raises:
            UsageError: Nothing of that name is pinned.
            MachineError: It has not been fetched.
        """
        if name not in self.pins.tools:
            raise UsageError(f"{name}: no such tool in pins.toml", fix="python ci/main.py supply list")
        path = self.bin / name
        if not path.exists():
            raise MachineError(f"{name} is not here yet", fix="python ci/main.py supply fetch")
        return path

    def module(self, name: str) -> Path:
        """Return the folder of a pinned, verified module: its charts, CRDs and manifests.

        Raises:
            MachineError: It has not been fetched.
        """
        link = self._module_link(name)
        if not link.exists():
            raise MachineError(f"the module {name} is not here yet", fix="python ci/main.py supply fetch")
        return link.resolve()

    def wheels(self, name: str) -> Path:
        """Return the folder of a locked set of wheels.

        Raises:
            MachineError: It has not been fetched.
        """
        folder = self._wheels_folder(name)
        if not folder.exists():
            raise MachineError(f"the wheels {name} are not here yet", fix="python ci/main.py supply fetch")
        return folder

    def version(self, name: str) -> str:
        """Return the pinned version of a module or tool."""
        return self.pins.modules[name].version if name in self.pins.modules else self.pins.tools[name].version

    def image(self, name: str) -> str:
        """Return an image's full upstream reference."""
        return self.pins.ref(name)

    async def items(self) -> list[Item]:
        """Return every tool and image with its state."""
        found: list[Item] = []
        for name, tool in self.pins.tools.items():
            path = self.bin / name
            there = self._tool_is_current(name)
            found.append(Item("tool", name, tool.version, self.way, there, path.stat().st_size if there else None))
        for name, image in self.pins.images.items():
            record = self._image_record(name)
            size = json.loads(record.read_text())["size"] if record.exists() else None
            found.append(Item("image", name, image.tag, self.way, record.exists(), size))
        return found

    async def newer(self) -> list[tuple[str, str, str]]:
        """Return every module with a newer release than the pinned one: its name, the pinned version, the newest."""
        toolchain = await self._go()
        found = []
        for name, pin in self.pins.modules.items():
            newest = await toolchain.newest(pin.path)
            if newest != pin.version and not go.PSEUDO_VERSION.search(newest):
                found.append((name, pin.version, newest))
        return found

    async def fetch(self, names: Iterable[str] | None = None) -> None:
        """Make these items, or everything, available: tools, modules, wheels, and images in the running registry.

        Args:
            names: Tools, images, modules and wheels as in pins.toml; everything but our own image when None.

        Raises:
            UsageError: A name is not pinned.
            MachineError: Something cannot be had or built on this machine; what is done stays done.
        """
        whole = [*self.pins.tools, *self.pins.images]
        own = [name for name, pin in self.pins.images.items() if pin.own]
        wanted = list(names) if names is not None else [name for name in whole if name not in own]
        modules = [name for name in wanted if name in self.pins.modules and name not in self.pins.tools]
        wheels = [name for name in wanted if name in self.pins.wheels]
        if names is None:
            modules = list(self.pins.modules)
            wheels = [name for name, pin in self.pins.wheels.items() if not pin.layer]
        for name in wanted:
            if name not in (*whole, *modules, *wheels):
                raise UsageError(f"{name}: nothing of that name in pins.toml", fix="python ci/main.py supply list")
        tools = [name for name in wanted if name in self.pins.tools]
        named_images = [name for name in wanted if name in self.pins.images]
        await _all(self._module, modules)
        await _all(self._wheels, wheels)
        await _all(self._tool, tools)
        if named_images:
            await self._start_registry()
            await self._tool("crane")
            await _all(self._image, named_images)
            await _all(self.in_docker, [name for name in own if name in wanted])  # it is for `docker run`

    # --- tools -----------------------------------------------------------------------------------------------------

    async def _tool(self, name: str) -> None:
        async with self._exclusive(f"tool-{self.way}-{name}"):
            if self._tool_is_current(name):
                return
            pin, executable = self.pins.tools[name], self._executable(name)
            if self.way == "source":
                await self._binary(pin.source)
            elif not executable.exists():
                with step(f"download {name} {pin.version}"):
                    await download.tool(pin.version, pin.upstream, executable)
            self.bin.mkdir(parents=True, exist_ok=True)
            aside = self.bin / f".{name}.partial-{os.getpid()}"
            aside.unlink(missing_ok=True)
            aside.symlink_to(executable)
            aside.rename(self.bin / name)

    def _executable(self, name: str) -> Path:
        """Return where the executable of a tool's very pin is, once it is here: `bin` may still have another pin's."""
        pin = self.pins.tools[name]
        if self.way == "upstream":
            return self.cache / self.way / "tools" / f"{name}-{pins.key(pin)}"
        module, binary = pin.source.split("/")
        return self._built(module) / binary

    def _tool_is_current(self, name: str) -> bool:
        executable = self._executable(name)
        return executable.exists() and (self.bin / name).resolve() == executable.resolve()

    # --- modules, wheels, binaries ---------------------------------------------------------------------------------

    def _module_link(self, name: str) -> Path:
        pin = self.pins.modules[name]
        return self.cache / "modules" / f"{name}-{pins.key(pin.path, pin.version, pin.sum)}"

    async def _module(self, name: str) -> Path:
        async with self._exclusive(f"module-{name}"):
            link = self._module_link(name)
            if not link.exists():
                pin = self.pins.modules[name]
                with step(f"download module {name} {pin.version}"):
                    folder = await (await self._go()).download(pin)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.unlink(missing_ok=True)
                link.symlink_to(folder)
            return link.resolve()

    async def _go(self) -> go.GoToolchain:
        async with self._exclusive("go"):
            if self._toolchain is None:
                self._toolchain = await go.toolchain(self.pins.go, self.cache, self._log("go"))
            return self._toolchain

    def _wheels_folder(self, name: str) -> Path:
        pin = self.pins.wheels[name]
        return self.cache / "wheels" / f"{name}-{pins.key(pin.python, pin.requirements_file)}"

    async def _wheels(self, name: str) -> Path:
        async with self._exclusive(f"wheels-{name}"):
            folder = self._wheels_folder(name)
            if not folder.exists():
                with step(f"download wheels {name}"), partial.folder(folder) as work:
                    pin = self.pins.wheels[name]
                    await download.wheels(pin.requirements_file, pin.python, work, self._log(f"wheels-{name}"))
            return folder

    def _built(self, module: str) -> Path:
        pin = self.pins.modules[module]
        parts: list[object] = [pin, go.FLAGS, *_recipe_files(pin.recipe)]
        if pin.main_module:
            parts.append(MAIN_MODULES / pin.main_module)
        return self.cache / "go" / f"{module}-{pins.key(*parts)}"

    async def _binary(self, name: str) -> Path:
        """Return "module/binary", built."""
        if name not in self.pins.owner_of:
            raise UsageError(f"pins.toml: no module builds {name}")
        module, binary = name.split("/")
        folder = self._built(module)
        pin = self.pins.modules[module]
        # two at once of one main module would each compile what they share
        async with self._exclusive(f"build-{pin.main_module or module}"):
            if not folder.exists():
                needed = {module: await self._module(module)}
                async with self._builds:
                    with step(f"build {module} {pin.version}"), partial.folder(folder) as work:
                        await self._build(module, needed, work)
        return folder / binary

    async def _build(self, module: str, modules: dict[str, Path], out: Path) -> None:
        pin = self.pins.modules[module]
        log = self._log(f"build-{module}")
        toolchain = await self._go()
        try:
            if pin.recipe:
                recipe = importlib.import_module(f"ci.supply.source.{pin.recipe}")
                await recipe.build(toolchain, modules, out, log)
            elif pin.main_module:
                folder = MAIN_MODULES / pin.main_module
                go.released(modules[module], folder)
                packages = {name: posixpath.normpath(f"{pin.path}/{package}") for name, package in pin.binaries.items()}
                await toolchain.build(folder, packages, out, log, pin.ldflags, pin.tags)
            else:
                await toolchain.build(modules[module], pin.binaries, out, log, pin.ldflags, pin.tags)
        except CommandError as error:
            raise MachineError(
                f"{module} {pin.version} does not build: {error}", fix=f"See {log}", detail=error.detail
            ) from error
        missing = [name for name in pin.executables if not (out / name).exists()]
        if missing:
            raise MachineError(f"the build of {module} left no {missing[0]}", fix=f"See {log}")

    # --- images ----------------------------------------------------------------------------------------------------

    def _image_record(self, name: str) -> Path:
        pin = self.pins.images[name]
        parts: list[object] = [name, pin, self.way]
        if self.way == "source" or pin.own:
            parts += self._inputs(pin.source)
        return self.cache / self.way / "images" / f"{name.replace('/', '_')}-{pins.key(*parts)}.json"

    def _inputs(self, source: pins.ImageSource) -> list[object]:
        """Everything an image is made of, so that its key changes with each part."""
        inputs: list[object] = [source]
        if source.root:
            inputs += [self.pins.roots[source.root], RECIPES / "roots.py"]
        if source.wheels:
            wheels = self.pins.wheels[source.wheels]
            inputs += [wheels, wheels.requirements_file, RECIPES / "python_images.py"]
        inputs += _recipe_files(source.recipe)
        if source.checkout:
            inputs += [part for item in checkout.files(source.checkout).items() for part in item]
        for origin in source.files.values():
            scheme, _, rest = origin.partition(":")
            if scheme == "bin":
                inputs.append(self._built(rest.split("/")[0]).name)
            elif scheme == "module":
                inputs.append(self._module_link(rest.split("/")[0]).name)
            elif scheme == "file":
                inputs.append(RECIPES / "files" / rest)
            else:
                inputs.append(self._wheels_folder(rest.split("/")[0]).name)
        return inputs

    async def _image(self, name: str) -> None:
        async with self._exclusive(f"image-{self.way}-{name.replace('/', '_')}"):
            ref = self.pins.ref(name)
            record = self._image_record(name)
            held = await self.registry.digest(ref)
            if record.exists() and json.loads(record.read_text())["digest"] == held:
                return
            if self.way == "upstream" and not self.pins.images[name].own:
                await self._pull(name, ref)
            else:
                await self._assemble(name, ref)
            manifest = await command.run([self.tool("crane"), "manifest", self.registry.host_ref(ref)], timeout=60)
            parsed = json.loads(manifest.stdout)
            size = sum(layer["size"] for layer in parsed.get("layers", parsed.get("manifests", [])))
            _write(record, {"ref": ref, "digest": await self.registry.digest(ref), "size": size})

    async def _pull(self, name: str, ref: str) -> None:
        """Copy an image from upstream by digest: the pinned one, or the one recorded at the first pull."""
        pin = self.pins.images[name]
        crane = self.tool("crane")
        recorded = self.cache / "upstream" / "digests" / f"{ref.replace('/', '_')}.json"
        digest = pin.digest or (json.loads(recorded.read_text())["digest"] if recorded.exists() else "")
        with step(f"pull {ref}"):
            try:
                if not digest:
                    digest = (await command.run([crane, "digest", ref], timeout=60)).stdout.strip()
                    _write(recorded, {"digest": digest})
                await command.run([crane, "copy", f"{name}@{digest}", self.registry.host_ref(ref)], timeout=1800)
            except CommandError as error:
                raise MachineError(
                    f"{ref}: {error}", fix="Check the network, or use --supply source.", detail=error.detail
                ) from error

    async def _assemble(self, name: str, ref: str) -> None:
        source = self.pins.images[name].source
        log = self._log(f"image-{name.replace('/', '_')}")
        parts: list[Path] = []
        if source.root:
            parts.append(await self._root_layer(source.root, source.compression))
        if source.wheels:
            parts.append(await self._wheels_layer(source.wheels, source.compression))
        origins = {path: await self._origin(origin) for path, origin in source.files.items()}
        if source.checkout:
            origins |= checkout.files(source.checkout)
        async with self._builds:
            with step(f"assemble {ref}"), tempfile.TemporaryDirectory(dir=self.cache) as work:
                if source.recipe:
                    parts.append(await self._recipe_layer(source, origins, Path(work), log))
                else:
                    layer = Path(work, "files.tar")
                    await anyio.to_thread.run_sync(
                        layers.from_files, origins, source.links, source.folders, layer, source.compression
                    )
                    parts.append(layer)
                await images.assemble(self.tool("crane"), self.registry.host_ref(ref), parts, source, log)

    async def _origin(self, origin: str) -> Path:
        scheme, _, rest = origin.partition(":")
        owner, _, inner = rest.partition("/")
        if scheme == "bin":
            return await self._binary(rest)
        if scheme == "module":
            return await self._module(owner) / inner
        if scheme == "wheel":
            return await self._in_wheel(owner, inner)
        if scheme == "file":
            return RECIPES / "files" / rest
        raise UsageError(f"pins.toml: {origin}: unknown kind of origin")

    async def _in_wheel(self, wheels: str, inner: str) -> Path:
        folder = await self._wheels(wheels)
        unpacked = folder.with_name(f"{folder.name}.unpacked")
        async with self._exclusive(f"unpacked-{wheels}"):
            if not unpacked.exists():
                with partial.folder(unpacked) as work:
                    for wheel in folder.glob("*.whl"):
                        await anyio.to_thread.run_sync(archives.unpack_wheel, wheel, work)
        return unpacked / inner

    async def _root_layer(self, name: str, compression: layers.Compression) -> Path:
        pin = self.pins.roots[name]
        key = pins.key(pin, compression, RECIPES / "roots.py")
        out = self.cache / "layers" / f"root-{name}-{key}.tar.{compression}"
        async with self._exclusive(f"root-{name}-{compression}"):
            if not out.exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                with step(f"unpack Debian packages for {name}"), tempfile.TemporaryDirectory(dir=self.cache) as work:
                    tar = Path(work, "root.tar")
                    await roots.debian(pin, tar, self._log(f"root-{name}"))
                    await _compressed(tar, out, compression)
        return out

    async def _wheels_layer(self, name: str, compression: layers.Compression) -> Path:
        pin = self.pins.wheels[name]
        root = await self._root_layer(pin.root, compression)
        key = pins.key(pin, pin.requirements_file, RECIPES / "python_images.py", root.name)
        out = self.cache / "layers" / f"wheels-{name}-{key}.tar.{compression}"
        folder = await self._wheels(name)
        async with self._exclusive(f"wheels-layer-{name}-{compression}"):
            if not out.exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                with step(f"install wheels for {name}"), tempfile.TemporaryDirectory(dir=self.cache) as work:
                    tar = Path(work, "wheels.tar")
                    await python_images.wheels_layer(pin, folder, root, tar, self._log(f"wheels-layer-{name}"))
                    await _compressed(tar, out, compression)
        return out

    async def _recipe_layer(self, source: pins.ImageSource, origins: dict[str, Path], work: Path, log: Path) -> Path:
        recipe = importlib.import_module(f"ci.supply.source.{source.recipe}")
        tar = work / "recipe.tar"
        await recipe.root(origins, tar, log)
        out = work / "recipe.layer"
        await _compressed(tar, out, source.compression)
        return out

    # --- the registry ----------------------------------------------------------------------------------------------

    async def _start_registry(self) -> None:
        async with self._exclusive("registry"):
            if self._registry is not None:
                return
            await docker.ensure(self.cache / "docker")
            ref = self.pins.ref(registry.IMAGE)
            present = await command.run(["docker", "image", "inspect", ref], check=False, timeout=30)
            if present.returncode != 0:
                if self.way == "source":
                    await registry.image_from(await self._binary("distribution/registry"), ref)
                else:
                    with step(f"pull {ref}"):
                        await command.run(["docker", "pull", ref], timeout=600)
            self._registry = await registry.start(ref, self.way)

    async def in_docker(self, name: str) -> str:
        """Give Docker itself an image of the registry, under its upstream name, and return that.

        Args:
            name: The image, as in pins.toml, already fetched.
        """
        ref = self.pins.ref(name)
        source = self.registry.docker_ref(ref)
        await command.run(["docker", "pull", "--quiet", source], timeout=600)
        await command.run(["docker", "tag", source, ref], timeout=60)
        return ref

    # --- small things ----------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return self.cache / "logs" / f"{name}.log"

    @contextlib.asynccontextmanager
    async def _exclusive(self, name: str) -> AsyncIterator[None]:
        """One task at a time in this process, and one process at a time on this machine, works on an item."""
        async with self._locks.setdefault(name, anyio.Lock()):
            lock = filelock.FileLock(self.cache / "locks" / f"{name}.lock")
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)

            async def acquire() -> None:
                try:
                    lock.acquire(blocking=False)
                except filelock.Timeout:
                    raise NotYet("another process works on it") from None

            await until(f"the lock {lock.lock_file}", acquire, timeout=3600, interval=0.2)
            try:
                yield
            finally:
                lock.release()


def _recipe_files(recipe: str) -> list[Path]:
    """The files a recipe is made of: a change of one makes what it built out of date."""
    return [path for path in (RECIPES / f"{recipe}.py", RECIPES / "files" / recipe) if recipe and path.exists()]


async def _all(work: Callable[[str], Coroutine[Any, Any, object]], names: Iterable[str]) -> None:
    """Do one thing for each name, at once."""
    async with tasks.group() as group:
        for name in names:
            group.start_soon(work, name)


async def _compressed(tar: Path, out: Path, compression: layers.Compression) -> None:
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    await anyio.to_thread.run_sync(layers.compress, tar, partial, compression)
    partial.rename(out)


def _write(file: Path, data: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial-{os.getpid()}")
    partial.write_text(json.dumps(data))
    partial.rename(file)
