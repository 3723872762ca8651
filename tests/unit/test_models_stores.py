"""Where models are kept: what is read with which settings, and what is refused by name."""

import json
from pathlib import Path

import pytest

from ci.base.errors import UsageError
from ci.models import stores
from ci.supply import pins


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "AZURE_STORAGE_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("s3://acme/iris", "s3"),
        ("gs://acme/iris", "gs"),
        ("hf://acme/iris:5f1a", "hf"),
        ("oci://ghcr.io/acme/iris:1", "oci"),
        ("https://acme.blob.core.windows.net/models/iris", "azure"),
        ("https://acme.z12.blob.storage.azure.net/models/iris", "azure"),
        ("https://acme.file.core.windows.net/models/iris", "azure"),
        ("https://acme.test/iris.zip", "https"),
        ("http://acme.test/iris.zip", "https"),
    ],
)
def test_a_uri_names_a_kind_of_store(uri, kind):
    assert stores.of(uri) is stores.STORES[kind]


@pytest.mark.parametrize(
    "uri", ["pvc://claim/iris", "file:///models", "hdfs://a/b", "webhdfs://a/b", "https://a/b.git"]
)
def test_what_is_not_read_from_is_refused_by_name_with_the_way_out(uri):
    with pytest.raises(UsageError, match=f"{uri}: not read from here") as refused:
        stores.of(uri)

    assert "--models DIR" in refused.value.fix


def test_what_is_no_uri_of_a_model_is_refused():
    with pytest.raises(UsageError, match="ftp://acme/iris: not a storageUri of s3, gs, hf"):
        stores.of("ftp://acme/iris")


@pytest.mark.parametrize("uri", ["s3://", "gs:///iris", "hf://"])
def test_a_uri_names_a_place(uri):
    with pytest.raises(UsageError, match=f"{uri}: names no bucket, host or owner"):
        stores.require(uri)


def test_only_the_names_of_settings_are_told_and_only_those_of_the_store(monkeypatch, home):
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, f"value of {name}")
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("")

    assert stores.tried("s3://acme/iris") == ["AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "~/.aws/config"]
    assert stores.tried("hf://acme/iris") == ["HF_TOKEN"]


def test_an_address_is_no_credential(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://minio.acme.test")

    said = "no credentials for it are set here, at the address of AWS_ENDPOINT_URL"
    assert stores.asked("s3://acme/iris") == said
    monkeypatch.setenv("AWS_PROFILE", "acme")
    assert stores.asked("s3://acme/iris") == "tried with AWS_PROFILE, at the address of AWS_ENDPOINT_URL"


@pytest.mark.parametrize("value", ["Bearer 1", "[1]", "{"])
def test_headers_that_are_no_object_are_refused_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("acme.test-headers", value)

    with pytest.raises(UsageError, match=r"https://acme.test/iris: acme.test-headers is not a JSON object") as refused:
        stores.require("https://acme.test/iris")

    assert value not in refused.value.message
    stores.require("https://other.test/iris")


def test_a_file_of_credentials_has_to_be_there_and_to_be_one(monkeypatch, home):
    file = home / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))

    with pytest.raises(UsageError, match=f"gs://acme/iris: GOOGLE_APPLICATION_CREDENTIALS={file}: no such file"):
        stores.require("gs://acme/iris")
    file.write_text("sesame")
    with pytest.raises(UsageError, match="not a JSON object") as refused:
        stores.require("gs://acme/iris")

    assert "sesame" not in refused.value.message
    file.write_text("{}")
    stores.require("gs://acme/iris")


def test_headers_are_those_of_the_host(monkeypatch):
    monkeypatch.setenv("acme.test-headers", json.dumps({"Authorization": "Bearer 1"}))

    assert stores.tried("https://acme.test/iris") == ["acme.test-headers"]
    assert stores.tried("https://other.test/iris") == []
    assert "Bearer 1" in stores.secrets("https://acme.test/iris")


def test_a_signature_in_a_uri_is_not_shown(monkeypatch):
    uri = "https://me:pw@acme.blob.core.windows.net/models/iris?sv=1&sig=abc"

    assert stores.shown(uri) == "https://acme.blob.core.windows.net/models/iris?…"
    assert {"me:pw", "sv=1&sig=abc"} <= set(stores.secrets(uri))


def test_the_longest_prefix_is_the_first_mirror():
    mirrors = {
        "s3://": Path("/all"),
        "s3://acme/": Path("/acme"),
        "s3://acme/iris": Path("/iris"),
        "gs://": Path("/gs"),
    }

    assert stores.mirrored("s3://acme/iris/v1", mirrors) == [
        Path("/iris/v1"),
        Path("/acme/iris/v1"),
        Path("/all/acme/iris/v1"),
    ]
    assert stores.mirrored("s3://acme/iris", mirrors) == [Path("/iris"), Path("/acme/iris"), Path("/all/acme/iris")]


def test_a_prefix_ends_where_a_name_ends():
    assert stores.mirrored("s3://acme-2/iris", {"s3://acme": Path("/acme")}) == []


def test_a_folder_of_models_has_them_by_their_uris():
    mirrors = stores.everything(Path("/models"))

    assert stores.mirrored("s3://acme/iris/v1", mirrors) == [Path("/models/acme/iris/v1")]
    assert stores.mirrored("https://acme.blob.core.windows.net/m/iris?sig=1", mirrors) == [
        Path("/models/acme.blob.core.windows.net/m/iris")
    ]
    assert stores.mirrored("pvc://claim/iris", mirrors) == [Path("/models/claim/iris")]


def test_no_uri_leads_out_of_a_mirror():
    with pytest.raises(UsageError, match=r"has \.\. in its path"):
        stores.mirrored("s3://acme/../../etc", {"s3://acme/": Path("/models")})


def test_the_library_that_reads_them_is_that_of_the_kserve_that_the_cluster_runs():
    loaded = pins.load()
    version = loaded.modules["kserve"].version.removeprefix("v")

    assert f"kserve-storage=={version} " in loaded.wheels["storage"].requirements_file.read_text()
