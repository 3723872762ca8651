"""The supply: every tool and image by its pin, cached, in one of two ways."""

import contextlib
import functools
import importlib
import os
import posixpath
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio

from ci.base import command, tasks, versions
from ci.base.errors import CommandError, MachineError, UsageError
from ci.base.progress import note, step
from ci.host import docker
from ci.supply import adoption, archives, blobs, copies, download, partial, pins, registry
from ci.supply.arriving import Arrivals
from ci.supply.cache import not_itself
from ci.supply.records import Kept
from ci.supply.source import checkout, go, images, layers, python_images, roots
from ci.supply.tools import Tools, Way

BUILDS_AT_ONCE = 2
RECIPES = Path(__file__).parent / "source"
MAIN_MODULES = RECIPES / "files" / "main-modules"


@dataclass(frozen=True)
class ImageRecord(blobs.Contents):
    """What an image in the registry consisted of when it was put there, and what it is for."""

    architecture: str

    @classmethod
    def of(cls, contents: blobs.Contents) -> "ImageRecord":
        """Return the record of an image that this machine has just put there."""
        return cls(**vars(contents), architecture=pins.architecture())


@dataclass(frozen=True)
class Recorded:
    """The digest of an image at its first pull."""

    digest: str


@dataclass(frozen=True)
class Item:
    """One line of `supply list`.

    Attributes:
        kind: "tool" or "image".
        name: As in pins.toml.
        version: The pinned version or tag.
        way: How it is got.
        cached: Whether it is there already, as it was put there; None of an image while the local registry does not
            run: it alone knows what it holds.
        size: Bytes in the cache, or None while it is not there.
    """

    kind: Literal["tool", "image"]
    name: str
    version: str
    way: Way
    cached: bool | None
    size: int | None


