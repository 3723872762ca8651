"""A promotion moves the set that was seen to be good, all of it and nothing else.

Argo CD's word is given here; tests/unit/test_release_health.py has how it is read, the stage gitops that it is true.
"""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import yaml

from ci import project
from ci.base.errors import UsageError
from ci.release.health import Health, NotProvenError, Pod, wanted
from ci.release.promote import Promote, require_next
from ci.tree import git, writeback
from ci.tree.quarantine import QuarantinedError
from ci.tree.writeback import LocalBranch
from tests.harness.remote import FILE, MODEL, PROJECT, bump, ci, helm

STAGING = "gitops/staging/sklearn-iris.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = "docker.io/kserve/sklearnserver:v0.20.0"


@pytest.fixture
def clone(remote):
    """A clone whose staging is pinned to its first commit's chart."""
    clone = remote.clone("ours")
    content = clone.read(STAGING)
    pinned = next(line for line in content.splitlines() if line.startswith(b"  revision:"))
    clone.commit(STAGING, content.replace(pinned, b"  revision: " + clone.git("rev-parse", "HEAD").encode()), "Pin")
    return clone


def promote(clone, said=None, over_revert=None, **seen):
    """Promote dev to staging where Argo CD says of dev's set: healthy for an hour, at this commit."""

    async def look(application):
        runs = wanted(application.release)
        health = Health(
            "Argo CD",
            "2026-11-25T12:00:00+00:00",
            "Synced",
            "Healthy",
            "",
            3600.0,
            clone.git("rev-parse", "HEAD"),
            runs,
            [runs],
        )
        return replace(health, **seen)

    async def write():
        repository = await git.opened(clone.folder)
        say = said.append if said is not None else (lambda line: None)
        change = Promote("dev", "staging", None, "", "", None, Path(helm()), look, say, over_revert)
        return await writeback.write(repository, LocalBranch(repository, "main"), change.edit)

    return anyio.run(write)


def data(clone, path=STAGING):
    return yaml.safe_load(clone.read(path))


def test_chart_model_and_image_move_together(clone):
    bump(clone, "2.0", f"--digest={DIGEST}")
    bump(clone, f"v0.20.1@{DIGEST}", component="image")
    chart = clone.folder / "helm/charts/ml-serving/values.yaml"
    clone.commit("helm/charts/ml-serving/values.yaml", chart.read_bytes() + b"# a word\n", "A newer chart")
    proven = clone.git("rev-parse", "HEAD")
    before = data(clone)

    promote(clone)

    after = data(clone)
    assert after["model"] == {"version": "2.0", "storageUri": MODEL.format("2.0"), "digest": DIGEST}
    assert (after["image"]["tag"], after["image"]["digest"]) == ("v0.20.1", DIGEST)
    assert after["chart"]["revision"] == proven
    assert after["values"] == before["values"]
    text = clone.git("log", "-1", "--format=%B")
    assert text.startswith("Promote sklearn-iris from dev to staging: model 2.0")
    assert "Proven: Synced and Healthy for 3600 s, says Argo CD" in text


def test_the_same_chart_at_a_later_commit_is_the_same_chart(clone):
    pinned = data(clone)["chart"]["revision"]
    bump(clone, "2.0")

    promote(clone)

    assert data(clone)["chart"]["revision"] == pinned


GOLDEN = """\
name: flowers
version: 2
source: a handful of flowers, named by hand
known: one
gates: {all: {accuracy: 1}}
inputs:
  - {id: one, instance: [1, 2], expected: 2}
"""
OLD = {"protocol": "v1", "request": {"instances": [[1, 2]]}, "at": "$.predictions[0]", "expected": 1}


def test_the_known_answer_comes_with_the_set_and_goes_back_with_it(clone):
    clone.commit("golden/sklearn-iris.yaml", GOLDEN.encode(), "Another question")
    own = yaml.safe_dump({"values": {"slo": {}, "exampleModel": {"knownAnswer": OLD}}}).encode()
    clone.commit(STAGING, clone.read(STAGING).replace(b"values: {}\n", own), "The old model's answer")
    before = clone.read(STAGING)
    bump(clone, "2.0")
    known = data(clone, FILE)["values"]["exampleModel"]["knownAnswer"]
    assert known["expected"] == 2
    said = []

    promote(clone, said)

    assert data(clone)["model"]["version"] == "2.0"
    assert data(clone)["values"] == {"slo": {}, "exampleModel": {"knownAnswer": known}}
    assert clone.git("log", "-1", "--name-only", "--format=") == STAGING
    assert "values.exampleModel.knownAnswer: as dev has it" in said
    assert "values.exampleModel.knownAnswer: as dev has it" in clone.git("log", "-1", "--format=%B").splitlines()

    ci(clone, "rollback", "--env=staging", f"--to={clone.git('rev-parse', 'HEAD~1')}", "--why=too slow under load")

    assert data(clone) == yaml.safe_load(before)


def test_a_known_answer_of_the_targets_own_stays_where_the_source_has_none(clone):
    own = yaml.safe_dump({"values": {"exampleModel": {"knownAnswer": OLD}}}).encode()
    clone.commit(STAGING, clone.read(STAGING).replace(b"values: {}\n", own), "An answer of its own")
    bump(clone, "2.0")
    promote(clone)

    assert data(clone)["values"] == {"exampleModel": {"knownAnswer": OLD}}


def test_what_is_there_already_is_no_commit(clone):
    bump(clone, "2.0")
    promote(clone)
    said = []

    assert promote(clone, said) is None
    assert "staging has the set of dev already" in said


@pytest.mark.parametrize(
    "seen",
    [
        {"health": "Degraded"},
        {"sync": "OutOfSync"},
        {"seconds": 599.0},
        {"deployed": Pod("gs://older", IMAGE)},
        {"deployed": Pod(MODEL.format("2.0"), "older")},
        {"deployed": Pod(MODEL.format("2.0"), IMAGE, DIGEST)},
        {"pods": []},
    ],
    ids=["degraded", "not synced", "too short", "another model", "another image", "another file", "no pod"],
)
def test_a_set_that_is_not_proven_stays(clone, seen):
    bump(clone, "2.0")
    before = clone.git("rev-parse", "HEAD")

    with pytest.raises(NotProvenError):
        promote(clone, **seen)

    assert clone.git("rev-parse", "HEAD") == before


def test_a_set_that_failed_further_on_is_refused(clone):
    bump(clone, "2.0")
    promote(clone)
    ci(clone, "rollback", "--env=staging", f"--to={clone.git('rev-parse', 'HEAD~1')}", "--why=too slow under load")

    with pytest.raises(QuarantinedError, match="too slow under load"):
        promote(clone)


def test_every_decision_is_a_line(clone):
    bump(clone, "2.0")
    said = []

    promote(clone, said)

    assert "model.version: 1.0 → 2.0" in said
    assert "not quarantined" in said
    assert any("ml-serving-ci.toml asks for 600 s" in line for line in said)


@pytest.mark.parametrize(
    ("more", "fix"),
    [("", "bump is how a set gets into dev"), ("protected = true\n", 'bump --env dev --break-glass "REASON"')],
)
def test_the_first_environment_takes_no_promotion_and_says_how_it_gets_a_set(more, fix):
    own = project.parse(PROJECT.replace('name = "dev"\n', f'name = "dev"\n{more}').encode())
    with pytest.raises(UsageError) as refused:
        require_next(own, "staging", "dev")
    assert refused.value.fix.startswith(fix)
