"""What failed is refused by what it is: a model or an image by its digest, else by its name, with whatever partner."""

import pytest
import yaml

from ci.base.errors import UsageError
from ci.checks import quarantine as check
from ci.tree import quarantine, tree
from ci.tree.quarantine import Entry
from tests.harness import project as projects

ONE, OTHER = (f"sha256:{digit * 64}" for digit in "ab")
FILE = "deploy/quarantine/fraud-score/0123456789ab.yaml"
RELEASE = {
    ("chart", "revision"): "trunk",
    ("model", "version"): "2.0",
    ("model", "storageUri"): "s3://b/2.0",
    ("model", "digest"): ONE,
    ("image", "repository"): "registry.example.com/x",
    ("image", "tag"): "v2",
    ("image", "digest"): OTHER,
}


def entry(**values):
    values = {key.replace("_", "."): value for key, value in values.items()}
    return Entry("fraud-score", "lab", values, "it failed", "2026-01-01T00:00:00+00:00")


def release(**changed):
    return RELEASE | {tuple(key.split("_")): value for key, value in changed.items()}


MODEL = {"model_version": "2.0", "model_storageUri": "s3://b/2.0", "model_digest": ONE}
IMAGE = {"image_tag": "v2", "image_digest": OTHER}


@pytest.mark.parametrize(
    ("failed", "asked"),
    [
        (MODEL, {}),
        (MODEL, {"image_tag": "v9", "image_digest": ONE}),  # with another partner
        (MODEL, {"model_version": "2.1", "model_storageUri": "s3://b/2.1"}),  # the same files elsewhere
        (MODEL, {"model_digest": ""}),  # pinned when it failed, and not any more
        (MODEL | {"model_digest": ""}, {}),  # not pinned when it failed
        ({"model_digest": ONE}, {}),
        (IMAGE, {"model_version": "9"}),
        (IMAGE, {"image_tag": "again"}),
        ({"chart_revision": "trunk"}, {}),
        (MODEL | IMAGE, {}),
    ],
)
def test_what_failed_is_refused(failed, asked):
    assert entry(**failed).matches(release(**asked))


@pytest.mark.parametrize(
    ("failed", "asked"),
    [
        (MODEL, {"model_digest": OTHER}),  # other files under its name
        (MODEL, {"model_version": "2.1", "model_digest": ""}),
        (MODEL | {"model_digest": ""}, {"model_storageUri": "s3://b/2.1"}),
        ({"model_digest": ONE}, {"model_digest": ""}),
        (IMAGE, {"image_tag": "v3", "image_digest": ""}),
        (IMAGE, {"image_digest": ONE}),
        ({"chart_revision": "trunk"}, {"chart_revision": "next"}),
        (MODEL | IMAGE, {"image_digest": ONE}),  # a set that failed says nothing of one part
    ],
)
def test_what_did_not_fail_is_not(failed, asked):
    assert not entry(**failed).matches(release(**asked))


@pytest.mark.parametrize("text", ["1e3", "y", "0o17", "2026-01-01", "1.10", "no: not", "two\nlines", "ü"])
def test_an_entry_is_read_as_it_was_written(tmp_path, text):
    made = projects.made(tmp_path)
    written = Entry("fraud-score", "lab", {"model.version": text}, text, text, [text], text, {"model.digest": text})
    assert quarantine.read(written.content(made.project), FILE) == written


GOOD = {
    "application": "fraud-score",
    "environment": "lab",
    "since": "2026-01-01T00:00:00+00:00",
    "reason": "it failed",
    "values": {"model.version": "2.0"},
}
BAD = [
    (GOOD | {"values": {"model.version": 2.0}}, "no entry of the quarantine: values.model.version: "),
    (GOOD | {"values": {}}, "no entry of the quarantine: values: nothing is no part of a set"),
    (
        GOOD | {"values": {"model.vers": "2"}},
        "no entry of the quarantine: values: model.vers is no part of a set",
    ),
    ({key: value for key, value in GOOD.items() if key != "reason"}, "no entry of the quarantine: reason: "),
    ([GOOD], "no entry of the quarantine: the whole file: "),
    (None, "no entry of the quarantine: the whole file: "),
]


@pytest.mark.parametrize(("data", "said"), BAD, ids=[said for _, said in BAD])
def test_what_is_no_entry_is_named_by_lint_and_by_whoever_asks(tmp_path, data, said):
    content = yaml.safe_dump(data).encode()
    with pytest.raises(UsageError) as raised:
        quarantine.read(content, FILE)
    assert raised.value.message.startswith(f"{FILE}: {said}")

    made = projects.made(tmp_path)
    made.write(FILE, content)
    made.write("deploy/quarantine/fraud-score/README.md", "Why we keep these\n")
    ((file, message),) = [(each.file, each.message) for each in check.findings(made.folder, made.project)]
    assert file == FILE
    assert message.startswith(said)


def test_lint_says_nothing_of_good_ones(tmp_path):
    made = projects.made(tmp_path)
    made.write(FILE, yaml.safe_dump(GOOD))
    assert list(check.findings(made.folder, made.project)) == []


def test_the_parts_of_a_set_are_all_of_it():
    assert [key for part in quarantine.PARTS for key in part] == list(tree.KEYS)
