"""`supply raise`: another release of a module, wherever its version stands."""

from dataclasses import replace

import anyio
import pytest

from ci.base.errors import CommandError, UsageError
from ci.supply import pins, raising
from ci.supply.supply import Supply
from tests.harness import goproxy

pytestmark = pytest.mark.anyio
DEMO, LIBRARY = "example.com/demo", "example.com/library"
PINS = """\
# Everything, once.
[go]
minimum = "1"
requirements = "requirements.txt"

[modules.demo]
path = "example.com/demo"
version = "v1.2.0" # the one that works
sum = "h1:old"
main_module = "shared"
binaries = { demo = "." }
ldflags = "-X demo.version=1.2.0"

[modules.library]
path = "example.com/library"
version = "v1.2.0"
sum = "h1:same"

[tools.demo]
version = "v1.2.0"
source = "demo/demo"

[tools.demo.upstream]
url = "https://example.com/{version}"
sums = "https://example.com/{version}.sha256"
sha256 = { amd64 = "old", arm64 = "old" }

[images."docker.io/example/demo"]
tag = "1.2.0-alpine"
digest = "sha256:old"
source.files = { "/demo" = "bin:demo/demo" } # its one file
differs = [{ what = "It is small.", why = "It is a demo." }]

[images."docker.io/example/other"]
tag = "1.2.0"
source.files = { "/library" = "module:library/file" }
differs = [{ what = "It is small.", why = "It is a demo." }]
"""


@pytest.fixture
def proxy(tmp_path, monkeypatch):
    made = goproxy.made(tmp_path, monkeypatch)
    for version in ("v1.2.0", "v1.3.0", "v1.4.0-rc.1"):
        made.publish(DEMO, version, {"main.go": 'package main\n\nimport _ "example.com/library"\n\nfunc main() {}\n'})
    made.publish(LIBRARY, "v1.2.0", {"library.go": "package library\n"})
    yield made
    made.clean()


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A pins file, and the go.mod that builds its module."""
    monkeypatch.setattr(raising, "MAIN_MODULES", tmp_path)
    monkeypatch.setattr(raising.differences, "PAGE", tmp_path / "differences.md")
    folder = tmp_path / "shared"
    folder.mkdir()
    requires = f"require (\n\t{DEMO} v1.2.0 // indirect\n\t{LIBRARY} v1.2.0 // indirect\n)\n"
    (folder / "go.mod").write_text(f"module shared\n\ngo 1.24\n\ntool {DEMO}\n\n{requires}")
    written = tmp_path / "pins.toml"
    written.write_text(PINS)
    return written


async def test_the_newest_release_that_is_no_beta_stands_wherever_the_old_one_stood(proxy, file):
    said = await raising.raise_pin(Supply("source"), "demo", file=file)

    checksum = (await anyio.to_thread.run_sync(proxy.pin, DEMO, "v1.3.0"))[0].sum
    text = PINS.replace("h1:old", checksum).replace("demo.version=1.2.0", "demo.version=1.3.0")
    for old in ('version = "v1.2.0" # the', 'version = "v1.2.0"\nsource', "1.2.0-alpine"):
        text = text.replace(old, old.replace("1.2.0", "1.3.0"))
    for pinned in ('digest = "sha256:old"', 'amd64 = "old"', 'arm64 = "old"'):  # until they are looked up
        text = text.replace(pinned, f'{pinned.partition("=")[0]}= ""')
    assert said == "demo v1.2.0 → v1.3.0"
    assert file.read_text() == text
    assert f"{DEMO} v1.3.0 // indirect\n\t{LIBRARY} v1.2.0" in (file.parent / "shared" / "go.mod").read_text()
    assert f"{DEMO} v1.3.0 h1:" in (file.parent / "shared" / "go.sum").read_text()
    assert "It is small." in (file.parent / "differences.md").read_text()


async def test_a_release_by_name(proxy, file):
    assert await raising.raise_pin(Supply("source"), "demo", "v1.4.0-rc.1", file) == "demo v1.2.0 → v1.4.0-rc.1"
    assert pins.load(file).tools["demo"].version == "v1.4.0-rc.1"


async def test_a_release_that_does_not_fit_leaves_everything_as_it_was(proxy, file):
    proxy.publish(DEMO, "v1.5.0", {"main.go": 'package main\n\nimport _ "example.com/nowhere"\n\nfunc main() {}\n'})
    gomod = file.parent / "shared" / "go.mod"
    before = gomod.read_text()

    with pytest.raises(CommandError):
        await raising.raise_pin(Supply("source"), "demo", "v1.5.0", file)
    assert (gomod.read_text(), file.read_text()) == (before, PINS)


async def test_a_pin_is_not_lowered_to_what_the_proxy_calls_the_newest(proxy, file):
    """The proxy may not name a release that is pinned: one of no betas here, elsewhere one that it cannot serve."""
    file.write_text(pinned := PINS.replace("1.2.0", "1.4.0-rc.1"))
    supply = Supply("source")
    supply.pins = replace(supply.pins, modules={"demo": pins.load(file).modules["demo"]})

    assert await supply.newer() == []
    with pytest.raises(UsageError, match=r"demo v1.4.0-rc.1: .* is v1.3.0, which is older"):
        await raising.raise_pin(supply, "demo", file=file)
    assert file.read_text() == pinned


async def test_what_is_not_pinned_is_refused(proxy, file):
    with pytest.raises(UsageError, match="nothing: no such module"):
        await raising.raise_pin(Supply("source"), "nothing", file=file)
    assert file.read_text() == PINS


async def test_a_release_that_another_module_names_is_not_told_to_be_newer(proxy, file):
    supply = Supply("source")
    pinned = pins.load(file).modules
    for follows, newer in (("", [("demo", "v1.2.0", "v1.3.0")]), ("library", [])):
        supply.pins = replace(supply.pins, modules=pinned | {"demo": replace(pinned["demo"], follows=follows)})
        assert await supply.newer() == newer
