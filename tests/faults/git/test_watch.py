"""One abort is one rollback, however often and however late it is looked at."""

from dataclasses import dataclass

import pytest
import yaml

from ci.commands import writing
from ci.commands.writing import Destination
from ci.release import health, watch
from ci.tree import tree
from tests.harness import remote
from tests.harness.remote import MODEL, bump

pytestmark = pytest.mark.anyio

QUARANTINE = "gitops/quarantine/sklearn-iris"
NEWER_CHART = "a branch's newer chart"


@dataclass
class Cluster:
    """What the API server has after an abort: the canary's ReplicaSet stays as it was, the Rollout shows the abort.

    Attributes:
        storage_uri: The model of the aborted canary.
        image: Its image.
        revision: Its pod-template hash.
    """

    storage_uri: str
    image: str
    revision: str = "6d5f7c9b8"

    async def get(self, kind, name, namespace):
        assert kind == "rollouts.argoproj.io"
        return {"status": {"abort": True, "phase": "Degraded", "currentPodHash": self.revision, "message": "aborted"}}

    async def get_list(self, kind, namespace, selector):
        assert selector == f"rollouts-pod-template-hash={self.revision}"
        metadata = {"annotations": {health.SOURCE_URI: self.storage_uri}}
        containers = [{"name": health.CONTAINER, "image": self.image}]
        template = {"metadata": metadata, "spec": {"containers": containers}}
        return [{"spec": {"template": template}}] if kind == "replicasets.apps" else []


@pytest.fixture
def look(clone):
    """Look at the cluster once, as `watch` does at each event, and return the newest commit's subject."""
    destination = Destination(clone.folder, "origin", None, push=False, pr=False)

    async def once(cluster):
        application = await tree.load(await writing.tip(destination), "dev")

        async def write(change, name):
            await writing.write(destination, change, name)

        await watch.go_back(cluster, application, lambda: writing.tip(destination), write)
        return clone.git("log", "-1", "--format=%s")

    return once


def running(clone):
    """The abort of what the tree wants now."""
    release = remote.application("dev", clone.read()).release
    return Cluster(release[("model", "storageUri")], tree.image(release))


async def test_an_abort_is_rolled_back_once(clone, look):
    bump(clone, "2.0")
    bump(clone, "3.0")
    cluster = running(clone)

    first = await look(cluster)
    rolled_back = clone.git("rev-parse", "HEAD")
    await look(cluster)

    assert first == "Roll sklearn-iris in dev back to model 2.0"
    assert clone.git("rev-parse", "HEAD") == rolled_back, "the good set before went back, too"
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    assert yaml.safe_load(entry.read_text())["revision"] == cluster.revision


async def test_what_a_person_took_back_first_stays_as_it_is(clone, look):
    bump(clone, "2.0")
    bump(clone, "3.0")
    cluster = running(clone)
    clone.git("revert", "--no-edit", "HEAD")

    assert (await look(cluster)).startswith("Revert")


async def test_a_chart_that_failed_goes_back_once_though_the_pods_look_alike(clone, look):
    bump(clone, "2.0")
    clone.git("branch", "newer")
    clone.replace(b"revision: main", b"revision: newer", NEWER_CHART)
    cluster = running(clone)

    await look(cluster)
    await look(cluster)

    assert clone.git("log", "--format=%s", "-2").splitlines() == [
        "Roll sklearn-iris in dev back to model 2.0",
        NEWER_CHART,
    ]


async def test_a_version_that_got_past_its_quarantine_goes_back_again(clone, look):
    bump(clone, "2.0")
    failed = clone.read()
    cluster = running(clone)
    await look(cluster)
    clone.commit("gitops/dev/sklearn-iris.yaml", failed, "By hand")

    assert await look(cluster) == "Roll sklearn-iris in dev back to model 1.0"


async def test_an_abort_of_another_model_is_not_what_the_tree_wants(clone, look):
    bump(clone, "2.0")
    cluster = Cluster(MODEL.format("9.9"), running(clone).image)

    assert await look(cluster) == "Bump sklearn-iris model in dev to 2.0"
