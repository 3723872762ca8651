"""pins.toml: what stands there is complete and consistent, and mistakes are named."""

from pathlib import Path

import pytest

from ci.base.errors import UsageError
from ci.supply import pins
from ci.supply.source.go import FLAGS

PINS = pins.load()


def test_every_tool_and_every_file_of_an_image_has_a_pinned_origin():
    for tool in PINS.tools.values():
        assert tool.source in PINS.owner_of
    for image in PINS.images.values():
        assert not image.source.root or image.source.root in PINS.roots
        assert not image.source.wheels or image.source.wheels in PINS.wheels
        for origin in image.source.files.values():
            scheme, _, rest = origin.partition(":")
            owner = rest.split("/")[0]
            assert {
                "bin": rest in PINS.owner_of,
                "module": owner in PINS.modules,
                "wheel": owner in PINS.wheels,
                "file": (Path(pins.__file__).parent / "source" / "files" / rest).exists(),
            }[scheme], origin


def test_every_module_has_a_checksum_and_every_requirement_a_hash():
    assert all(module.sum.startswith("h1:") for module in PINS.modules.values())
    for wheels in PINS.wheels.values():
        text = wheels.requirements_file.read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        assert lines
        assert all("--hash=sha256:" in line for line in lines)


def test_a_set_of_packages_lies_on_another_of_the_same_interpreter():
    based = {name: wheels for name, wheels in PINS.wheels.items() if wheels.base}
    assert based
    for name, wheels in based.items():
        base = PINS.wheels[wheels.base]
        assert (base.python, base.root, base.layer) == (wheels.python, wheels.root, wheels.layer)
        assert PINS.stack(name) == [*PINS.stack(wheels.base), name]
    assert PINS.stack("") == []


def test_builds_never_reach_for_another_toolchain():
    assert FLAGS["GOTOOLCHAIN"] == "local"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[go]\nminimum = "1"\nrequirements = "r"\n[moduls.x]\n', "moduls"),
        (
            '[go]\nminimum = "1"\nrequirements = "r"\n[modules.x]\npath = "p"\nversion = "v"\nsum = "s"\nhash = "h"\n',
            "hash",
        ),
        ('[go]\nminimum = "1"\nrequirements = "r"\n[modules.x]\npath = "p"\nversion = "v"\n', "modules.x.sum"),
        ('[go]\nminimum = 1\nrequirements = "r"\n', "go.minimum"),
        ("[go\n", "line 1"),
    ],
)
def test_a_mistake_is_refused_by_name(tmp_path: Path, text: str, named: str):
    file = tmp_path / "pins.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=named):
        pins.load(file)


def test_an_image_that_is_not_pinned_is_refused():
    with pytest.raises(UsageError, match=r"docker\.io/evil/image"):
        PINS.ref("docker.io/evil/image")


def test_a_key_changes_with_the_content_of_a_file(tmp_path: Path):
    file = tmp_path / "recipe.py"
    file.write_text("a")
    before = pins.key("x", file)
    assert pins.key("x", file) == before
    file.write_text("b")
    assert pins.key("x", file) != before
