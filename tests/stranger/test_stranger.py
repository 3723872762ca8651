"""A stranger's project is proven as the sample is: good versions go green and are promoted, bad ones are red by name.

In the order of the file: what is refused without a cluster first, then what the later tests build upon.
"""

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from ci.stages.order import chosen
from tests.stranger import places, project
from tests.stranger.promotion import promoted, verified

STAGES = {stage.name for stage in chosen([], [], platform=False)}
"""Of applications alone: none of them is the sample's."""
SIDE_BY_SIDE = 2
"""Runs at a time, on a cluster of one node: two canaries and their clients leave two cores some time."""


def red(runs, ended, name):
    """Hold a run to having been stopped by one application; return the line that says so."""
    assert ended.code == 1, str(ended)
    assert {*ended.stages} == STAGES, str(ended)
    assert not ended.evidence.exists()
    assert {each.name for each in ended.report.applications} <= {name}
    other = {runs.stranger.names.regression, runs.stranger.names.texts} - {name}
    assert name in ended.error
    assert not [each for each in other if each in ended.error]
    return ended.error


def green(runs, ended, name):
    """Hold a run to having proven one application and nothing else; return what it proved."""
    assert ended.code == 0, str(ended)
    assert ended.stages == dict.fromkeys(STAGES, "passed")
    (proof,) = ended.report.applications
    assert (proof.environment, proof.name) == (runs.stranger.first, name)
    assert proof.behaviour.golden == name
    assert proof.behaviour.failures == []
    assert proof.behaviour.candidate_failed == 0
    assert proof.canary.outcome == "Healthy"
    assert proof.canary.failed == 0
    assert proof.back
    assert [rule for rule in proof.rules if not rule.startswith("its model is from the cache")] == []
    pauses = "cluster.values.*.canary.steps" if ended.report.cluster else "throwaway.longest_pause"
    assert any(pauses in line for line in proof.overlay)
    assert ended.evidence.exists()
    return proof


def test_a_model_that_was_swapped_after_the_bump_is_refused_before_there_is_a_cluster(runs, store):
    name = runs.stranger.names.regression
    # of no other run, whose model would be in the cache by its digest, and not be fetched again
    digest = store.put(name, "swapped", places.MODELS["2"] + secrets.token_hex().encode())
    swapped = store.put(name, "swapped", places.MODELS["2"])

    ended = runs.test("model", name, "swapped", digest, cluster=False)

    said = red(runs, ended, name)
    assert f"{swapped}, the set says {digest}" in said
    assert ended.stages["models"] == "failed"
    assert ended.stages["cluster"] == "skipped"


@pytest.fixture(scope="module")
def regression(runs):
    """A run on a good version of the regression, which is merged then."""
    ended = runs.test("model", runs.stranger.names.regression, "2", places.digest_of(places.MODELS["2"]))
    ended.stranger.merge()
    return ended


@pytest.fixture(scope="module")
def others(runs, images, regression):
    """Runs on all other versions, some at a time: they wait more than they work."""
    numbers, texts = runs.stranger.names.regression, runs.stranger.names.texts
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            **{tag: pool.submit(runs.test, "image", texts, f"{tag}@{images[tag]}") for tag in ("2", "slow", "failing")},
            **{
                version: pool.submit(runs.test, "model", numbers, version, places.digest_of(places.MODELS[version]))
                for version in ("torn", "snowless")
            },
        }


@pytest.fixture(scope="module")
def texts(others):
    """A run on a good version of the application in a container of its own, which is merged then."""
    ended = others["2"].result()
    ended.stranger.merge()
    return ended


def test_a_good_version_of_the_regression_is_proven(runs, regression):
    proof = green(runs, regression, runs.stranger.names.regression)

    served, before = proof.candidate, proof.champion
    assert (served.release["model.version"], served.model) == ("2", places.digest_of(places.MODELS["2"]))
    assert (before.release["model.version"], before.model) == ("1", places.digest_of(places.MODELS["1"]))


def test_a_good_version_of_the_one_in_its_own_container_is_proven(runs, texts, images):
    proof = green(runs, texts, runs.stranger.names.texts)

    assert (proof.candidate.image, proof.candidate.built) == (images["2"], False)
    assert (proof.champion.image, proof.champion.model) == (images["1"], "")


def test_the_evidence_of_one_is_refused_for_the_other(runs, keys, regression, texts):
    names = runs.stranger.names
    runs.stranger.pull()
    for ended, other in ((regression, names.texts), (texts, names.regression)):
        refused = verified(runs.stranger, keys, ended.evidence, other)
        assert refused.returncode == 1
        said = " ".join(refused.stderr.split())
        assert f"{runs.stranger.first}/{other}: missing: it was not served in this run" in said


def test_the_evidence_promotes_exactly_what_was_served(runs, keys, regression, texts):
    stranger = runs.stranger
    stranger.pull()
    first, second, _ = stranger.names.environments
    for ended, name in ((regression, stranger.names.regression), (texts, stranger.names.texts)):
        told = verified(stranger, keys, ended.evidence, name)
        assert told.returncode == 0, told.stderr
        assert told.stdout.rstrip().endswith(f"proves {name} of {first} for {second}")

        assert promoted(stranger, keys, ended.evidence, name) == [f"{project.BELOW}/{stranger.file(second, name)}"]

        there, here = (stranger.data(stranger.file(environment, name)) for environment in (second, first))
        for part in ("model", "image"):
            assert there[part] == here[part]


def test_a_version_that_is_wrong_on_one_slice_is_stopped_by_its_golden_questions(runs, others):
    name = runs.stranger.names.regression

    ended = others["snowless"].result()

    assert f"snowless does not behave as {name} 1 asks: accuracy in slice snow is 0 of 3" in red(runs, ended, name)
    (proof,) = ended.report.applications
    assert {each.input for each in proof.behaviour.regressions} == {"near-snow", "heavy-snow", "far-snow"}
    assert proof.canary is None


def test_a_version_that_no_server_loads_is_named(runs, others):
    name = runs.stranger.names.regression

    ended = others["torn"].result()

    said = red(runs, ended, name)
    assert f"InferenceService {name} is Ready: waiting does not help: pod " in said
    assert "container kserve-container: ended with exit code" in said


def test_a_slow_version_is_stopped_by_the_canarys_latency(runs, others):
    name = runs.stranger.names.texts

    ended = others["slow"].result()

    said = red(runs, ended, name)
    assert f"{runs.stranger.first}/{name}: the canary to slow was stopped" in said
    assert "p95" in said
    (proof,) = ended.report.applications
    assert proof.behaviour.failures == [], "its answers are right"
    assert proof.canary.outcome == "Degraded"


def test_a_version_that_fails_every_fifth_request_is_stopped(runs, others):
    name = runs.stranger.names.texts

    ended = others["failing"].result()

    assert f"does not behave as {name} 1 asks" in red(runs, ended, name)
    (proof,) = ended.report.applications
    assert "500" in proof.behaviour.candidate_failure