class Supply(Tools):
    """Every tool and image, by its pin.

    Args:
        way: "upstream" or "source" (see `ways.choose`).
        cache: Folder of everything that may be rebuilt.
    """

    def __init__(self, way: Way, cache: Path | None = None) -> None:
        super().__init__(way, cache)
        self._builds = anyio.CapacityLimiter(BUILDS_AT_ONCE)
        self._registry: registry.Registry | None = None
        self._toolchain: go.GoToolchain | None = None
        self._lines = anyio.CapacityLimiter(copies.AT_ONCE)
        self._copies: copies.Copies
        self._arrivals = Arrivals()

    # --- what others ask for ---------------------------------------------------------------------------------------

    @property
    def registry(self) -> registry.Registry:
        """The local registry, which `open_registry` starts, and `fetch` of an image."""
        assert self._registry is not None, "nobody has opened it"
        return self._registry

    async def open_registry(self) -> None:
        """Have the local registry run, and crane here, which fills it.

        Raises:
            MachineError: One of them cannot be had on this machine.
        """
        await self._start_registry()
        await self._tool("crane")

    def module(self, name: str) -> Path:
        """Return the folder of a pinned, verified module: its charts, CRDs and manifests.

        Raises:
            MachineError: It has not been fetched.
        """
        return self._there(self._kept_module(name)).resolve()

    def wheels(self, name: str) -> Path:
        """Return the folder of a locked set of wheels.

        Raises:
            MachineError: It has not been fetched.
        """
        return self._there(self._kept_wheels(name))

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
            there = self._tool_is_current(name) and self._records.fault(self._kept_tool(name)) is None
            size = self._executable(name).stat().st_size if there else None
            found.append(Item("tool", name, tool.version, self.way, there, size))
        if self._registry is None:
            with contextlib.suppress(MachineError, CommandError):  # no Docker here, say
                self._registry = await registry.find()
        for name, image in self.pins.images.items():
            if self._registry is None:
                found.append(Item("image", name, image.tag, self.way, None, None))
                continue
            contents = None
            with contextlib.suppress(blobs.LostError):
                contents = await self._image_there(name)
            size = contents.size if contents is not None else None
            found.append(Item("image", name, image.tag, self.way, contents is not None, size))
        return found

    async def newer(self) -> list[tuple[str, str, str]]:
        """Return every module with a newer release than the pinned one: its name, the pinned version, the newest.

        Not those whose version another pinned module names. One whose releases the module proxy does not list is named
        in a note, and the others are looked at all the same.
        """
        toolchain = await self.toolchain()
        found = []
        for name, pin in self.pins.modules.items():
            if pin.follows:
                continue
            try:
                newest = await toolchain.newest(pin.path)
            except CommandError as error:
                note(f"{name} {pin.version}: {error.message}")
                continue
            if newest == pin.version or go.PSEUDO_VERSION.search(newest) or versions.older(newest, pin.version):
                continue
            found.append((name, pin.version, newest))
        return found

    async def fetch(self, names: Iterable[str] | None = None, *, verify: bool = False) -> None:
        """Make these items, or everything, available: tools, modules, wheels, and images in the running registry.

        Args:
            names: Tools, images, modules and wheels as in pins.toml; everything but our own image when None.
            verify: Hash whatever is there already, all that images are made of as well.

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
            # what is for the tool's own Python is got when a model is: few runs need it
            wheels = [name for name, pin in self.pins.wheels.items() if not pin.layer and pin.python]
        for name in wanted:
            if name not in (*whole, *modules, *wheels):
                raise UsageError(f"{name}: nothing of that name in pins.toml", fix="python ci/main.py supply list")
        tools = [name for name in wanted if name in self.pins.tools]
        named_images = [name for name in wanted if name in self.pins.images]
        self._verify, self._verified = verify, set()
        self._tell_unpinned([*tools, *(name for name in named_images if name not in own)])
        await self._sweep()
        await _all(self._module, modules)
        await _all(self._wheels, wheels)
        self._arrivals = Arrivals()
        async with self._arrivals.told():
            await _all(self._tool, tools)
        if named_images:
            await self._images(named_images)
            await _all(self.in_docker, [name for name in own if name in wanted])  # it is for `docker run`

    def _tell_unpinned(self, names: list[str]) -> None:
        """Say what comes from publishers with no pin of its bytes."""
        if self.way == "source":
            return
        loose = [name for name in names if not self.pins.pinned(name)]
        if loose:
            more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
            note(f"no digest is pinned of {loose[0]}{more}: what the publisher has is taken; `supply pin` pins it")

    # --- tools -----------------------------------------------------------------------------------------------------

    async def _tool(self, name: str) -> None:
        async with self.exclusive(f"tool-{self.way}-{name}", name):
            pin, executable = self.pins.tools[name], self._executable(name)
            if self.way == "source":
                await self._binary(pin.source)
            else:
                kept = self._kept_tool(name)
                if await self.lacks(kept):
                    with step(f"download {name} {pin.version}"), self._arrivals.one():
                        await self._download(pin, executable)
                    await self.keep(kept)
            if not self._tool_is_current(name):
                self._require_writable(name, f"{self.bin} names another")
                partial.link(self.bin / name, Path(os.path.relpath(executable, self.bin)))

    async def _download(self, pin: pins.Tool, executable: Path) -> None:
        here = download.located(pin.version, pin.upstream)
        part = self._workplace / "upstream" / "downloads" / pins.key(here.url)
        async with self.exclusive(f"download-{part.name}", here.url), self._lines:
            await download.tool(pin.version, pin.upstream, executable, part, self._arrivals)

    def _executable(self, name: str) -> Path:
        """Return where the executable of a tool's very pin is, once it is here: `bin` may still have another pin's."""
        pin = self.pins.tools[name]
        if self.way == "upstream":
            return self.cache / self.way / "tools" / f"{name}-{pins.key(pin)}"
        module, binary = pin.source.split("/")
        return self._built(module) / binary

    def _tool_is_current(self, name: str) -> bool:
        return self._named(name) == self._executable(name)

    def _kept_tool(self, name: str) -> Kept:
        return self._program(name, self._executable(name))

    # --- modules, wheels, binaries ---------------------------------------------------------------------------------

    def _kept_module(self, name: str) -> Kept:
        pin = self.pins.modules[name]
        link = self.cache / "modules" / f"{name}-{pins.key(pin.path, pin.version, pin.sum)}"
        return Kept(f"the module {name}", link, functools.partial(adoption.module, pin), anywhere=True)

    async def _module(self, name: str) -> Path:
        async with self.exclusive(f"module-{name}", f"the module {name}"):
            kept = self._kept_module(name)
            if await self.lacks(kept):
                with step(f"download module {name} {self.pins.modules[name].version}"):
                    await self._download_module(self.pins.modules[name], kept)
            return kept.path.resolve()

    async def _download_module(self, pin: pins.Module, kept: Kept) -> None:
        """Link a module of Go's own cache; as Go does not look at what it unpacked once, that is compared here."""
        toolchain = await self.toolchain()
        for last in (False, True):
            try:
                partial.link(kept.path, await toolchain.download(pin))
                fault = await anyio.to_thread.run_sync(self._records.fault, kept)
                if fault is None:
                    return
                error = MachineError(f"{pin.path}@{pin.version}: {fault}", fix="go clean -modcache")
            except MachineError as refused:
                error = refused
            await anyio.to_thread.run_sync(self._records.forget, kept)
            if last:
                raise error
            await toolchain.forget(pin)

    async def toolchain(self) -> go.GoToolchain:
        """Return the Go that builds everything: the one on PATH if it is new enough, or the pinned one."""
        async with self.exclusive("go", "Go"):
            if self._toolchain is None:
                self._toolchain = await go.found(self.pins.go.minimum) or await self._pinned_go()
            return self._toolchain

    async def _pinned_go(self) -> go.GoToolchain:
        kept = Kept("Go", self.cache / "go-toolchain" / pins.key(self.pins.go), adoption.toolchain)
        if await self.lacks(kept):
            await go.unpack(self.pins.go, kept.path, self._log("go"))
            await self.keep(kept)
        return await go.unpacked(kept.path)

    def _kept_wheels(self, name: str) -> Kept:
        pin = self.pins.wheels[name]
        folder = self.cache / "wheels" / f"{name}-{pins.key(pin.interpreter, pin.requirements_file)}"
        return Kept(f"the wheel set {name}", folder, functools.partial(adoption.wheels, pin))

    async def _wheels(self, name: str) -> Path:
        kept = self._kept_wheels(name)
        async with self.exclusive(f"wheels-{name}", kept.what):
            if await self.lacks(kept):
                with step(f"download wheels {name}"), partial.folder(kept.path) as work:
                    pin = self.pins.wheels[name]
                    await download.wheels(pin.requirements_file, pin.interpreter, work, self._log(f"wheels-{name}"))
                await self.keep(kept)
            return kept.path

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
        kept = self._kept_build(module, self._built(module))
        pin = self.pins.modules[module]
        # two at once of one main module would each compile what they share
        async with self.exclusive(f"build-{pin.main_module or module}", f"the build of {pin.main_module or module}"):
            if await self.lacks(kept):
                needed = {module: await self._module(module)}
                async with self._builds:
                    with step(f"build {module} {pin.version}"), partial.folder(kept.path) as work:
                        await self._build(module, needed, work)
                await self.keep(kept)
        return kept.path / binary

    async def _build(self, module: str, modules: dict[str, Path], out: Path) -> None:
        pin = self.pins.modules[module]
        log = self._log(f"build-{module}")
        toolchain = await self.toolchain()
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

    def _image_record(self, name: str) -> str:
        """Return the path of an image's record in the cache."""
        return f"{self.way}/images/{name.replace('/', '_')}-{self._image_key(name)}.json"

    def _image_inputs(self, name: str) -> str:
        """Return what an image made here says of itself; of another architecture it is another."""
        return f"{self._image_key(name)}-{pins.architecture()}"

    def _image_key(self, name: str) -> str:
        pin = self.pins.images[name]
        parts: list[object] = [name, pin, self.way]
        if self.way == "source" or pin.own:
            parts += self._inputs(pin.source)
        return pins.key(*parts)

    def _inputs(self, source: pins.ImageSource) -> list[object]:
        """Everything an image is made of, so that its key changes with each part."""
        inputs: list[object] = [source]
        if source.root:
            inputs += [self.pins.roots[source.root], RECIPES / "roots.py"]
        for wheels in map(self.pins.wheels.__getitem__, self.pins.stack(source.wheels)):
            inputs += [wheels, wheels.requirements_file, RECIPES / "python_images.py"]
        inputs += _recipe_files(source.recipe)
        if source.checkout:
            inputs += [part for item in checkout.files(source.checkout).items() for part in item]
        for origin in source.files.values():
            scheme, _, rest = origin.partition(":")
            if scheme == "bin":
                inputs.append(self._built(rest.split("/")[0]).name)
            elif scheme == "module":
                inputs.append(self._kept_module(rest.split("/")[0]).path.name)
            elif scheme == "file":
                inputs.append(RECIPES / "files" / rest)
            else:
                inputs.append(self._kept_wheels(rest.split("/")[0]).path.name)
        return inputs

    async def _images(self, names: list[str]) -> None:
        await self.open_registry()
        try:
            await self._filled(names)
        except blobs.LostError as lost:
            # it would not write again what it believes to have
            note(f"{lost}: the local registry is emptied and filled again")
            await self._start_registry(empty=True)
            try:
                await self._filled(names)
            except blobs.LostError as again:
                raise MachineError(f"{again}", fix=f"docker logs {registry.CONTAINER}") from again

    async def _filled(self, names: list[str]) -> None:
        """Have images in the registry; of those that come from publishers, one process at a time fetches any."""
        built = [name for name in names if self.way == "source" or self.pins.images[name].own]
        pulled = [name for name in names if name not in built and await self._image_there(name) is None]
        await _all(self._image, built)
        if not pulled:
            return
        layout = self._workplace / "upstream" / "arriving"
        async with self.exclusive("images-upstream", "what comes from registries"):
            self._arrivals = Arrivals()
            self._copies = copies.Copies(self.tool("crane"), layout, self.registry, self._arrivals)
            async with self._arrivals.told():
                await _all(self._image, pulled)
            partial.remove(layout)  # all of it is where it belongs

    async def _image(self, name: str) -> None:
        async with self.exclusive(f"image-{self.way}-{name.replace('/', '_')}", name):
            ref = self.pins.ref(name)
            if self._verify and self.way == "source":
                await self._verify_parts(self.pins.images[name].source)
            if await self._image_there(name) is not None:
                return
            if self.way == "upstream" and not self.pins.images[name].own:
                await self._pull(name, ref)
            else:
                await self._assemble(name, ref)
            contents = await blobs.contents(self.registry.host, ref, verify=self._verify)
            if contents is None:
                raise MachineError(
                    f"{ref}: the local registry did not keep it", fix=f"docker logs {registry.CONTAINER}"
                )
            self._records.write(self._image_record(name), ImageRecord.of(contents))

    async def _image_there(self, name: str) -> blobs.Contents | None:
        """Return what an image consists of that is in the registry by its pin.

        Raises:
            LostError: The registry has its name, and not all of it.
        """
        contents = await blobs.contents(self.registry.host, self.pins.ref(name), verify=self._verify)
        if contents is None:
            return None
        file, found = self._image_record(name), ImageRecord.of(contents)
        try:
            if self._records.read(file, ImageRecord) == found:
                return contents
            known = False
        except ValueError:  # broken, or from before there was more than a digest in it
            known = self._recorded(file) == contents.digest
        if not known:
            # another cache's work, out of the same: mmdebstrap packs a root otherwise in another version of it
            said = await blobs.annotation(self.registry.host, self.pins.ref(name), images.INPUTS)
            known = said == self._image_inputs(name)
        if known:
            self._records.write(file, found)
        return contents if known else None

    def _recorded(self, file: str) -> str | None:
        """Return the digest that an image had, as far as that was written down."""
        try:
            record = self._records.read(file, Recorded)
        except ValueError:
            note(f"{self.cache / file} {not_itself('broken')}")
            return None
        return record.digest if record is not None else None

    async def _verify_parts(self, source: pins.ImageSource) -> None:
        """Look at what an image was made of, as far as it is still in the cache; what is not itself is made again."""
        if source.root and self._kept_root_layer(source.root, source.compression).path.exists():
            await self._root_layer(source.root, source.compression)
        for wheels in self.pins.stack(source.wheels):
            if self._kept_wheels(wheels).path.exists():
                await self._wheels(wheels)
            if self._kept_wheels_layer(wheels, source.compression).path.exists():
                await self._wheels_layer(wheels, source.compression)
        for origin in source.files.values():
            scheme, _, rest = origin.partition(":")
            owner = rest.partition("/")[0]
            if (scheme == "bin" and self._built(owner).exists()) or (
                scheme == "wheel" and self._kept_wheels(owner).path.exists()
            ):
                await self._origin(origin)

    async def _pull(self, name: str, ref: str) -> None:
        """Copy an image from upstream by digest: the pinned one, or the one recorded at the first pull."""
        pin = self.pins.images[name]
        recorded = f"upstream/digests/{ref.replace('/', '_')}.json"
        digest = pin.digest or self._recorded(recorded)
        with step(f"pull {ref}"), self._arrivals.one():
            found = await self._copies.copy(name, f"@{digest}" if digest else f":{pin.tag}", ref)
        if not digest:
            self._records.write(recorded, Recorded(found))

    async def _assemble(self, name: str, ref: str) -> None:
        source = self.pins.images[name].source
        log = self._log(f"image-{name.replace('/', '_')}")
        parts: list[Path] = []
        if source.root:
            parts.append(await self._root_layer(source.root, source.compression))
        parts += [await self._wheels_layer(wheels, source.compression) for wheels in self.pins.stack(source.wheels)]
        origins = {path: await self._origin(origin) for path, origin in source.files.items()}
        if source.checkout:
            origins |= checkout.files(source.checkout)
        async with self._builds:
            with step(f"assemble {ref}"), partial.scratch(self._workplace) as work:
                if source.recipe:
                    parts.append(await self._recipe_layer(source, origins, work, log))
                else:
                    layer = work / "files.tar"
                    await anyio.to_thread.run_sync(
                        layers.from_files, origins, source.links, source.folders, layer, source.compression
                    )
                    parts.append(layer)
                inputs = self._image_inputs(name)
                await images.assemble(self.tool("crane"), self.registry.host_ref(ref), parts, source, inputs, log)

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
        kept = Kept(f"the unpacked wheel set {wheels}", folder.with_name(f"{folder.name}.unpacked"))
        async with self.exclusive(f"unpacked-{wheels}", kept.what):
            if await self.lacks(kept):
                with partial.folder(kept.path) as work:
                    for wheel in folder.glob("*.whl"):
                        await anyio.to_thread.run_sync(archives.unpack_wheel, wheel, work)
                await self.keep(kept)
        return kept.path / inner

    def _kept_root_layer(self, name: str, compression: layers.Compression) -> Kept:
        key = pins.key(self.pins.roots[name], compression, RECIPES / "roots.py")
        file = self.cache / "layers" / f"root-{name}-{key}.tar.{compression}"
        return Kept(f"the Debian layer {name}", file, adoption.layer)

    async def _root_layer(self, name: str, compression: layers.Compression) -> Path:
        kept = self._kept_root_layer(name, compression)
        async with self.exclusive(f"root-{name}-{compression}", kept.what):
            if await self.lacks(kept):
                with step(f"unpack Debian packages for {name}"), partial.scratch(self._workplace) as work:
                    tar = work / "root.tar"
                    await roots.debian(self.pins.roots[name], tar, self._log(f"root-{name}"))
                    await _compressed(tar, kept.path, compression)
                await self.keep(kept)
        return kept.path

    def _kept_wheels_layer(self, name: str, compression: layers.Compression) -> Kept:
        pin = self.pins.wheels[name]
        below = [self._kept_root_layer(pin.root, compression).path.name]
        if pin.base:
            below.append(self._kept_wheels_layer(pin.base, compression).path.name)
        key = pins.key(pin, pin.requirements_file, RECIPES / "python_images.py", *below)
        file = self.cache / "layers" / f"wheels-{name}-{key}.tar.{compression}"
        return Kept(f"the wheel layer {name}", file, adoption.layer)

    async def _wheels_layer(self, name: str, compression: layers.Compression) -> Path:
        kept = self._kept_wheels_layer(name, compression)
        pin = self.pins.wheels[name]
        async with self.exclusive(f"wheels-layer-{name}-{compression}", kept.what):
            if await self.lacks(kept):
                below = [await self._root_layer(pin.root, compression)]
                below += [await self._wheels_layer(base, compression) for base in self.pins.stack(pin.base)]
                folder = await self._wheels(name)
                download.require_pip()
                with step(f"install wheels for {name}"), partial.scratch(self._workplace) as work:
                    tar = work / "wheels.tar"
                    await python_images.wheels_layer(pin, folder, below, tar, self._log(f"wheels-layer-{name}"))
                    await _compressed(tar, kept.path, compression)
                await self.keep(kept)
        return kept.path

    async def _recipe_layer(self, source: pins.ImageSource, origins: dict[str, Path], work: Path, log: Path) -> Path:
        recipe = importlib.import_module(f"ci.supply.source.{source.recipe}")
        tar = work / "recipe.tar"
        await recipe.root(origins, tar, log)
        out = work / "recipe.layer"
        await _compressed(tar, out, source.compression)
        return out

    # --- the registry ----------------------------------------------------------------------------------------------

    async def _start_registry(self, *, empty: bool = False) -> None:
        async with self.exclusive("registry", "the local registry"):
            if self._registry is not None and not empty:
                return
            await docker.ensure(self.state / "docker")
            ref = self.pins.ref(registry.IMAGE)
            present = await command.run(["docker", "image", "inspect", ref], check=False, timeout=30)
            if present.returncode != 0:
                if self.way == "source":
                    await registry.image_from(await self._binary("distribution/registry"), ref)
                else:
                    with step(f"pull {ref}"):
                        await command.run(["docker", "pull", ref], timeout=600)
            if empty:
                await registry.empty(self.way)
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


def _recipe_files(recipe: str) -> list[Path]:
    """The files a recipe is made of: a change of one makes what it built out of date."""
    return [path for path in (RECIPES / f"{recipe}.py", RECIPES / "files" / recipe) if recipe and path.exists()]


async def _all(work: Callable[[str], Coroutine[Any, Any, object]], names: Iterable[str]) -> None:
    """Do one thing for each name, at once."""
    async with tasks.group() as group:
        for name in names:
            group.start_soon(work, name)


async def _compressed(tar: Path, out: Path, compression: layers.Compression) -> None:
    with partial.file(out) as aside:
        await anyio.to_thread.run_sync(layers.compress, tar, aside, compression)
