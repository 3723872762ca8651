"""The supply as a bill of materials (CycloneDX 1.6, JSON): every tool, image, module and Python package by its pin."""

from collections.abc import Iterable, Mapping

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from ci.base import files
from ci.supply import download
from ci.supply.pins import Image, Module, Pins, Tool, Wheels
from ci.supply.supply import Supply

SELF = "ml-serving-ci"


async def written(supply: Supply, digests: Mapping[str, str]) -> bytes:
    """Return the bill of materials as JSON.

    Args:
        supply: What a run has.
        digests: Each image's full reference to its digest ("sha256:…") in the local registry.
    """
    tools = {name: files.sha256(supply.tool(name)) for name in supply.pins.tools}
    images = {name: digests.get(supply.image(name), pin.digest) for name, pin in supply.pins.images.items()}
    return (JsonV1Dot6(bom(supply.pins, supply.way, tools, images)).output_as_string(indent=2) + "\n").encode()


def bom(pins: Pins, way: str, tools: Mapping[str, str], images: Mapping[str, str]) -> Bom:
    """Return the bill of materials.

    Args:
        pins: All of them.
        way: "upstream" or "source": how they were got.
        tools: Name of a tool to the SHA-256 of its executable.
        images: Name of an image to its digest ("sha256:…"), where it is known.
    """
    modules = {name: _module(pin) for name, pin in pins.modules.items()}
    packages = {name: _packages(pin) for name, pin in pins.wheels.items()}
    executables = {name: _tool(name, pin, pins, tools.get(name, "")) for name, pin in pins.tools.items()}
    containers = {name: _image(name, pin, images.get(name, "")) for name, pin in pins.images.items()}
    top = Component(name=SELF, type=ComponentType.APPLICATION, bom_ref=SELF)
    made = Bom(properties=[Property(name=f"{SELF}:supply", value=way)])
    made.metadata.component = top
    for component in (*modules.values(), *_flat(packages.values()), *executables.values(), *containers.values()):
        made.components.add(component)
    made.register_dependency(top, [*executables.values(), *containers.values(), *_flat(packages.values())])
    for name, tool in pins.tools.items():
        made.register_dependency(executables[name], [modules[pins.owner_of[tool.source]]])
    for name, image in pins.images.items() if way == "source" else ():
        wheels = [package for each in pins.stack(image.source.wheels) for package in packages[each]]
        made.register_dependency(containers[name], [*_parts(image, modules), *wheels])
    return made


def _flat(packages: Iterable[Iterable[Component]]) -> list[Component]:
    """Return the packages of several sets, each once."""
    return list({str(package.bom_ref): package for several in packages for package in several}.values())


def _parts(image: Image, modules: Mapping[str, Component]) -> list[Component]:
    """Return the modules that an image is built of."""
    origins = [origin.partition(":") for origin in image.source.files.values()]
    used = {rest.split("/")[0] for scheme, _, rest in origins if scheme in ("bin", "module")}
    return [modules[name] for name in sorted(used)]


def _module(pin: Module) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=pin.path,
        version=pin.version,
        bom_ref=f"{pin.path}@{pin.version}",
        purl=_golang(pin),
        properties=[Property(name=f"{SELF}:go.sum", value=pin.sum)],
    )


def _golang(pin: Module, subpath: str | None = None) -> PackageURL:
    namespace, _, name = pin.path.rpartition("/")
    return PackageURL("golang", namespace, name, pin.version, subpath=subpath)


def _packages(pin: Wheels) -> list[Component]:
    """Return the packages of a locked requirements file, one `NAME==VERSION` a line before its hashes."""
    lines = pin.requirements_file.read_text().replace("\\\n", " ").splitlines()
    requirements = [Requirement(line.partition("--hash")[0]) for line in lines if "--hash" in line]
    found = []
    for requirement in requirements:
        version = next(iter(requirement.specifier)).version
        purl = PackageURL("pypi", None, requirement.name, version)
        found.append(
            Component(
                type=ComponentType.LIBRARY,
                name=requirement.name,
                version=version,
                bom_ref=purl.to_string(),
                purl=purl,
            )
        )
    return found


def _tool(name: str, pin: Tool, pins: Pins, sha256: str) -> Component:
    module = pins.modules[pins.owner_of[pin.source]]
    package = module.binaries.get(pin.source.partition("/")[2], "").removeprefix("./")
    return Component(
        type=ComponentType.APPLICATION,
        name=name,
        version=pin.version,
        bom_ref=f"tool:{name}",
        purl=_golang(module, package if package != "." else None),
        hashes=_hashes(sha256),
        external_references=[
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION, url=XsUri(download.located(pin.version, pin.upstream).url)
            )
        ],
    )


def _image(name: str, pin: Image, digest: str) -> Component:
    last = name.rpartition("/")[2]
    return Component(
        type=ComponentType.CONTAINER,
        name=name,
        version=pin.tag,
        bom_ref=f"{name}:{pin.tag}",
        purl=PackageURL("oci", None, last, digest or None, {"repository_url": name, "tag": pin.tag}),
        hashes=_hashes(digest.removeprefix("sha256:")),
    )


def _hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []
