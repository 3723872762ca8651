"""A chart of charts: two aliases of this one under one release, side by side on a cluster."""

import pytest

from ci.canary.observe import rollout as canary
from ci.canary.observe import traffic
from ci.canary.observe.traffic import Question
from ci.cluster import readiness
from ci.manifests.values import merged
from ci.project import Prometheus as Where
from tests.harness import canary as quick
from tests.harness import chart as charts
from tests.integration import prometheus as prometheuses
from tests.integration.namespace import gone, objects

pytestmark = pytest.mark.anyio

NAMESPACE, RELEASE = "umbrella", "models"
CHANGED, OTHER = "fraud", "wine"
REQUESTS_PER_SECOND = 10
QUESTIONS = [Question("/v1/models/any:predict", '{"instances": [0]}', ["predictions", 0], 0)]


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory):
    return charts.umbrella(tmp_path_factory.mktemp("umbrella"), (CHANGED, OTHER))


@pytest.fixture(scope="module")
def values(place):
    own = {
        "canary": {"steps": [{"weight": 50, "pause": "45s"}], "analysis": quick.ANALYSIS},
        "monitoring": quick.MONITORING,
    }
    return {alias: own | {"exampleModel": place.server(alias)} for alias in (CHANGED, OTHER)}


@pytest.fixture(scope="module")
async def before(place):
    """What the namespace has without the release."""
    await place.namespace(NAMESPACE)
    await traffic.install(place.kubectl, NAMESPACE)
    yield await objects(place.kubectl, NAMESPACE)
    await place.remove(NAMESPACE)


@pytest.fixture(scope="module")
async def models(place, before, umbrella, values):
    """The release as each alias has it, both healthy."""
    both = [place.release(RELEASE, NAMESPACE, alias) for alias in (CHANGED, OTHER)]
    await place.installed(both[0], umbrella, values)
    for each in both:
        await readiness.inference_service(each.kubectl, NAMESPACE, each.model)
        await readiness.rollout(each.kubectl, NAMESPACE, each.predictor)
    return both


@pytest.fixture(scope="module")
async def prometheus(place):
    async with prometheuses.reached(place.kubectl, f"http://{Where().host}") as found:
        yield found


async def test_rules_and_dashboards_are_there_for_each(place, models, prometheus):
    of_each = [{(rule["name"], rule["type"]) for rule in await prometheus.rules(model)} for model in models]
    assert of_each[0] == of_each[1]
    assert len(of_each[0]) > 20

    dashboards = await place.kubectl.get_list("configmaps", NAMESPACE, "grafana_dashboard=1")
    files = sorted(name for each in dashboards for name in each["data"])
    of_changed = [name for name in files if CHANGED in name]
    assert of_changed
    assert [name for name in files if OTHER in name] == [name.replace(CHANGED, OTHER) for name in of_changed]


async def test_a_canary_of_one_leaves_the_other_alone(place, models, umbrella, values, prometheus):
    changed, other = models
    await prometheus.scrapes(*models)
    before = await running(other)
    version = {CHANGED: {"exampleModel": {"podAnnotations": {"version": "2"}}}}
    async with (
        canary.observe(place.kubectl.cluster, NAMESPACE, changed.model) as seen,
        traffic.traffic(place.kubectl, NAMESPACE, changed.url, QUESTIONS, REQUESTS_PER_SECOND) as load,
        traffic.traffic(place.kubectl, NAMESPACE, other.url, QUESTIONS, REQUESTS_PER_SECOND) as beside,
    ):
        seen.upgrading()
        await place.installed(changed, umbrella, merged(values, version))
        outcome = await seen.finished()

    assert outcome == "Healthy"
    assert [change.canary for change in seen.weights if change.canary] == [50, 100]
    assert [*load.failed, *load.wrong, *beside.failed, *beside.wrong] == []
    assert await running(other) == before


async def running(release):
    """What a release runs, and how requests reach it."""
    revision = (await release.get("rollout"))["status"]["currentPodHash"]
    return revision, {pod["metadata"]["uid"] for pod in await release.pods()}, await release.weights()


async def test_uninstalled_it_leaves_nothing(place, models, before):
    await place.helm.uninstall(RELEASE, NAMESPACE)

    await gone(place.kubectl, NAMESPACE, lambda item: item in before)
