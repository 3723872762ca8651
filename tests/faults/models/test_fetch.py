"""What a fetch leaves, takes and says when something goes wrong with it."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from functools import partial

import anyio
import pytest

from ci.base.errors import MachineError, UsageError
from ci.base.paths import ROOT
from ci.models import digests, storage
from ci.models.storage import RefusedError, UnreachableError, WrongModelError
from tests.faults.models.conftest import FILES
from tests.faults.models.internet import Answer

HOST = "models.acme.test"
URI = f"https://{HOST}/model.bin"
DATA = FILES["model.bin"]
OTHER = f"sha256:{'0' * 64}"


@pytest.fixture
def web(internet):
    """A host with one file; what it answers can be changed."""
    answers = {"/model.bin": Answer(200, DATA, {"Content-Type": "application/octet-stream"})}
    internet.add(HOST, lambda request: answers.get(request.path, Answer(404)))
    return answers


@pytest.fixture
def digest(tmp_path):
    """Of that file alone."""
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "model.bin").write_bytes(DATA)
    return digests.pinned(folder)


def test_a_model_that_is_here_by_its_digest_is_not_fetched_again(web, internet, fetch, digest):
    first = fetch(URI, digest)
    asked = len(internet.asked)

    second = fetch(URI, digest)

    assert (first.source, second.source) == (URI, "the cache")
    assert (first.unasked, second.unasked) == (
        "",
        f"its model is from the cache, by its digest: {URI} was not asked in this run",
    )
    assert second.folder == first.folder
    assert len(internet.asked) == asked


@pytest.mark.parametrize("uri", [f"https://{HOST}/model.tar.gz", f"https://{HOST}/m.tgz?a=b", "oci://acme.test/iris:1"])
def test_a_python_that_unpacks_no_archive_safely_is_named_before_one_is_fetched(uri, web, internet, fetch, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)

    with pytest.raises(MachineError, match=r"cannot unpack it safely") as raised:
        fetch(uri)

    assert "3.11.4" in raised.value.fix
    assert internet.asked == []
    assert fetch(URI).source == URI, "a plain file needs no unpacking"


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ({"current": "v1"}, "current: a link to v1, which is no file"),
        ({"current": "gone"}, "current: a link to gone, which is no file"),
        ({"current": "current"}, "current: a link to current, which is no file"),
        ({"model.bin": "v1/model.bin"}, None),
    ],
)
def test_an_archive_of_which_the_server_would_see_other_files_is_refused(web, fetch, links, said):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("v1/model.bin", "v2/model.bin"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    web["/model.tar.gz"] = Answer(200, packed.getvalue(), {"Content-Type": "application/gzip"})
    uri = f"https://{HOST}/model.tar.gz"

    if said is None:
        assert sorted(digests.of_files(fetch(uri).folder)) == ["model.bin", "v1/model.bin", "v2/model.bin"]
        return
    with pytest.raises(RefusedError) as refused:
        fetch(uri)
    assert refused.value.message == f"{uri}: {said}"


def test_without_a_digest_it_is_asked_for_each_time(web, fetch):
    first = fetch(URI)
    web["/model.bin"] = Answer(200, b"retrained", {"Content-Type": "application/octet-stream"})

    second = fetch(URI)

    assert second.digest != first.digest
    assert (second.folder / "model.bin").read_bytes() == b"retrained"
    assert (first.folder / "model.bin").read_bytes() == DATA


def test_one_that_was_changed_in_the_cache_is_fetched_again(web, fetch, digest):
    found = fetch(URI, digest)
    (found.folder / "model.bin").write_bytes(b"of somebody else")

    again = fetch(URI, digest)

    assert again.source == URI
    assert (again.folder / "model.bin").read_bytes() == DATA


def test_another_model_than_the_set_names_is_refused_and_not_kept(web, fetch, digest, nothing_left):
    with pytest.raises(WrongModelError, match=f"{URI}: .* have digest {digest}, the set says {OTHER}"):
        fetch(URI, OTHER)

    assert nothing_left()


def test_what_comes_by_half_is_not_kept(web, fetch, nothing_left):
    half = {"Content-Type": "application/octet-stream", "Content-Length": str(2 * len(DATA)), "Connection": "close"}
    web["/model.bin"] = Answer(200, DATA, half)

    with pytest.raises(UnreachableError, match=f"{URI}: .*IncompleteRead"):
        fetch(URI)

    assert nothing_left()


@pytest.fixture
def silent(internet, web):
    """A host that sends a part of a file and then nothing; the event is set when somebody waits for more."""
    asked, over = threading.Event(), threading.Event()

    def answer(_):
        asked.set()
        over.wait(60)
        return Answer(404)

    internet.add(HOST, answer)
    yield asked
    over.set()


def test_a_store_that_sends_nothing_any_more_is_left(silent, fetch, nothing_left, monkeypatch):
    monkeypatch.setattr(storage, "STALL_SECONDS", 3)

    with pytest.raises(UnreachableError, match=f"{URI}: no byte for 3 s"):
        fetch(URI)

    assert nothing_left()


def test_ctrl_c_ends_it_with_all_that_it_started(silent, supply, nothing_left):
    argv = [sys.executable, "ci/main.py", "digest", URI, "--supply", "source"]
    env = {**os.environ, "ML_SERVING_CI_CACHE": str(supply.cache)}
    with subprocess.Popen(argv, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert silent.wait(60)
        (work,) = (supply.cache / "models").iterdir()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert nothing_left()
    assert str(work) not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_mirror_has_the_same_bytes_and_nobody_is_asked(fetch, model, tmp_path):
    mirror = tmp_path / "mirror"
    (mirror / "iris").mkdir(parents=True)
    model.rename(mirror / "iris" / "v1")
    (mirror / "iris" / "v1" / "model.bin").chmod(0o600)

    found = fetch("s3://acme-models/iris/v1", digests.pinned(mirror / "iris" / "v1"), {"s3://acme-models/": mirror})

    assert {path.name for path in found.folder.rglob("*")} == {"config", "model.json", "model.bin"}
    assert (found.folder / "model.bin").stat().st_mode & 0o777 == 0o644
    assert found.source == str(mirror / "iris" / "v1")


def test_a_mirror_with_other_bytes_is_refused(fetch, model, tmp_path, nothing_left):
    with pytest.raises(WrongModelError, match=f"s3://acme-models/iris: the files at {model} have digest sha256:"):
        fetch("s3://acme-models/iris", OTHER, {"s3://acme-models/iris": model})

    assert nothing_left()


def test_where_a_mirror_has_not_got_it_the_store_is_asked_and_both_are_said(fetch, tmp_path):
    with pytest.raises(RefusedError, match=f"Unable to locate credentials.*no {tmp_path}/empty/iris"):
        fetch("s3://acme-models/iris", None, {"s3://acme-models/": tmp_path / "empty"})


def test_a_volume_can_be_given_as_a_folder_alone(fetch, model, nothing_left):
    with pytest.raises(UsageError, match="pvc://claim/iris: not read from here: only pods of its cluster"):
        fetch("pvc://claim/iris")
    assert nothing_left()

    assert fetch("pvc://claim", None, {"pvc://claim": model}).digest == digests.pinned(model)


def test_two_who_ask_for_one_model_fetch_it_once(web, internet, supply, digest):
    async def both():
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(partial(storage.fetched, URI, digest, supply))

    anyio.run(both)

    assert internet.asked == [HOST]
