"""A folder of models in place of their stores: what is taken from it, and what is refused before anything is copied."""

import os
from pathlib import Path

import anyio
import pytest

from ci.base.errors import UsageError
from ci.models import digests, storage
from ci.models.storage import WrongFolderError
from ci.supply.supply import Supply

URI = "s3://acme-models/iris/v1"
OTHER = f"sha256:{'0' * 64}"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(models: Path) -> Path:
    """The model at its place in the folder."""
    place = models / "acme-models" / "iris" / "v1"
    (place / "config").mkdir(parents=True)
    (place / "model.bin").write_bytes(b"weights")
    (place / "config" / "model.json").write_text("{}")
    return place


@pytest.fixture
def fetch(tmp_path: Path, models: Path):
    supply = Supply("source", tmp_path / "cache")

    def fetch(digest=None, mirrors=None, uri=URI):
        return anyio.run(storage.fetched, uri, digest, supply, mirrors, models)

    fetch.kept = supply.cache / "models"
    return fetch


def refusal(fetch, *arguments) -> str:
    with pytest.raises(WrongFolderError) as refused:
        fetch(*arguments)
    assert refused.value.exit_code == 2
    assert "\n" not in refused.value.message
    assert not fetch.kept.exists() or not list(fetch.kept.iterdir())
    return refused.value.message


def test_a_model_is_taken_from_its_place_in_the_folder(fetch, model):
    digest = digests.pinned(model)

    found = fetch(digest)

    assert (found.source, found.digest) == (str(model), digest)
    assert {path.name for path in found.folder.rglob("*")} == {"config", "model.json", "model.bin"}


def test_what_stood_for_the_uri_is_told(fetch, model, tmp_path):
    """Where the set will run, its URI is asked."""
    unasked = f": {URI} was not asked in this run"
    digest = digests.pinned(model)
    mirrors = {"s3://acme-models/": tmp_path / "mirror"}
    (tmp_path / "mirror" / "iris").mkdir(parents=True)

    assert [fetch(digest, mirrors).unasked for _ in range(2)] == [
        f"its model is from the folder of --models{unasked}"
    ] * 2
    model.rename(tmp_path / "mirror" / "iris" / "v1")
    assert fetch(None, mirrors).unasked == f"its model is from a mirror{unasked}"
    assert fetch(digest, mirrors).unasked == f"its model is from the cache, by its digest{unasked}"


def test_one_file_is_a_model_and_has_the_digest_that_it_gets_in_a_folder(fetch, model):
    for path in (model / "config" / "model.json", model / "model.bin"):
        path.unlink()
    (model / "config").rmdir()
    model.rmdir()
    model.write_bytes(b"weights")

    found = fetch(digests.of_path(model))

    assert [path.name for path in found.folder.iterdir()] == ["v1"]


def test_without_a_digest_it_is_digested(fetch, model):
    assert fetch().digest == digests.pinned(model)


def test_another_model_than_the_sets_is_refused_with_both_digests(fetch, model):
    said = refusal(fetch, OTHER)

    assert said == f"{model}: digest {digests.pinned(model)}, and the set says {OTHER} of {URI}"


def test_the_cache_does_not_hide_that_the_folder_has_another(fetch, model):
    digest = digests.pinned(model)
    fetch(digest)
    (model / "model.bin").write_bytes(b"retrained")

    with pytest.raises(WrongFolderError, match=f"the set says {digest}"):
        fetch(digest)


def test_the_folder_comes_before_a_mirror_of_the_project(fetch, model, tmp_path):
    mirror = tmp_path / "mirror"
    (mirror / "iris" / "v1").mkdir(parents=True)
    (mirror / "iris" / "v1" / "model.bin").write_bytes(b"of the project")

    assert fetch(None, {"s3://acme-models/": mirror}).source == str(model)
    model.rename(model.with_name("v2"))
    assert fetch(None, {"s3://acme-models/": mirror}).source == str(mirror / "iris" / "v1")


def test_a_folder_without_a_file_is_no_model(fetch, model):
    (model / "model.bin").unlink()
    (model / "config" / "model.json").unlink()

    assert refusal(fetch) == f"{model}: no file is in it"


def test_links_to_files_of_the_folder_are_followed(fetch, model, models):
    (models / "blob").write_bytes(b"weights")
    (model / "model.bin").unlink()
    (model / "model.bin").symlink_to("../../../blob")

    found = fetch(digests.pinned(model))

    assert not (found.folder / "model.bin").is_symlink()
    assert (found.folder / "model.bin").read_bytes() == b"weights"


