"""`bump model --to`: a version takes the present one's place in the URI, whatever scheme and form that has."""

import re

import pytest

from ci.base.errors import UsageError
from ci.project import parse
from ci.release import bump
from ci.tree import tree
from tests.harness import project as projects

FILE = """\
chart: {{revision: trunk}}
model: {{version: "{version}", storageUri: "{uri}", digest: ""}}
image: {{repository: registry.example.com/x, tag: "1", digest: ""}}
"""


def application(version, uri):
    project = parse(projects.toml().encode())
    return tree.Application(project, "lab", "fraud-score", FILE.format(version=version, uri=uri).encode())


def bumped(version, uri, to, name=""):
    found = bump.wanted(application(version, uri), "model", to, version=name)
    return found["model", "version"], found["model", "storageUri"]


FORMS = [
    ("1.0", "gs://b/models/1.0/model", "2.0", "gs://b/models/2.0/model"),
    (
        "1.0",
        "oci://registry.example.com:5000/models/iris:1.0",
        "2.0",
        "oci://registry.example.com:5000/models/iris:2.0",
    ),
    ("1.0", "hf://org/model:1.0", "2.0", "hf://org/model:2.0"),
    ("1.0", "s3://b/iris-1.0.tar.gz", "2.0", "s3://b/iris-2.0.tar.gz"),
    ("v7", "https://acme.blob.core.windows.net/models/v7", "v8", "https://acme.blob.core.windows.net/models/v8"),
    ("v7", "pvc://claim/models/v7", "v8", "pvc://claim/models/v8"),
    ("3", "hdfs://name/models3/iris/3", "4", "hdfs://name/models3/iris/4"),
    ("1", "s3://b1/1.1/iris_1", "2", "s3://b1/1.1/iris_2"),
    ("1", "s3://team-1/iris/1", "2", "s3://team-1/iris/2"),
]


@pytest.mark.parametrize(("version", "uri", "to", "expected"), FORMS, ids=[uri for _, uri, _, _ in FORMS])
def test_a_version_goes_where_the_uri_has_the_present_one_and_comes_from_there(version, uri, to, expected):
    assert bumped(version, uri, to) == (to, expected)
    assert bumped(version, uri, expected) == (to, expected)


@pytest.mark.parametrize(
    ("version", "uri", "to", "expected"),
    [
        ("1.0", "gs://b/1.0/model", "s3://other/2.0/better", "2.0"),
        ("1.0", "s3://b/iris-1.0.tar.gz", "hf://b/iris-2.0rc1.tar.gz", "2.0rc1"),
    ],
)
def test_a_uri_of_the_same_form_says_its_version_whatever_else_differs(version, uri, to, expected):
    assert bumped(version, uri, to) == (expected, to)


@pytest.mark.parametrize(
    "to", ["hf://org/model", "s3://b/0f3b8d", "oci://registry/iris:2.0@sha256:00", "gs://b/m/n/2.0"]
)
def test_a_uri_of_another_form_needs_the_versions_name(to):
    with pytest.raises(UsageError, match=re.escape("does not say its version as gs://b/1.0/model says 1.0")) as raised:
        bumped("1.0", "gs://b/1.0/model", to)
    assert raised.value.fix == "--version NAME says it."
    assert bumped("1.0", "gs://b/1.0/model", to, "2.0") == ("2.0", to)


@pytest.mark.parametrize(
    ("uri", "times"),
    [
        ("s3://b/iris", 0),
        ("s3://b/iris-1.0.1", 0),
        ("s3://b/11.0/iris", 0),
        ("s3://1.0/iris/1.0", 2),
        ("s3://b/1.0/iris-1.0.tar.gz", 2),
    ],
)
def test_a_version_that_the_uri_does_not_say_once_is_refused_with_the_way_out(uri, times):
    with pytest.raises(UsageError, match=re.escape(f"stands {times} times in model.storageUri {uri}")) as raised:
        bumped("1.0", uri, "2.0")
    assert raised.value.fix == "--to URI --version NAME, with the whole URI"
    assert bumped("1.0", uri, "s3://b/0f3b8d", "2.0") == ("2.0", "s3://b/0f3b8d")


DIGESTS = ("@sha256:" + "0a" * 32, "@sha256:" + "0b" * 32)


def test_a_version_alone_does_not_rename_what_its_digest_says():
    uri = f"oci://registry.example.com/models/iris:1.0{DIGESTS[0]}"
    with pytest.raises(UsageError, match="has a digest, which says what is served") as raised:
        bumped("1.0", uri, "2.0")
    assert raised.value.fix == "--to URI --version 2.0, with the whole URI"
    other = f"oci://registry.example.com/models/iris:2.0{DIGESTS[1]}"
    assert bumped("1.0", uri, other, "2.0") == ("2.0", other)
    assert bumped("1.0", uri, "1.0") == ("1.0", uri)


@pytest.mark.parametrize("to", ["1", "hf://acme/wine:v1"])
def test_the_model_that_is_there_may_get_a_digest_whatever_its_uri_says_of_its_version(to):
    assert bumped("1", "hf://acme/wine:v1", to) == ("1", "hf://acme/wine:v1")


@pytest.mark.parametrize(
    ("to", "name", "said"),
    [
        ("2.0 beta", "", "--to 2.0 beta: neither a version nor a URI"),
        ("b/2.0", "", "--to b/2.0: neither a version nor a URI"),
        ("s3://b/a b", "", "--to s3://b/a b: neither a version nor a URI"),
        ("2.0", "2.0", "--version 2.0: --to 2.0 is a version already"),
        ("s3://b/x", "a/b", "--version a/b: not a version"),
    ],
)
def test_what_is_neither_is_refused(to, name, said):
    with pytest.raises(UsageError) as raised:
        bumped("1.0", "gs://b/1.0/model", to, name)
    assert raised.value.message.startswith(said)


def test_the_version_of_an_image_is_its_tag():
    with pytest.raises(UsageError, match="--version 2: an image's is its tag"):
        bump.wanted(application("1", "s3://b/1"), "image", "2@sha256:" + "0" * 64, version="2")


@pytest.mark.parametrize("to", ["2", "2026-01", "v3.1"])
def test_a_version_where_the_image_brings_the_model_along_is_the_images(to):
    with pytest.raises(UsageError, match=r"model\.storageUri is empty: the image brings the model along") as refused:
        bumped("", "", to)
    assert "bump image --env lab --app fraud-score --to TAG@sha256:DIGEST" in refused.value.fix


def test_such_an_application_may_get_a_model_by_its_uri_and_name():
    assert bumped("", "", "s3://acme/m/2", "2") == ("2", "s3://acme/m/2")
    with pytest.raises(UsageError, match=r"^--to s3://acme/m/2: does not say its version$"):
        bumped("", "", "s3://acme/m/2")
