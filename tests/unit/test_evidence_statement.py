"""The statement's form: what is written is an in-toto statement, and nothing of another form is read."""

import copy
import json
from datetime import UTC, datetime

import pytest
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement as OfficialStatement

from ci.evidence import statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import (
    Application,
    Cluster,
    Digest,
    Folder,
    GitCommit,
    GitTree,
    Golden,
    Platform,
    Predicate,
    Project,
    Served,
    Sets,
    Suite,
    Tool,
)
from tests.harness.evidence import fields, leaves, parent

TREE = GitTree(gitTree="0123456789abcdef" * 2 + "01234567")
COMMIT = GitCommit(gitCommit="f" * 40)


def served(version):
    digest = f"sha256:{'9' * 64}"
    return Served(release={"model.version": version}, model=digest, image=digest, built=False)


MADE = statement.made(
    (statement.artefact("report.json", "a" * 64), statement.artefact(statement.image("docker.io/x:1"), "b" * 64)),
    Predicate(
        started=datetime(2026, 11, 25, 12, tzinfo=UTC),
        finished=datetime(2026, 11, 25, 12, 6, tzinfo=UTC),
        supply="upstream",
        stages=("lint", "canary"),
        suites=(Suite(stage="canary", expected=8, passed=7, failed=0, skipped={"tests/x.py::test_x": "no moon"}),),
        tool=Tool(name="tool", version="1.0", commit=COMMIT, digest=Digest(sha256="c" * 64)),
        project=Project(
            digest=COMMIT,
            file=statement.artefact("deploy/ml-serving-ci.toml", "d" * 64),
            folders=(Folder(name="deploy/gitops", digest=TREE),),
        ),
        cluster=Cluster(context="admin@eu", server="https://eu.example.com:6443", uid="5f0f7a0e"),
        platform=Platform(environment="staging", chart=TREE),
        applications=(
            Application(
                environment="staging",
                name="x",
                chart=TREE,
                served=Sets(champion=served("1.0"), candidate=served("1.1")),
                golden=Golden(digest=Digest(sha256="e" * 64), passed=True),
                canary="Healthy",
                back=True,
                overlay=("replicas: 3 → 1 (throwaway.replicas)",),
                rules=("It is its first deploy.",),
            ),
        ),
    ),
)
DATA = json.loads(statement.written(MADE))


def read(data):
    return statement.read(json.dumps(data).encode())


def test_what_was_written_is_read_back_equal():
    assert statement.read(statement.written(MADE)) == MADE


def test_the_official_bindings_take_it_for_a_statement():
    parsed = json_format.Parse(statement.written(MADE), statement_pb2.Statement())
    OfficialStatement.copy_from_pb(parsed).validate()
    assert parsed.predicate_type == "https://github.com/example/ml-serving-ci/attestation/test-run/v4"
    assert {subject.name: subject.digest["sha256"] for subject in parsed.subject}["report.json"] == "a" * 64


@pytest.mark.parametrize("path", list(fields(DATA)), ids=lambda path: ".".join(map(str, path)))
def test_a_missing_field_is_named(path):
    if path[-1] in ("model.version", "tests/x.py::test_x"):
        return  # keys of the tree's and of the tests; verify compares them
    data = copy.deepcopy(DATA)
    del parent(data, path)[path[-1]]
    with pytest.raises(EvidenceError) as raised:
        read(data)
    assert raised.value.message.startswith(f"evidence: {'.'.join(map(str, path))}: ")


@pytest.mark.parametrize("path", list(leaves(DATA)), ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", [None, 1.5, ["x"]], ids=["null", "number", "list"])
def test_a_field_of_another_type_is_named(path, value):
    if value is None and path[-1] in ("model", "canary"):
        return  # there may be none
    data = copy.deepcopy(DATA)
    parent(data, path)[path[-1]] = value
    with pytest.raises(EvidenceError) as raised:
        read(data)
    assert raised.value.message.startswith(f"evidence: {'.'.join(map(str, path))}: ")


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("predicate",),
        ("predicate", "tool"),
        ("predicate", "project"),
        ("predicate", "project", "file"),
        ("predicate", "cluster"),
        ("predicate", "platform"),
        ("predicate", "applications", 0),
        ("predicate", "applications", 0, "served"),
        ("predicate", "applications", 0, "served", "candidate"),
        ("predicate", "applications", 0, "golden"),
        ("subject", 0),
        ("subject", 0, "digest"),
    ],
)
def test_an_unknown_field_is_named(path):
    data = copy.deepcopy(DATA)
    parent(data, (*path, "more"))["more"] = "x"
    with pytest.raises(EvidenceError) as raised:
        read(data)
    assert raised.value.message.startswith(f"evidence: {'.'.join(map(str, (*path, 'more')))}: ")


