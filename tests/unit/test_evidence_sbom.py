"""The bill of materials: valid CycloneDX with every pin in it, its digest where that is known."""

import json

import pydantic
import pytest
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ci.evidence import sbom
from ci.supply import pins

PINS = pins.load()
DIGEST = "0123456789abcdef" * 4
SERVER = "docker.io/kserve/sklearnserver"


@pytest.fixture(scope="module")
def text():
    made = sbom.bom(PINS, "source", {"helm": DIGEST}, {SERVER: f"sha256:{DIGEST}"})
    return JsonV1Dot6(made).output_as_string()


@pytest.fixture(scope="module")
def components(text):
    return {item["bom-ref"]: item for item in json.loads(text)["components"]}


def test_it_is_valid(text):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    addresses = [reference["url"] for item in json.loads(text)["components"] for reference in references(item)]
    assert addresses
    assert [str(pydantic.AnyHttpUrl(each)) for each in addresses] == addresses


def references(component):
    return component.get("externalReferences", [])


def test_every_pin_is_in_it_with_version_and_purl(components):
    for name, tool in PINS.tools.items():
        assert components[f"tool:{name}"]["version"] == tool.version
    for name, image in PINS.images.items():
        assert components[f"{name}:{image.tag}"]["purl"].startswith(f"pkg:oci/{name.rpartition('/')[2]}")
    for module in PINS.modules.values():
        assert components[f"{module.path}@{module.version}"]["purl"].startswith("pkg:golang/")
    assert all(item["purl"] for item in components.values())


def test_every_python_package_is_in_it_as_locked(components):
    for wheels in PINS.wheels.values():
        for line in wheels.requirements_file.read_text().splitlines():
            name, equal, rest = line.partition("==")
            if equal and not line.startswith("#"):
                version = rest.split()[0].rstrip(";")
                assert any(
                    item["name"] == name.partition("[")[0] and item["version"] == version
                    for item in components.values()
                ), line


def test_digests_are_there_where_they_are_known(components):
    assert components["tool:helm"]["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    server = components[f"{SERVER}:{PINS.images[SERVER].tag}"]
    assert server["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    assert (
        server["purl"].startswith(f"pkg:oci/sklearnserver@sha256:{DIGEST}?") or f"sha256%3A{DIGEST}" in server["purl"]
    )
    assert "hashes" not in components["tool:kind"]


@pytest.mark.parametrize(
    ("image", "packages"), [(SERVER, ["scikit-learn"]), ("docker.io/kserve/lgbserver", ["lightgbm", "scikit-learn"])]
)
def test_what_an_image_is_built_of_is_told(text, image, packages):
    graph = {item["ref"]: item.get("dependsOn", []) for item in json.loads(text)["dependencies"]}
    parts = graph[f"{image}:{PINS.images[image].tag}"]
    assert any(part.startswith("github.com/kserve/kserve@") for part in parts)
    for package in packages:
        assert any(part.startswith(f"pkg:pypi/{package}@") for part in parts)
