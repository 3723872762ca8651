"""Answers that take long, through a canary's begin and a pod's end: whole where values let them, else cut off.

Two models differ in nothing but how long they let an answer take.
"""

import json
from dataclasses import dataclass

import pytest

from ci.base import paths, tasks
from ci.base.wait import NotYet, until
from ci.canary.observe import traffic
from ci.cluster import readiness
from tests.integration.release import Release

pytestmark = pytest.mark.anyio

NAMESPACE = "long-answers"
PATIENT = {"longestAnswerSeconds": 300, "terminationGracePeriodSeconds": 120}
HASTY = {"longestAnswerSeconds": 45, "terminationGracePeriodSeconds": 8}
THROUGH_A_CANARY, THROUGH_A_STOP = 150, 60
"""Seconds of an answer: longer than a busy machine takes to begin a canary, istiod to renew a listener, and Istio's own
45 s to close the old one; and longer than a pod takes to be told to stop, and then may."""
MORE_SECONDS = 60
BEGUN_SECONDS = 120
WITHOUT = {"sloMonitoring": False, "autoscaling": False}
LOOK = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8080').read().decode())"
STEPS = [{"weight": 20}]
"""It waits for a person there."""


@dataclass(frozen=True)
class Model:
    """A model, and how it is asked.

    Attributes:
        release: The release.
        values: Its values.
    """

    release: Release
    values: dict

    async def answers(self, seconds):
        """Whether an answer of so many seconds came whole."""
        asked = (f"{self.release.url}/v1/models/any:predict", json.dumps({"instances": [seconds]}))
        (reply,) = await traffic.replay(self.release.kubectl, NAMESPACE, [asked], timeout=seconds + MORE_SECONDS)
        return reply.status == 200 and reply.body.strip() == json.dumps({"predictions": [seconds]})


@pytest.fixture(scope="module")
async def models(place):
    """Both, installed."""
    await place.namespace(NAMESPACE)
    found = []
    for name, own in (("patient", PATIENT), ("hasty", HASTY)):
        model = place.server(name) | own | {"drainSeconds": 1}
        values = {"features": WITHOUT, "canary": {"steps": STEPS}, "exampleModel": model}
        found.append(Model(place.release(name, NAMESPACE), values))
    async with tasks.group() as group:
        group.start_soon(traffic.install, place.kubectl, NAMESPACE)
        for each in found:
            group.start_soon(place.installed, each.release, paths.CHART, each.values)
    yield found
    await place.remove(NAMESPACE)


async def during(models, seconds, happens):
    """By model, whether an answer came whole while something happened to the pod that gave it."""
    whole = {}
    for each in models:
        await readiness.rollout(each.release.kubectl, NAMESPACE, each.release.predictor)

    async def asked(model):
        whole[model.release.model] = await model.answers(seconds)

    async with tasks.group() as group:
        for each in models:
            group.start_soon(asked, each)
        for each in models:
            await under_way(each.release)
            group.start_soon(happens, each)
    return whole


async def under_way(release):
    """Wait until a pod of a release is answering."""

    async def probe():
        (pod,) = await release.stable_pods()
        where = (pod["metadata"]["name"], "--container=kserve-container", f"--namespace={NAMESPACE}")
        said = (await release.kubectl.run("exec", *where, "--", "python3", "-c", LOOK)).stdout
        if json.loads(said) != {"under_way": 1}:
            raise NotYet(said)

    await until(f"{release.model} is answering", probe, timeout=MORE_SECONDS)


async def test_an_answer_outlives_its_pod_s_end_as_far_as_there_is_time(models):
    async def stops(model):
        (pod,) = await model.release.stable_pods()
        await model.release.kubectl.run(
            "delete", "pod", pod["metadata"]["name"], f"--namespace={NAMESPACE}", "--wait=false"
        )

    assert await during(models, THROUGH_A_STOP, stops) == {"patient": True, "hasty": False}


async def test_an_answer_of_the_stable_version_outlives_the_begin_of_a_canary(place, models):
    async def begins(model):
        own = {**model.values["exampleModel"], "podAnnotations": {"version": "2"}}
        await place.installed(model.release, paths.CHART, {**model.values, "exampleModel": own})

        async def begun():
            weights = await model.release.weights()
            if weights != (80, 20):
                raise NotYet(str(weights))

        await until(f"{model.release.model} has a canary", begun, timeout=BEGUN_SECONDS)

    assert await during(models, THROUGH_A_CANARY, begins) == {"patient": True, "hasty": False}
