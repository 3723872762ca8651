"""What lint passes, the cluster takes: ordinary values, of which lint's control plane is asked at night, on a real one.

Each file is installed in a namespace of its own, with what it names. It is taken where API server and controllers have
nothing against it, in the words of lint's own verdict; and its pods run, but for those that this one node is not for.
"""

import json

import pytest

from ci.base import paths
from ci.base.errors import CommandError
from ci.base.wait import NotYet, until
from ci.checks.control_plane.inside import verdict
from ci.manifests.values import merged
from tests.cluster.place import STORE
from tests.harness import ordinary

pytestmark = pytest.mark.anyio

FILES = 20
TAKEN_SECONDS = 240
LOOKS = 3
NAMED = ("models", "s3.models", "registry", "mirror")
"""Secrets that ordinary values name, beside HUB."""
HUB = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "stringData": {"token": "open-sesame"}}
SEEN = "inferenceservices,rollouts,analysisruns,deployments,replicasets,statefulsets,daemonsets,jobs,events,pods"
CHOSEN = ("nodeSelector", "affinity", "topologySpread")
"""Keys that leave no node of this cluster."""
ELSEWHERE = {"logger", "batcher", "containers"}
"""Keys of the predictor with images that no throw-away cluster has."""


@pytest.fixture(scope="module")
async def files(place):
    """The first files that do not contradict themselves, and have no image of their own."""
    found = []
    for number, values in enumerate(ordinary.files(ordinary.AT_NIGHT)):
        own = given(place, f"model-{number}", values)
        if ELSEWHERE & own["exampleModel"].get("predictor", {}).keys():
            continue
        try:
            await place.helm.template("ordinary", paths.CHART, "ordinary", values=own)
        except CommandError:
            continue
        found.append(own)
        if len(found) == FILES:
            return found
    raise AssertionError(f"the chart takes {len(found)} files")


def given(place, name, values):
    """Values with what an application's file has elsewhere, and credentials of the store."""
    secret = values.get("exampleModel", {}).get("storageSecret") or STORE
    fixed = {"name": name, "image": place.image, "storageUri": place.model, "storageSecret": secret}
    return merged(values, {"exampleModel": fixed})


@pytest.mark.parametrize("number", range(FILES))
async def test_the_cluster_takes_it(place, files, number):
    values, namespace = files[number], f"ordinary-{number}"
    release = place.release(values["exampleModel"]["name"], namespace)
    await place.namespace(namespace, *NAMED)
    await place.kubectl.apply([HUB], namespace=namespace)
    try:
        await place.helm.upgrade_install(
            release.name, paths.CHART, namespace, values=values, args=["--take-ownership"], create_namespace=False
        )
        shown = (await place.helm.run("get", "manifest", release.name, f"--namespace={namespace}")).stdout

        async def taken():
            return await looked(place, namespace, shown, values)

        await until(f"{release.name} is taken", taken, timeout=TAKEN_SECONDS, interval=1, successes=LOOKS)
    finally:
        await place.helm.uninstall(release.name, namespace, wait=False)
        await place.remove(namespace)


async def looked(place, namespace, shown, values):
    """Return once nobody has anything against what was applied, and it runs as far as it can."""
    got = await place.kubectl.run("get", "--filename=-", f"--namespace={namespace}", "--output=json", stdin=shown)
    seen = await place.kubectl.get_list(SEEN, namespace)
    found = verdict.of(json.loads(got.stdout)["items"], seen)
    if found.complaints or found.waiting:
        raise NotYet("; ".join([*(each.said for each in found.complaints), *(said for _, said in found.waiting)]))
    pods = [each for each in seen if each["kind"] == "Pod" and "deletionTimestamp" not in each["metadata"]]
    late = [each["metadata"]["name"] for each in pods if not is_ready(each) and not is_for_elsewhere(each, values)]
    if late or not pods:
        raise NotYet(f"{len(pods)} pods, not ready: {late}")
    phases = {each["status"]["phase"] for each in seen if each["kind"] == "Rollout"}
    if all(map(is_ready, pods)) and phases - {"Healthy"}:
        raise NotYet(f"all pods are ready, the Rollout is {phases}")


def conditions(pod):
    return {each["type"]: each for each in pod["status"].get("conditions", [])}


def is_ready(pod):
    return conditions(pod).get("Ready", {}).get("status") == "True"


def is_for_elsewhere(pod, values):
    """Tell whether values choose other nodes for a pod."""
    unschedulable = conditions(pod).get("PodScheduled", {}).get("reason") == "Unschedulable"
    return unschedulable and any(values["exampleModel"].get(key) for key in CHOSEN)
