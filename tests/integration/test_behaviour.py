"""Golden inputs tell a good next version from a bad one, on the real model server, before any client meets it."""

import secrets

import pytest

from ci.base.errors import CheckFailedError
from ci.behaviour import compare, golden, serve
from ci.cluster import model_store
from ci.cluster.helm import Helm
from ci.stages.install import namespace
from tests.harness.sample import FACTS, GOLDEN

pytestmark = pytest.mark.anyio

ENVIRONMENT = "dev"
SECRET = "model-store"
VERSIONS = (FACTS.champion, "v2", "mislabelled", "failing")
ROUNDS = 2


@pytest.fixture(scope="module")
async def inputs():
    return golden.load(GOLDEN)


@pytest.fixture(scope="module")
async def served(kubectl, tool, inputs):
    """Each version by a model server of its own."""
    name = f"ml-serving-behaviour-{secrets.token_hex(4)}"
    await kubectl.apply([namespace(name)])
    await model_store.credentials(kubectl, name, SECRET)
    uris = {version: model_store.uri(FACTS.model, version) for version in VERSIONS}
    helm = Helm(tool("helm"), kubectl.cluster)
    urls = await serve.serve(kubectl, helm, name, ENVIRONMENT, uris, SECRET, inputs)
    yield name, urls
    await kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def compared(kubectl, served, inputs):
    """Compare a version with the one that is installed."""
    name, urls = served

    async def compare_with(version):
        pair = [urls[each] for each in (FACTS.champion, version)]
        answers = await serve.ask(kubectl, name, inputs, pair, ROUNDS)
        return compare.compare(
            inputs,
            [model_store.uri(FACTS.model, each) for each in (FACTS.champion, version)],
            *answers,
        )

    return compare_with


async def test_the_next_good_version_passes(compared, inputs):
    result = await compared("v2")

    assert (result.champion_failed, result.candidate_failed) == (0, 0)
    assert result.requests == ROUNDS * len(inputs.inputs)
    assert [item.percentile for item in result.latency] == [50, 95, 99]
    assert all(item.champion_ms > 0 and item.candidate_ms > 0 for item in result.latency)
    compare.require(result)


async def test_a_version_beside_itself_agrees_in_everything(compared, inputs):
    whole = (await compared(FACTS.champion)).slices[0]

    assert (whole.agreement.count, whole.p_value) == (len(inputs.inputs), 1)


async def test_a_version_that_names_every_flower_wrong_is_stopped(compared):
    result = await compared("mislabelled")

    assert result.candidate_failed == 0
    with pytest.raises(CheckFailedError, match=r"mislabelled does not behave .* agreement in slice all is \d+ of 150"):
        compare.require(result)


async def test_a_version_that_answers_four_times_of_five_is_stopped(compared):
    result = await compared("failing")

    assert result.candidate_failed > 0
    assert result.champion_failed == 0
    with pytest.raises(CheckFailedError, match=r"accuracy|agreement"):
        compare.require(result)
