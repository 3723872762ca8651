"""One canary that was found bad is one rollback, however often and however late it is looked at; no verdict is none."""

import re
from dataclasses import dataclass, field, replace

import pytest
import yaml

from ci.commands import writing
from ci.commands.writing import Destination
from ci.release import health
from ci.release.watch import Watch
from ci.tree import tree
from tests.harness import remote
from tests.harness.remote import FILE, MODEL, bump

pytestmark = pytest.mark.anyio

QUARANTINE = "gitops/quarantine/sklearn-iris"
NEWER_CHART = "a branch's newer chart"
ABORTED_AT = "2026-11-25T12:00:10Z"
PERSON = "RolloutAborted: Rollout aborted update to revision 2"
ANALYSIS = f'{PERSON}: Step-based analysis phase error/failed: Metric "known-answer" assessed'
DEADLINE = f'{PERSON}: ReplicaSet "sklearn-iris-predictor-6d5f7c9b8" has timed out progressing.'


def metric(phase="Failed", value="[2]", at="2026-11-25T12:00:09Z", name="known-answer", **more):
    """A metric of an AnalysisRun, ended by its last measurement."""
    measurement = {"phase": phase, "value": value, "finishedAt": at}
    return {"name": name, "phase": phase, phase.lower(): 1, "measurements": [measurement], **more}


@dataclass
class Cluster:
    """What the API server has after an abort: the canary's ReplicaSet stays as it was, the Rollout shows the abort.

    Attributes:
        storage_uri: The model of the aborted canary.
        image: Its image.
        revision: Its pod-template hash.
        message: What the Rollout says of it.
        metrics: Results of its AnalysisRun.
        pods: Statuses of its containers, a pod each.
        name: The application's.
    """

    storage_uri: str
    image: str
    revision: str = "6d5f7c9b8"
    message: str = f"{ANALYSIS} Failed due to failed (1) > failureLimit (0)"
    metrics: list = field(default_factory=lambda: [metric()])
    pods: list = field(default_factory=list)
    name: str = "sklearn-iris"

    def rollout(self):
        status = {"abort": True, "abortedAt": ABORTED_AT, "phase": "Degraded"}
        status |= {"currentPodHash": self.revision, "message": self.message}
        return {"metadata": {"name": f"{self.name}-predictor"}, "status": status}

    async def get(self, kind, name, namespace):
        assert (kind, name) == ("rollouts.argoproj.io", f"{self.name}-predictor")
        return self.rollout()

    async def get_list(self, kind, namespace, selector):
        assert selector == f"rollouts-pod-template-hash={self.revision}"
        metadata = {"annotations": {health.SOURCE_URI: self.storage_uri}}
        containers = [{"name": health.CONTAINER, "image": self.image}]
        template = {"metadata": metadata, "spec": {"containers": containers}}
        return {
            "replicasets.apps": [{"spec": {"template": template}}],
            "analysisruns.argoproj.io": [{"metadata": {"name": "run-1"}, "status": {"metricResults": self.metrics}}],
            "pods": [{"metadata": {"name": "pod-1"}, "status": {"containerStatuses": [pod]}} for pod in self.pods],
        }[kind]


