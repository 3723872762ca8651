"""What failed is refused by what it is: a model or an image by its digest, else by its name, with whatever partner."""

import anyio
import pytest
import yaml

from ci.base.errors import UsageError
from ci.checks import quarantine as check
from ci.checks.targets import Chosen
from ci.tree import git, quarantine, tree
from ci.tree.git import Snapshot
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
        (MODEL | {"model_digest": ""}, {"model_storageUri": "s3://b//./2.0/"}),  # the same place, spelt otherwise
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
    (GOOD | {"vaules": {"image.tag": "v2"}}, "no entry of the quarantine: vaules: "),
    (GOOD | {"application": "price-rank"}, "no entry of the quarantine: application: price-rank is not fraud-score"),
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
    ((file, message),) = [(each.file, each.message) for each in check.findings(made.folder, made.project, Chosen())]
    assert file == FILE
    assert message.startswith(said)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        (Chosen(application="fraud-score"), True),
        (Chosen(environment="lab"), True),
        (Chosen(among={("live", "fraud-score")}), True),
        (Chosen(application="price-rank"), False),
        (Chosen(among={("lab", "price-rank")}), False),
    ],
)
def test_lint_of_some_applications_names_what_stops_these(tmp_path, chosen, named):
    made = projects.made(tmp_path)
    made.write(FILE, yaml.safe_dump([GOOD]))
    assert [each.file for each in check.findings(made.folder, made.project, chosen)] == [FILE] * named


def test_lint_says_nothing_of_good_ones(tmp_path):
    made = projects.made(tmp_path)
    made.write(FILE, yaml.safe_dump(GOOD))
    assert list(check.findings(made.folder, made.project, Chosen())) == []


def found(made):
    return [(each.file, each.severity) for each in check.findings(made.folder, made.project, Chosen())]


def test_an_entry_of_an_application_that_is_gone_is_nobody_s_trouble(tmp_path):
    made = projects.made(tmp_path)
    made.write("deploy/quarantine/gone/0123456789ab.yaml", yaml.safe_dump(GOOD | {"application": "gone"}))
    assert found(made) == []


@pytest.mark.parametrize("place", ["0123.yaml", "fraud-score/0123.yml", "fraud-score/2026/0123.yaml"])
def test_an_entry_in_another_place_refuses_nothing_and_lint_says_so(tmp_path, place):
    made = projects.made(tmp_path)
    made.write(f"deploy/quarantine/{place}", yaml.safe_dump(GOOD))
    made.write("deploy/quarantine/fraud-score/2026/notes.md", "Why we keep these\n")
    assert found(made) == [(f"deploy/quarantine/{place}", "warning")]


@pytest.mark.parametrize("link", ["quarantine", "quarantine/fraud-score", "quarantine/fraud-score/0123456789ab.yaml"])
def test_a_link_is_refused_by_lint_as_by_whoever_asks(tmp_path, link):
    made = projects.made(tmp_path)
    entry = made.write(FILE, yaml.safe_dump(GOOD))
    place = made.folder / "deploy" / link
    place.rename(made.folder / "elsewhere")
    place.symlink_to(made.folder / "elsewhere")
    assert entry.is_file()
    assert found(made) == [(f"deploy/{link}", "error")]
    made.commit()

    async def asked():
        repository = await git.opened(made.folder)
        snapshot = Snapshot(repository, await repository.commit_of("HEAD"), "trunk")
        await quarantine.require_free(snapshot, "lab", "fraud-score", RELEASE)

    with pytest.raises(UsageError) as raised:
        anyio.run(asked)
    assert raised.value.message.startswith(f"deploy/{link}: ")


def test_an_entry_under_any_name_is_lifted_by_that_name(tmp_path):
    made = projects.made(tmp_path)
    made.write("deploy/quarantine/fraud-score/by-hand.yaml", yaml.safe_dump(GOOD))
    made.commit()

    async def asked():
        repository = await git.opened(made.folder)
        snapshot = Snapshot(repository, await repository.commit_of("HEAD"), "trunk")
        await quarantine.require_free(snapshot, "lab", "fraud-score", RELEASE)

    with pytest.raises(quarantine.QuarantinedError) as raised:
        anyio.run(asked)
    assert "git rm deploy/quarantine/fraud-score/by-hand.yaml" in raised.value.fix


@pytest.mark.parametrize(
    "changed",
    [
        {"model_version": "3.0", "model_storageUri": "s3://b/3.0", "model_digest": OTHER},
        {"model_version": "3.0", "model_storageUri": "s3://b/3.0"},  # the same files elsewhere
        {"model_digest": OTHER},  # other files in the same place
        {"model_digest": ""},
        {"image_tag": "v3", "image_digest": ONE},
        {"image_tag": "v3"},
        {"image_repository": "registry.example.com/y"},
        {"chart_revision": "next"},
        {"chart_revision": "next", "model_version": "3.0", "image_tag": "v3", "image_digest": ""},
    ],
    ids=lambda changed: ", ".join(changed),
)
def test_what_failed_is_named_so_that_the_set_before_stays_free(changed):
    bad = release(**changed)
    values = quarantine.failed(bad, RELEASE)
    named = Entry("fraud-score", "lab", values, "it failed", "2026-01-01T00:00:00+00:00")
    assert named.matches(bad)
    assert not named.matches(RELEASE)


def test_what_was_only_pinned_did_not_fail_where_something_else_may_have():
    good = release(image_digest="")
    assert quarantine.failed(RELEASE | {("model", "version"): "3.0"}, good).keys() >= {"model.version"}
    assert not any(key.startswith("image") for key in quarantine.failed(RELEASE | {("model", "version"): "3.0"}, good))
    assert quarantine.failed(RELEASE, good) == {"image.digest": OTHER}, "nothing else can have"


def test_an_image_without_a_digest_is_known_by_its_whole_reference():
    bad = release(image_tag="v3", image_digest="")
    values = quarantine.failed(bad, RELEASE)
    assert values == {"image.repository": "registry.example.com/x", "image.tag": "v3"}
    mirrored = release(image_repository="registry.example.com/y", image_tag="v3", image_digest="")
    assert not Entry("fraud-score", "lab", values, "it failed", "").matches(mirrored)


def test_the_parts_of_a_set_are_all_of_it():
    assert [key for part in quarantine.PARTS for key in part] == list(tree.KEYS)


@pytest.mark.parametrize(("back", "barred"), [("s3://acme/fraud/1", True), ("s3://acme/fraud/2", False), ("", True)])
def test_a_model_is_its_uri_by_whatever_version_where_the_good_one_had_another(back, barred):
    """Where the good one has the same URI, as of a folder that is written over, the version alone tells them apart."""
    uri = "s3://acme/fraud/2"
    values = {"model.version": "2", "model.storageUri": uri}
    entry = Entry("fraud-score", "lab", values, "it failed", "", back={"model.storageUri": back})
    renamed = {**RELEASE, ("model", "version"): "9", ("model", "storageUri"): uri, ("model", "digest"): ""}

    assert entry.matches(renamed) == barred
    assert entry.matches({**renamed, ("model", "version"): "2"})
    assert not entry.matches({**renamed, ("model", "storageUri"): "s3://acme/fraud/3"})
