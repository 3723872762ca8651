"""Two releases with two models live side by side in one namespace, and one goes without the other noticing."""

import json

import pytest

from ci.base.wait import NotYet, until
from ci.canary.observe import traffic
from tests.integration import asking
from tests.integration.namespace import gone

pytestmark = pytest.mark.anyio

GONE_SECONDS = 60


@pytest.fixture(scope="module")
async def second(second):
    """The second release, nothing under way on it any more."""
    await second.aborted
    return second.release


async def test_each_answers_for_its_own_model_only(release, second, client, question):
    for own, other in ((release, second), (second, release)):
        ask = asking.from_the_mesh(own.kubectl, own.namespace, own.predictor)
        right = await ask(own.predict_path, question.body)
        assert (right.status, json.loads(right.body)) == (200, {"predictions": [0]})
        wrong = await ask(other.predict_path, question.body)
        assert wrong.status == 404, "a pod of the one answered for the other's model"


async def test_neither_has_an_object_of_the_other(release, second):
    of_release, of_second = await release.manifest(), await second.manifest()
    assert of_release & of_second == set()
    assert len(of_release) == len(of_second) > 9


async def test_each_pod_is_counted_for_its_own_model(release, second, prometheus):
    async def probe():
        for own in (release, second):
            targets = {item["labels"]["pod"] for item in await prometheus.targets(own)}
            pods = {pod["metadata"]["name"] for pod in await own.pods()}
            if targets != pods:
                raise NotYet(f"{own.name}: scraped {targets}, pods {pods}")

    # A pod that is being stopped is scraped until Prometheus has heard of it.
    await until("each release's own pods are scraped, and no others", probe, timeout=GONE_SECONDS, interval=1)


async def test_uninstalling_one_leaves_nothing_of_it_and_the_other_in_peace(release, second, before_second):
    def of_the_first(item):
        # It lives on, and may get a pod, say, meanwhile.
        name = item.partition("/")[2]
        return name.startswith((release.predictor, f"sh.helm.release.v1.{release.name}."))

    questions = asking.questions(release.predict_path)
    async with traffic.traffic(release.kubectl, release.namespace, release.url, questions) as load:
        # When the second is uninstalled
        await second.helm.uninstall(second.name, second.namespace)
        # Then the namespace is as it was before it came
        await gone(release.kubectl, release.namespace, lambda item: item in before_second or of_the_first(item))
    # And no request to the first failed
    assert load.failed == []
    assert load.wrong == []
