"""A canary that somebody paused and forgot is told of by an alert."""

import time

import pytest

from ci.base import paths
from ci.canary.observe import rollout as canary
from ci.canary.observe import traffic
from ci.canary.observe.traffic import Question
from ci.cluster import readiness
from ci.project import Prometheus as Where
from tests.harness import canary as quick
from tests.integration import prometheus as prometheuses

pytestmark = pytest.mark.anyio

NAMESPACE = "stuck"
REQUESTS_PER_SECOND = 5
QUESTIONS = [Question("/v1/models/any:predict", '{"instances": [0]}', ["predictions", 0], 0)]
PAUSE_SECONDS = 35
STEPS = [{"weight": 50, "pause": f"{PAUSE_SECONDS}s"}]
FORGOTTEN_SECONDS = PAUSE_SECONDS + 60
"""As long as the rule lets a canary pause."""
TOLD_SECONDS = 45
"""For a scrape and an evaluation on a busy machine."""


@pytest.fixture(scope="module")
async def release(place):
    await place.namespace(NAMESPACE)
    await traffic.install(place.kubectl, NAMESPACE)
    yield place.release("stuck", NAMESPACE)
    await place.remove(NAMESPACE)


async def test_a_good_canary_that_a_person_paused_is_told_of(place, release):
    # Given a release whose pods are scraped
    values = {"canary": {"steps": STEPS, "analysis": quick.ANALYSIS}, "monitoring": quick.MONITORING}
    model = place.server(release.model)
    await place.installed(release, paths.CHART, values | {"exampleModel": model})
    await readiness.inference_service(release.kubectl, NAMESPACE, release.model)
    await readiness.rollout(release.kubectl, NAMESPACE, release.predictor)
    async with prometheuses.reached(place.kubectl, f"http://{Where().host}") as prometheus:
        await prometheus.scrapes(release)

        async with (
            canary.observe(place.kubectl.cluster, NAMESPACE, release.model) as seen,
            traffic.traffic(place.kubectl, NAMESPACE, release.url, QUESTIONS, REQUESTS_PER_SECOND) as load,
        ):
            # When a canary is paused by hand while its step pauses
            seen.upgrading()
            changed = values | {"exampleModel": {**model, "podAnnotations": {"version": "2"}}}
            await place.installed(release, paths.CHART, changed)
            await seen.canary()
            await release.plugin("pause", release.predictor)
            began = time.monotonic()

            # Then the alert fires, though not for the step's own pause, and the canary holds its weight
            await prometheus.fires(release, "InferenceCanaryStuck", FORGOTTEN_SECONDS + TOLD_SECONDS)
            assert time.monotonic() - began > PAUSE_SECONDS
            assert await release.weights() == (50, 50)
    assert [*load.failed, *load.wrong] == []