def test_an_unknown_predicate_type_is_named_before_anything_else():
    data = copy.deepcopy(DATA)
    data["predicateType"], data["predicate"] = "https://slsa.dev/provenance/v1", {"buildDefinition": {}}
    with pytest.raises(EvidenceError, match=r"predicateType: .*, not 'https://slsa.dev/provenance/v1'"):
        read(data)


@pytest.mark.parametrize(
    "path",
    [
        ("tool", "commit"),
        ("cluster",),
        ("platform",),
        ("applications", 0, "served", "champion"),
        ("applications", 0, "served", "candidate", "model"),
        ("applications", 0, "golden"),
        ("applications", 0, "canary"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_what_there_was_none_of_is_null(path):
    data = copy.deepcopy(DATA)
    parent(data["predicate"], path)[path[-1]] = None
    assert json.loads(statement.written(read(data))) == data


@pytest.mark.parametrize("digest", ["9" * 64, "sha256:9", ""])
@pytest.mark.parametrize("what", ["model", "image"])
def test_a_digest_that_is_none_is_named(what, digest):
    data = copy.deepcopy(DATA)
    data["predicate"]["applications"][0]["served"]["candidate"][what] = digest
    with pytest.raises(EvidenceError, match=rf"predicate\.applications\.0\.served\.candidate\.{what}: "):
        read(data)


@pytest.mark.parametrize("version", ["v1", "v2", "v3", "v5"])
def test_evidence_of_another_version_says_which_it_is_and_that_a_run_is_needed(version):
    data = copy.deepcopy(DATA)
    data["predicateType"] = data["predicateType"].replace("v4", version)
    del data["predicate"]["tool"]
    with pytest.raises(EvidenceError, match=f"predicateType: evidence of version {version}, .* v4") as raised:
        read(data)
    assert "\n" not in raised.value.message
    assert raised.value.fix.startswith("Run `test` again")


@pytest.mark.parametrize("count", ["expected", "passed", "failed"])
@pytest.mark.parametrize("value", [-1, True, "7"])
def test_a_count_that_is_none_is_named(count, value):
    data = copy.deepcopy(DATA)
    data["predicate"]["suites"][0][count] = value
    with pytest.raises(EvidenceError, match=rf"predicate\.suites\.0\.{count}: "):
        read(data)


def test_a_name_that_is_there_twice_is_refused():
    data = copy.deepcopy(DATA)
    data["subject"].append(data["subject"][0])
    with pytest.raises(EvidenceError, match=r"subject report\.json: there twice"):
        read(data)


def test_a_date_without_a_time_zone_is_refused():
    data = copy.deepcopy(DATA)
    data["predicate"]["finished"] = "2026-11-25T12:06:00"
    with pytest.raises(EvidenceError, match=r"predicate\.finished"):
        read(data)


def test_manifests_are_the_same_in_any_order_and_layout():
    one = "# Source: a\nkind: A\nspec: {x: 1, y: [1, 2]}\n---\n# nothing\n---\nkind: B\n"
    other = "kind: B\n---\nspec:\n  y:\n    - 1\n    - 2\n  x: 1\nkind: A\n"
    assert statement.manifests_digest(one) == statement.manifests_digest(other)


@pytest.mark.parametrize(
    "other",
    [
        "kind: A\nspec: {y: [2, 1]}\n",
        "kind: A\nspec: {y: ['1', 2]}\n",
        "kind: A\n",
        "kind: A\nspec: {y: [1, 2]}\n---\nkind: A\n",
    ],
)
def test_manifests_that_say_something_else_are_others(other):
    assert statement.manifests_digest("kind: A\nspec: {y: [1, 2]}\n") != statement.manifests_digest(other)
