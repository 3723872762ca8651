"""Fault 21: a tar with `../` or an oversized member.

Nothing is written outside, and there is no partial output. The checksums are right in all of these: whoever publishes
an archive can publish its checksum.
"""

import contextlib
import gzip
import io
import posixpath
import random
import tarfile
import zipfile

import anyio
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ci.base.errors import MachineError
from ci.supply import archives, partial
from ci.supply.source import python_images
from tests.faults.supply.fetch import supply

PROGRAM = b"#!/bin/sh\necho it runs\n"
LARGE = random.Random(1).randbytes(300_000)
EVIL = b"written by an archive"


def tar_of(*members):
    """A tar of members, each a name with its content, or with the target of a link and the kind of link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            elif kind != tarfile.DIRTYPE:
                info.linkname = content
            tar.addfile(info, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return buffer.getvalue()


def file_of(name, content=EVIL):
    return name, content, tarfile.REGTYPE


def zip_of(contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def oversized(name):
    """A tar whose member says that it is larger than any may be; it says so before its content comes."""
    info = tarfile.TarInfo(name)
    info.size = archives.LARGEST + 1
    return info.tobuf() + b"\0" * 10240


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fetched(publisher, cache, data, member="linux/tool"):
    """The tool as the supply has it, out of a published archive."""
    made = supply(cache, publisher.publish("tool.archive", data), member)
    anyio.run(made.fetch, ["tool"])
    return made.tool("tool")


def refused(publisher, cache, data, said):
    with pytest.raises(MachineError, match=said):
        fetched(publisher, cache, data)
    assert {path.name for path in files(cache) if path.suffix != ".lock"} <= {".gitignore"}


@pytest.mark.parametrize("way_out", ["../../tool", "{tmp}/linux/tool", "x/../../../linux/tool"])
@pytest.mark.parametrize("pack", [lambda *members: gzip.compress(tar_of(*members)), tar_of], ids=["tar.gz", "tar"])
def test_the_executable_alone_is_taken_whatever_else_an_archive_has(publisher, tmp_path, pack, way_out):
    data = pack(
        file_of(way_out.format(tmp=tmp_path)),
        ("linux/link", "../../../outside", tarfile.SYMTYPE),
        file_of("linux/tool", PROGRAM),
    )
    before = files(tmp_path)

    executable = fetched(publisher, tmp_path / "cache", data)

    assert executable.read_bytes() == PROGRAM
    left = {path: content for path, content in files(tmp_path).items() if path not in before}
    assert EVIL not in left.values()
    assert sorted(left.values()).count(PROGRAM) == 2, "the file, and the name it has in bin"


@pytest.mark.parametrize("way_out", ["../../linux/tool", "/linux/tool", "linux/../linux/tool"])
def test_a_way_out_is_not_the_executable(publisher, tmp_path, way_out):
    refused(publisher, tmp_path / "cache", tar_of(file_of(way_out)), "no file linux/tool in it")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_an_executable_that_is_no_file(publisher, tmp_path, kind):
    refused(publisher, tmp_path / "cache", tar_of(("linux/tool", "/bin/sh", kind)), "no file linux/tool in it")


@pytest.mark.parametrize("name", ["linux/tool", "linux/README"], ids=["the executable", "one before it"])
def test_an_oversized_member(publisher, tmp_path, name):
    refused(publisher, tmp_path / "cache", oversized(name), f"{name}: {archives.LARGEST + 1} bytes")


def test_an_oversized_member_of_a_zip(publisher, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 10_000)

    refused(publisher, tmp_path / "cache", zip_of({"linux/tool": b"\0" * 10_001}), "10001 bytes")


@pytest.mark.parametrize(
    "data",
    [
        PROGRAM,
        b"",
        tar_of(file_of("linux/tool", LARGE))[:200_000],
        gzip.compress(tar_of(file_of("linux/tool", LARGE)))[:200_000],
        gzip.compress(tar_of(file_of("linux/tool", LARGE)))[:200_000] + b"\xff" * 100_000,
        zip_of({"linux/tool": PROGRAM}).replace(b"it runs", b"it Runs"),
    ],
    ids=["no archive", "empty", "tar cut short", "gzip cut short", "gzip damaged", "zip damaged"],
)
def test_an_archive_that_was_published_broken(publisher, tmp_path, data):
    refused(publisher, tmp_path / "cache", data, r"tool\.archive: no whole archive")


names = st.lists(st.sampled_from(["..", ".", "", "a", "b", "c"]), min_size=1, max_size=5).map("/".join).filter(bool)


@given(wanted=st.lists(names, min_size=1, max_size=4, unique=True))
def test_a_wheel_is_unpacked_inside_its_folder_or_not_at_all(tmp_path_factory, wanted):
    work = tmp_path_factory.mktemp("wheel")
    wheel, final = work / "demo.whl", work / "1" / "2" / "unpacked"
    wheel.write_bytes(zip_of(dict.fromkeys(wanted, EVIL)))

    with contextlib.suppress(MachineError, OSError), partial.folder(final) as folder:
        archives.unpack_wheel(wheel, folder)

    left = files(work).keys() - {wheel.relative_to(work)}
    assert all((work / path).is_relative_to(final) for path in left)
    if any(name.startswith("/") or posixpath.normpath(name).startswith("..") for name in wanted):
        assert left == set()


def test_a_wheel_with_an_oversized_file(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST", 10_000)
    wheel, folder = tmp_path / "demo.whl", tmp_path / "unpacked"
    wheel.write_bytes(zip_of({"small.py": b"1", "large.py": b"\0" * 10_001}))

    with pytest.raises(MachineError, match=r"large\.py: 10001 bytes"):
        archives.unpack_wheel(wheel, folder)
    assert not folder.exists(), "not even the small one"


links = names | st.sampled_from(["{outside}", "{outside}/victim"])
members = st.one_of(
    st.tuples(names, st.just(EVIL), st.just(tarfile.REGTYPE)),
    st.tuples(names, links, st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE])),
    st.tuples(names, st.just(b""), st.just(tarfile.DIRTYPE)),
)


def unpacked_root(work, wanted):
    """Unpack a root folder of these members; what is outside of it is returned, before and after."""
    outside, folder, layer = work / "outside", work / "1" / "2" / "root", work / "root.tar.zstd"
    outside.mkdir()
    folder.mkdir(parents=True)
    (outside / "victim").write_text("nobody's business")
    filled = [(name, to.format(outside=outside) if isinstance(to, str) else to, kind) for name, to, kind in wanted]
    layer.write_bytes(zstandard.compress(tar_of(*filled)))

    def elsewhere():
        return {path: data for path, data in files(work).items() if not (work / path).is_relative_to(folder)}

    before = elsewhere()
    try:
        python_images._unpack(layer, folder)
    finally:
        after = elsewhere()
        assert after == before


@given(wanted=st.lists(members, min_size=1, max_size=5))
def test_a_root_is_unpacked_inside_its_folder_whatever_its_links_are(tmp_path_factory, wanted):
    with contextlib.suppress(MachineError, OSError):
        unpacked_root(tmp_path_factory.mktemp("root"), wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        [file_of("../escaped")],
        [("a", "{outside}", tarfile.SYMTYPE), file_of("a/escaped")],
        [("a", "{outside}/victim", tarfile.SYMTYPE), file_of("a")],
        [("a", "../../../outside/victim", tarfile.LNKTYPE), file_of("a")],
        [("a", "../..", tarfile.SYMTYPE), ("b", "a/..", tarfile.SYMTYPE), file_of("b/escaped")],
    ],
    ids=["dots", "through a link", "over a link", "over a hard link", "through two links"],
)
def test_a_root_that_leads_out_is_refused(tmp_path, wanted):
    with pytest.raises(MachineError, match="outside of"):
        unpacked_root(tmp_path, wanted)


@pytest.mark.parametrize("target", ["a", "b"], ids=["itself", "nothing"])
def test_a_root_with_a_hard_link_to_what_is_not_there(tmp_path, target):
    with pytest.raises(MachineError, match="no whole root"):
        unpacked_root(tmp_path, [("a", target, tarfile.LNKTYPE)])


def test_a_root_with_an_oversized_file(tmp_path):
    layer = tmp_path / "root.tar.zstd"
    layer.write_bytes(zstandard.compress(oversized("usr/bin/python")))

    with pytest.raises(MachineError, match=f"usr/bin/python: {archives.LARGEST + 1} bytes"):
        python_images._unpack(layer, tmp_path / "root")
    assert not (tmp_path / "root").exists()