@pytest.mark.parametrize("where", ["acme-models", "acme-models/iris/v1", "acme-models/iris/v1/model.bin"])
def test_no_link_leads_out_of_the_folder(fetch, model, models, tmp_path, where):
    path = models / where
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    assert "a link that leads out to " in refusal(fetch)


def linked_to_nothing(model: Path) -> None:
    (model / "more").symlink_to("nothing")


def linked_to_a_folder(model: Path) -> None:
    (model / "more").symlink_to("config")


def linked_in_a_circle(model: Path) -> None:
    (model / "more").symlink_to("more")


def linked_upward(model: Path) -> None:
    (model / "more").symlink_to("..")


@pytest.mark.parametrize("does", [linked_to_nothing, linked_to_a_folder, linked_in_a_circle, linked_upward])
def test_a_link_in_a_model_is_to_a_file(fetch, model, does):
    does(model)

    assert refusal(fetch).startswith(f"{model / 'more'}: a link to {model.parent}")


def test_what_is_neither_a_file_nor_a_folder_is_refused(fetch, model):
    os.mkfifo(model / "more")

    assert refusal(fetch) == f"{model / 'more'}: neither a file nor a folder"


def test_a_mirror_of_the_project_is_held_to_the_same(fetch, model, models, tmp_path):
    models.rename(tmp_path / "mirror")
    place = tmp_path / "mirror" / "acme-models" / "iris" / "v1"
    (place / "more").symlink_to(tmp_path)

    with pytest.raises(UsageError, match=f"{place / 'more'}: a link that leads out to {tmp_path}"):
        fetch(None, {"s3://": tmp_path / "mirror"})


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://acme-models/model.tar.gz", "model.tar.gz"),
        ("https://acme-models/model.zip?token=x", "model.zip"),
        ("https://acme-models/weights.gz", "weights.gz"),
        ("https://acme-models/get?name=model.tgz", "get"),
        ("s3://acme-models/iris/v2.tar", "iris/v2.tar"),
        ("gs://acme-models/iris/v2", "iris/v2/model.zip"),
    ],
)
@pytest.mark.parametrize("mirror", [False, True], ids=["the folder", "a mirror"])
def test_an_archive_that_a_pod_unpacks_is_refused_by_name(fetch, models, uri, place, mirror):
    file = models / "acme-models" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(b"packed")
    if mirror:
        file = models.rename(models.parent / "mirror") / "acme-models" / place
        models.mkdir()
    mirrors = {uri.partition("acme")[0]: models.parent / "mirror"} if mirror else None

    with pytest.raises(WrongFolderError) as refused:
        fetch(None, mirrors, uri)

    assert refused.value.message == f"{file}: an archive, and a pod has the files in it"


@pytest.mark.parametrize(
    ("uri", "files"),
    [
        ("https://acme-models/model.tar.gz", ["model.tar.gz/inner.zip"]),
        ("https://acme-models/model.bin", ["model.bin"]),
        ("s3://acme-models/iris", ["iris/a.zip", "iris/b.bin"]),
        ("s3://acme-models/weights.gz", ["weights.gz"]),
        ("hf://acme-models/iris", ["iris/a.zip"]),
        ("oci://acme-models/iris", ["iris/a.tar"]),
    ],
)
def test_what_a_pod_takes_as_it_is_is_taken(fetch, models, uri, files):
    for name in files:
        (models / "acme-models" / name).parent.mkdir(parents=True, exist_ok=True)
        (models / "acme-models" / name).write_bytes(b"packed")

    found = fetch(uri=uri)

    assert sorted(path.name for path in found.folder.rglob("*")) == sorted(name.rpartition("/")[2] for name in files)


@pytest.mark.parametrize(("scheme", "kept"), [("hf", False), ("s3", True)])
def test_what_the_client_of_a_hub_leaves_is_left_out_of_its_own_models_alone(fetch, model, scheme, kept):
    (model / ".cache" / "huggingface").mkdir(parents=True)
    (model / ".cache" / "huggingface" / "model.metadata").write_text("x")

    found = fetch(uri=f"{scheme}://acme-models/iris/v1")

    assert found.digest == digests.of_path(model, hub=not kept) == digests.pinned(found.folder)
    assert (found.folder / ".cache").exists() == kept
