"""The local registry after a disk has lost some of what it holds: a registry answers for blobs that it cannot send."""

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ci.base.errors import MachineError
from ci.supply import blobs
from ci.supply.registry import CONFIG
from ci.supply.source import images
from ci.supply.supply import Supply
from tests.faults.supply.registries import Local

PAUSE = "registry.k8s.io/pause"
REMEMBERS = {"remembers": "  cache: {blobdescriptor: inmemory}\n", "looks": ""}


@pytest.fixture(scope="session")
def built(machine, registry_program):
    """The supply of this machine, the registry's program and the image's."""
    return machine, registry_program, anyio.run(machine._binary, "kubernetes/pause")


@pytest.fixture(params=REMEMBERS)
def local(built, tmp_path, request):
    lines = [line for line in CONFIG.splitlines(keepends=True) if "blobdescriptor" not in line]
    at = next(number for number, line in enumerate(lines) if "filesystem" in line)
    lines.insert(at, REMEMBERS[request.param])
    made = Local(built[1], tmp_path, "".join(lines))
    yield made
    if made.process is not None:
        made.stop()


@pytest.fixture
def supply(built, local, tmp_path):
    """A supply of one image, in a cache of its own, that has fetched it."""
    whole, _, pause = built
    cache = tmp_path / "cache"
    for folder in (pause.parent, whole.tool("crane").resolve().parent):
        shutil.copytree(folder, cache / "go" / folder.name)
    made = Supply("source", cache)
    made.pins = replace(made.pins, images={PAUSE: made.pins.images[PAUSE]})

    async def start(*, empty=False):
        await local.start(empty=empty)
        made._registry = local.registry

    made._start_registry = start
    anyio.run(made.fetch, [PAUSE])
    return made


def contents(supply, *, verify=False):
    async def run():
        return await blobs.contents(supply.registry.host, supply.image(PAUSE), verify=verify)

    return anyio.run(run)


def digests(found):
    """The digests of an image by what they are of."""
    config, layer = sorted(found.blobs, key=found.blobs.__getitem__)
    return {"manifest": found.digest, "config": config, "layer": layer}


def other_bytes(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


LOSSES = {
    "gone": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "other bytes": other_bytes,
}


def fetch(supply, *, verify=False):
    async def run():
        await supply.fetch([PAUSE], verify=verify)

    anyio.run(run)


def test_a_whole_image_is_there_and_no_other(supply):
    assert contents(supply) == contents(supply, verify=True)
    assert contents(supply).size > 1000
    assert anyio.run(supply.items)[-1].cached

    async def other():
        return await blobs.contents(supply.registry.host, "registry.k8s.io/other:1", verify=False)

    assert anyio.run(other) is None


@pytest.mark.parametrize("part", ["manifest", "config", "layer"])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_image_that_lost_a_part_is_put_there_again(supply, local, capsys, part, loss):
    before = contents(supply)
    LOSSES[loss](local.file(digests(before)[part]))
    seen_at_a_glance = loss != "other bytes" or part == "manifest"
    if seen_at_a_glance:
        with pytest.raises(blobs.LostError):
            contents(supply)
        assert not anyio.run(supply.items)[-1].cached
    with pytest.raises(blobs.LostError, match=r"registry\.k8s\.io/pause:.* is not what was put there"):
        contents(supply, verify=True)
    capsys.readouterr()

    fetch(supply, verify=not seen_at_a_glance)

    said = capsys.readouterr().err
    assert f"{supply.image(PAUSE)} in the local registry is not what was put there" in said
    assert "emptied and filled again" in said
    assert contents(supply, verify=True) == before
    fetch(supply)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"digest": 1}'])
def test_a_broken_record_of_an_image(supply, data):
    (record,) = supply.cache.glob("source/images/*.json")
    record.write_bytes(data)

    fetch(supply)
    assert anyio.run(supply.items)[-1].cached


def test_what_another_cache_made_of_the_same_is_taken_and_nothing_else(supply, tmp_path, capsys):
    """Host and container have a cache each and one registry; mmdebstrap of another version packs other bytes."""
    theirs = replace(supply.pins.images[PAUSE].source, workdir="/")
    layer = tmp_path / "theirs.tar"
    with tarfile.open(layer, "w") as made:
        made.addfile(tarfile.TarInfo("theirs"))

    def assemble(inputs):
        ref = supply.registry.host_ref(supply.image(PAUSE))

        async def run():
            await images.assemble(supply.tool("crane"), ref, [layer], theirs, inputs, tmp_path / "log")

        anyio.run(run)

    mine = contents(supply)
    assemble(supply._image_inputs(PAUSE))
    other = contents(supply)
    assert other != mine
    capsys.readouterr()

    fetch(supply)
    assert contents(supply) == other
    assert capsys.readouterr().err == "", "nothing is assembled"

    assemble("0123456789abcdef-amd64")
    fetch(supply)
    assert contents(supply) == mine


def test_of_images_nothing_is_said_while_the_registry_does_not_run(supply, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    supply._registry = None

    assert anyio.run(supply.items)[-1].cached is None


def test_a_record_from_before_it_had_more_than_a_digest(supply, capsys):
    (record,) = supply.cache.glob("source/images/*.json")
    record.write_text(f'{{"ref": "{supply.image(PAUSE)}", "digest": "{contents(supply).digest}", "size": 1}}')
    capsys.readouterr()

    fetch(supply)
    assert capsys.readouterr().err == "", "nothing is assembled"
    assert anyio.run(supply.items)[-1].cached


def test_a_registry_that_does_not_answer_has_lost_nothing(supply, local):
    local.stop()
    with pytest.raises(MachineError, match=r"the local registry at 127\.0\.0\.1:\d+ does not answer"):
        contents(supply)