class Paused(Cluster):
    """What it has while a canary waits for a person, since its analysis came to no end."""

    def rollout(self):
        status = {"phase": "Paused", "message": "InconclusiveAnalysisRun", "currentPodHash": self.revision}
        status |= {"pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]}
        return {"metadata": {"name": f"{self.name}-predictor"}, "status": status}


@pytest.fixture
def watching(clone):
    """A watch of dev, which writes here."""
    destination = Destination(clone.folder, "origin", None, push=False, pr=False)

    async def write(change, name):
        await writing.write(destination, change, name)

    return Watch(None, "dev", None, lambda: writing.tip(destination), write)


@pytest.fixture
def look(clone, watching):
    """Take in an event of a cluster's Rollout, and return the newest commit's subject."""

    async def once(cluster):
        await replace(watching, kubectl=cluster).saw("MODIFIED", cluster.rollout())
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
    clone.commit(FILE, failed, "By hand")

    assert await look(cluster) == "Roll sklearn-iris in dev back to model 1.0"


async def test_an_abort_of_another_model_is_not_what_the_tree_wants(clone, look):
    bump(clone, "2.0")
    cluster = Cluster(MODEL.format("9.9"), running(clone).image)

    assert await look(cluster) == "Bump sklearn-iris model in dev to 2.0"


def crash(**ended):
    terminated = {"exitCode": 1, "reason": "Error", "message": "the model's files have sha256:1, but 2 is pinned\n"}
    return {
        "name": health.CONTAINER,
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": terminated | ended},
    }


async def test_a_model_server_that_ends_again_and_again_is_found_bad_at_the_deadline(clone, look):
    bump(clone, "2.0")
    cluster = running(clone)
    cluster.message, cluster.metrics, cluster.pods = DEADLINE, [], [crash()]

    assert await look(cluster) == "Roll sklearn-iris in dev back to model 1.0"
    said = "kserve-container: Error, exit code 1, 4 times: the model's files have sha256:1, but 2 is pinned; Pod pod-1"
    assert said in clone.git("log", "-1", "--format=%B").splitlines()


NO_VERDICT = {
    "by a person": {"message": PERSON, "metrics": []},
    "by a person, of one that crashes": {"message": PERSON, "metrics": [], "pods": [crash()]},
    "by a person, after a retry": {"message": PERSON, "metrics": [metric(at="2026-11-25T11:50:00Z")]},
    "Prometheus away": {"message": f"{ANALYSIS} Error", "metrics": [metric("Error", None, name="success-rate")]},
    "too little traffic": {"metrics": [metric(value="[3]", name="requests")]},
    "no traffic": {"metrics": [metric(value="[]", name="requests"), metric("Inconclusive", "[]")]},
    "no figures": {"metrics": [metric(value="[]", name="users-own")]},
    "not a number": {"metrics": [metric(value="[NaN]", name="users-own")]},
    "only looked at": {"metrics": [metric(dryRun=True)]},
    "no room for its pods": {"message": DEADLINE, "metrics": []},
    "no image": {
        "message": DEADLINE,
        "metrics": [],
        "pods": [{"name": health.CONTAINER, "ready": False, "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
    },
    "slow to start": {"message": DEADLINE, "metrics": [], "pods": [{"name": health.CONTAINER, "ready": False}]},
    "a sidecar's fault": {"message": DEADLINE, "metrics": [], "pods": [crash() | {"name": "istio-proxy"}]},
    "restarted once, and well": {"message": DEADLINE, "metrics": [], "pods": [crash() | {"ready": True}]},
}


@pytest.fixture
def bumped(clone):
    """A clone whose dev wants another model; made by hand, which takes a moment less."""
    clone.replace(b'version: "1.0"', b'version: "2.0"')
    clone.replace(b"/1.0/", b"/2.0/", "Bump")
    return clone


@pytest.mark.parametrize("stopped", NO_VERDICT.values(), ids=NO_VERDICT.keys())
async def test_without_a_verdict_nothing_goes_back_and_it_is_said_once(bumped, look, capsys, stopped):
    cluster = running(bumped)
    for name, value in stopped.items():
        setattr(cluster, name, value)

    for _ in range(2):
        assert await look(cluster) == "Bump"
    assert not (bumped.folder / QUARANTINE).exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert "dev-sklearn-iris: the canary 6d5f7c9b8" in line
    assert "was aborted without a verdict" in line
    assert "kubectl argo rollouts retry rollout sklearn-iris-predictor -n ml-serving-dev" in line
    assert "rollback --env dev --app sklearn-iris" in line


async def test_a_canary_whose_analysis_came_to_no_end_is_left_to_people(bumped, look, capsys):
    release = remote.application("dev", bumped.read()).release
    cluster = Paused(release["model", "storageUri"], tree.image(release), metrics=[metric("Inconclusive", "[]")])

    assert await look(cluster) == "Bump"
    line = capsys.readouterr().err
    assert "waits for a person without a verdict: InconclusiveAnalysisRun (known-answer: Inconclusive: [] " in line
    assert "kubectl argo rollouts abort sklearn-iris-predictor -n ml-serving-dev" in line


@pytest.mark.parametrize(
    "failed",
    [
        metric(value="[0.7]", name="success-rate"),
        metric(value="0.7", name="users-own"),
        metric(value="+Inf", name="users-own"),
        metric(value=None, name="a-job"),
        metric(at="2026-11-25T12:00:11Z"),
    ],
    ids=["a share", "a scalar", "infinite", "a Job has no value", "written a moment after the abort"],
)
async def test_what_an_analysis_found_bad_goes_back(bumped, look, failed):
    cluster = running(bumped)
    cluster.metrics = [metric("Successful", "[1]"), failed]

    assert (await look(cluster)).startswith("Roll sklearn-iris in dev back")


@pytest.mark.parametrize(
    "other",
    {
        "gitops/dev/fraud.yaml": b"<<<<<<< HEAD\n",
        "gitops/dev/Fraud_Score.yaml": b"chart: {}\n",
        "gitops/dev/empty.yaml": b"",
    }.items(),
    ids=lambda other: other[0],
)
async def test_it_starts_though_another_file_is_none_and_says_so(bumped, watching, look, capsys, other):
    bumped.commit(*other, "Bump")

    assert await watching.begin() == "ml-serving-dev"
    said = capsys.readouterr().err
    assert f"{other[0]} is not watched until it is corrected: " in said
    assert "watching Rollout ml-serving-dev/sklearn-iris-predictor" in said
    assert (await look(running(bumped))).startswith("Roll sklearn-iris in dev back")


async def test_an_application_is_watched_for_as_long_as_the_tree_has_it(bumped, watching, look, capsys):
    await watching.begin()
    path = FILE.replace("sklearn-iris", "fraud")
    cluster = running(bumped)
    cluster.name = "fraud"
    assert await look(cluster) == "Bump"
    first = bumped.read().replace(b"2.0", b"1.0")
    bumped.commit(path, first)
    bumped.commit(path, bumped.read())

    assert await look(cluster) == "Roll fraud in dev back to model 1.0"

    bumped.git("rm", "--quiet", path)
    bumped.git("commit", "--quiet", "--message=Gone")
    capsys.readouterr()
    assert await look(cluster) == "Gone"
    assert capsys.readouterr().err == ""


async def test_one_that_cannot_be_read_hinders_no_other(bumped, look, capsys):
    good = bumped.read()
    bumped.commit(FILE, re.sub(rb"model:", b"<<<<<<< HEAD\nmodel:", good), "Broken")

    assert await look(Cluster(MODEL.format("2.0"), "x")) == "Broken"
    assert f"dev/sklearn-iris: {FILE}:" in capsys.readouterr().err
