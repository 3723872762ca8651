"""Without figures no version goes on; a bad one is stopped as `gates` foresaw, and told of; the next good one passes.

Wrong answers are test_gitops.py's; slow versions, torn ones and those wrong on one slice are tests/stranger's.
On releases of their own, judged by a Prometheus of their own, which can be away without anybody else noticing: one with
a runtime, arguments, a registry's Secret and a volume, and one with a container of its own, a Secret's variable and a
transformer in front.
"""

import contextlib
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio
import pytest

from ci import sample
from ci.base import duration, paths, tasks
from ci.base.errors import CommandError
from ci.base.wait import NotYet, until
from ci.canary import judge, plan
from ci.canary.catalogue import Shape, steady
from ci.canary.judge import Case
from ci.canary.observe import traffic
from ci.canary.observe.timeline import GUARD_SECONDS
from ci.cluster import model_store, readiness
from ci.cluster.helm import Helm
from ci.cluster.port_forward import port_forward
from ci.manifests import manifests
from ci.project import Prometheus as Place
from ci.stack import monitoring
from ci.stages.install import namespace
from tests.harness.gates import DECLARED
from tests.integration.prometheus import Prometheus
from tests.integration.release import Release

pytestmark = pytest.mark.anyio

NAMESPACE = "ml-serving-bad"
MODEL = "sklearn-iris"
SECRET = "model-store"
RUNNING_SECONDS = 120
PAGED_SECONDS = 180
"""Within which an outage is to page."""
TOLD_SECONDS = 120
"""Within which somebody is to hear of a canary that was stopped."""
DIE = "import os, signal; os.kill(1, signal.SIGTERM)"
REQUESTS_PER_SECOND = 20
BESIDE_PER_SECOND = 5
"""To a release whose canary never gets one, while another's does."""
VALUES = {
    "exampleModel": {
        "storageUri": model_store.uri(MODEL, "v1"),
        "storageSecret": SECRET,
        "probes": {"startupSeconds": 40},
        "knownAnswer": sample.facts().known_answer.model_dump(),
    },
    "features": {"autoscaling": False},
    "canary": {
        # As long as the analysis in the background needs to stop a bad version, by the chart's own count.
        "steps": [{"weight": 20, "pause": "16s"}, {"weight": 50, "pause": "5s"}],
        # Figures alone decide: a version that fails every fifth request may fail the known one twice in a row, too.
        "analysis": {"initialDelay": "5s", "noDataLimit": 3, "knownAnswer": False},
        # A model that will not load: the pods of a good one are ready within half of this.
        "progressDeadlineSeconds": 45,
    },
    "monitoring": {
        "labels": {"release": NAMESPACE},
        "prometheusAddress": f"http://{monitoring.SERVICE}.{NAMESPACE}:{monitoring.PORT}",
    },
}

KEYS, REGISTRY, SETTINGS = "keys", "registry", "settings"
TOKEN = "of a Secret"
GIVEN = [
    {"kind": "Secret", "metadata": {"name": KEYS}, "stringData": {"token": TOKEN}},
    {
        "kind": "Secret",
        "metadata": {"name": REGISTRY},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": '{"auths": {}}'},
    },
    {"kind": "ConfigMap", "metadata": {"name": SETTINGS}, "data": {"threads": "2"}},
]
"""What the releases' servers are given."""
WITH_A_RUNTIME = {
    "args": ["--max_threads=2"],
    "imagePullSecrets": [{"name": REGISTRY}],
    "predictor": {"volumes": [{"name": SETTINGS, "configMap": {"name": SETTINGS}}]},
    "model": {"volumeMounts": [{"name": SETTINGS, "mountPath": "/settings"}]},
}


FRONT = "import kserve; model = kserve.Model('{name}'); model.load(); kserve.ModelServer().start([model])"
"""KServe's transformer that changes nothing; its pod may go when it has answered what still comes."""


def container_of_its_own(runtime, name):
    """KServe's server as anybody's image would be: without its runtime; and a transformer in front, in the same pod."""
    image = runtime["spec"]["containers"][0]["image"]
    front = {
        "name": "transformer-container",
        "image": image,
        "command": ["python", "-c", FRONT.format(name=name)],
        "args": ["--predictor_host=localhost:8085", "--enable_grpc=false"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": f"/v2/models/{name}/ready", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
    }
    return {
        "runtime": "",
        "image": image,
        "port": 8085,
        "command": ["python", "-m", "sklearnserver"],
        "args": [f"--model_name={name}", "--model_dir=/mnt/models", "--http_port=8085", "--enable_grpc=false"],
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": KEYS, "key": "token"}}}],
        "predictor": {"containers": [front]},
    }


def prometheus_of_its_own(spec):
    """The cluster's Prometheus once more, for this namespace's monitors alone, and away."""
    select = {"matchLabels": {"release": NAMESPACE}}
    selectors = dict.fromkeys(("serviceMonitorSelector", "podMonitorSelector", "ruleSelector"), select)
    account = {"kind": "ServiceAccount", "name": monitoring.NAME, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ml-serving-ci-prometheus"}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": monitoring.NAME, "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAMESPACE},
            "roleRef": role,
            "subjects": [account],
        },
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": monitoring.NAME, "namespace": NAMESPACE},
            "spec": {
                **spec,
                **selectors,
                "replicas": 0,
                "podMetadata": {"labels": {"sidecar.istio.io/inject": "false"}},
                "serviceAccountName": monitoring.NAME,
            },
        },
    ]


@pytest.fixture(scope="module")
async def releases(kubectl, tool):
    """Two releases at v1, the first at steady traffic's disposal and one beside it; nobody has figures of them yet."""
    (cluster_wide,) = await kubectl.get_list(monitoring.CRD, Place().namespace)
    await kubectl.apply([namespace(NAMESPACE), *prometheus_of_its_own(cluster_wide["spec"])])
    await model_store.credentials(kubectl, NAMESPACE, SECRET)
    helm, plugin = Helm(tool("helm"), kubectl.cluster), tool("kubectl-argo-rollouts")
    dev = paths.CHART / "values" / "dev.yaml"
    digest = await model_store.digest(kubectl, VALUES["exampleModel"]["storageUri"])

    runtime = await kubectl.get("clusterservingruntime", "kserve-sklearnserver")
    await kubectl.apply([{"apiVersion": "v1", **each} for each in GIVEN], namespace=NAMESPACE)

    async def installed(release):
        own = WITH_A_RUNTIME if release.name == "bad" else container_of_its_own(runtime, release.model)
        model = {**VALUES["exampleModel"], "name": release.model, "digest": digest, **own}
        values = {**VALUES, "exampleModel": model}
        await helm.upgrade_install(release.name, paths.CHART, NAMESPACE, values_files=[dev], values=values)
        await release.healthy()

    found = [Release(helm, kubectl, plugin, name, NAMESPACE, f"{MODEL}-{name}") for name in ("bad", "beside")]
    async with tasks.group() as group:
        group.start_soon(traffic.install, kubectl, NAMESPACE)
        for release in found:
            group.start_soon(installed, release)
    return found


@pytest.fixture(scope="module")
def victim(releases):
    return releases[0]


async def scraped(release):
    async def running():
        (pod,) = await release.kubectl.get_list("pods", NAMESPACE, "app.kubernetes.io/name=prometheus") or [{}]
        conditions = {item["type"]: item["status"] for item in pod.get("status", {}).get("conditions", [])}
        if conditions.get("Ready") != "True":
            raise NotYet(f"{conditions}")

    await until("the release's Prometheus runs", running, timeout=RUNNING_SECONDS, interval=1)
    async with port_forward(release.kubectl, f"svc/{monitoring.SERVICE}", monitoring.PORT, NAMESPACE) as url:
        await Prometheus(url).scrapes(release)


@dataclass
class Ended:
    """A canary that ended, and what its client got.

    Attributes:
        timeline: As it was seen.
        load: The client's requests.
        at: When the client's proxy had every request go to the stable version again, as `time.time()` tells it.
        deciding: Each metric that was not good, with its phase.
        measured: How often each of these was measured.
    """

    timeline: object
    load: object
    at: float
    deciding: dict[str, str] = field(default_factory=dict)
    measured: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def taken(watched):
    """Take a release to a version under traffic, and back where that version was stopped."""

    async def take(release, name, version, digest=None, rate=REQUESTS_PER_SECOND, once_over=None):
        good = await release.storage_uri()
        async with watched(release, name, rate) as under_way:
            under_way.seen.upgrading()
            await release.upgrade_model(model_store.uri(MODEL, version), digest)
            revision = await under_way.seen.canary()
            outcome = await under_way.seen.finished()
            await under_way.seen.held(100, 0)
            at = (await under_way.load.takes_over(100, 0)).at
            if once_over is not None:
                await once_over()
            if outcome != "Healthy":
                await release.upgrade_model(good)
                await under_way.seen.recovered()
        ended = Ended(under_way.timeline, under_way.load, at)
        runs = await release.kubectl.get_list(
            "analysisruns", release.namespace, f"rollouts-pod-template-hash={revision}"
        )
        for run in runs:
            for result in run["status"].get("metricResults", []):
                if result["phase"] not in ("Successful", "Running"):
                    ended.deciding[result["name"]] = result["phase"]
                    ended.measured[result["name"]] = result.get("count", 0) + result.get("error", 0)
        return ended

    return take


@pytest.fixture
def simulated(victim, tool):
    """What `gates` makes of a shape, with this very release's Rollout and this very traffic, and what decided."""

    async def simulate(shape):
        shown = await victim.helm.run("get", "manifest", victim.name, f"--namespace={victim.namespace}")
        canary = plan.read("dev", manifests.parse(shown.stdout, {}, str(paths.CHART)))
        held_to = DECLARED.model_copy(update={"requests_per_second": {"dev": REQUESTS_PER_SECOND}})
        cases = [Case(canary, shape, 0)]
        (verdict,) = await judge.judge(tool("prometheus"), tool("promtool"), cases, held_to)
        (outcome,) = verdict.outcomes
        return outcome, next(item for item in canary.background if item.name == outcome.metric)

    return simulate


def stopped(ended):
    """It was aborted, and nobody but the canary's own share of the clients noticed."""
    timeline = ended.timeline
    assert timeline.outcome == "Degraded"
    assert 100 not in [change.canary for change in timeline.weights]
    by_revision = {item.revision: item for item in timeline.traffic}
    assert by_revision[timeline.stable_revision].failed == 0
    assert [request for request in ended.load.failed if request.started > ended.at + GUARD_SECONDS] == []
    assert ended.load.wrong == []
    canary = by_revision.get(timeline.canary_revision)
    assert len(ended.load.failed) <= (canary.requests if canary else 0)


async def fires(release, alert, seconds):
    """How many seconds it took until an alert about a release fired."""
    began = time.monotonic()
    async with port_forward(release.kubectl, f"svc/{monitoring.SERVICE}", monitoring.PORT, NAMESPACE) as url:
        await Prometheus(url).fires(release, alert, seconds)
    return time.monotonic() - began


@asynccontextmanager
async def in_a_crash_loop(release):
    """Have the model server of every pod die whenever it runs; the proxies stay up. Afterwards the release recovers."""

    async def recovered():
        status = (await release.get("rollout"))["status"]
        if status.get("phase") != "Healthy":
            raise NotYet(f"{status.get('phase')}: {status.get('message', '')}")

    async def crash():
        while True:
            for pod in await release.pods():
                with contextlib.suppress(CommandError):  # it has just died
                    container = (pod["metadata"]["name"], "--container=kserve-container", f"--namespace={NAMESPACE}")
                    await release.kubectl.run("exec", *container, "--", "python", "-c", DIE)
            await anyio.sleep(2)

    async with tasks.group() as group:
        group.start_soon(crash)
        yield
        group.cancel_scope.cancel()
    # by now a container waits for most of a minute before it is started again; those of new pods do not
    pods = f"--selector=app=isvc.{release.predictor}"
    await release.kubectl.run("delete", "pods", pods, f"--namespace={NAMESPACE}", "--wait=false")
    await until(f"{release.name} is healthy again", recovered, timeout=readiness.READY_SECONDS, interval=1, successes=3)


@pytest.fixture(scope="module")
async def stopped_at_once(releases, taken):
    """A good version without figures, and beside it a model that is not the one that was pinned; figures come then."""
    victim, beside = releases
    found = {}

    async def prometheus():
        change = '{"spec":{"replicas":1}}'
        await victim.kubectl.run(
            "patch", monitoring.CRD, monitoring.NAME, f"--namespace={NAMESPACE}", "--type=merge", f"--patch={change}"
        )

    async def blind():
        found["blind"] = await taken(victim, "v2 without prometheus", "v2", once_over=prometheus)
        await scraped(victim)

    async def replaced():
        nobodys = f"sha256:{'0' * 64}"
        found["replaced"] = await taken(beside, "bad replaced", "v2", digest=nobodys, rate=BESIDE_PER_SECOND)

    async with tasks.group() as group:
        group.start_soon(blind)
        group.start_soon(replaced)
    return found


async def test_without_prometheus_no_version_is_promoted(stopped_at_once):
    """Even a good one: it goes through once there are figures."""
    ended = stopped_at_once["blind"]

    stopped(ended)
    assert ended.load.failed == []
    assert "Error" in ended.deciding.values(), ended.deciding


async def test_a_model_that_is_not_the_one_that_was_pinned_gets_no_request(stopped_at_once):
    ended = stopped_at_once["replaced"]

    stopped(ended)
    assert ended.load.failed == []
    assert [item.revision for item in ended.timeline.traffic] == [ended.timeline.stable_revision]


@pytest.fixture(scope="module")
async def alerted(releases, taken, stopped_at_once):
    """A version that fails, and beside it a model whose every pod is in a crash loop; and what the alerts took."""
    victim, beside = releases
    found = {}

    async def failing():
        async def told():
            found["aborted"] = await fires(victim, "InferenceCanaryAborted", TOLD_SECONDS)

        found["failing"] = await taken(victim, "bad failing", "failing", once_over=told)

    async def crashing():
        async with in_a_crash_loop(beside):
            found["outage"] = await fires(beside, "InferenceNoReadyPod", PAGED_SECONDS)

    async with tasks.group() as group:
        group.start_soon(failing)
        group.start_soon(crashing)
    return found


async def test_a_crash_loop_of_every_pod_pages_though_the_proxies_answer_each_scrape(alerted):
    assert alerted["outage"] < PAGED_SECONDS


async def test_a_canary_that_is_stopped_is_told_of(alerted):
    assert alerted["aborted"] < TOLD_SECONDS


async def test_a_version_that_fails_is_stopped_as_the_gates_said(victim, alerted, simulated):
    ended = alerted["failing"]

    stopped(ended)
    assert ended.deciding.get("success-rate") == "Failed", ended.deciding
    expected, judged = await simulated(Shape("20 % of the requests fail", bad=True, errors=steady(1 / 5)))
    assert expected.metric == "success-rate"
    # By measurements, which a busy machine delays but does not add to: a rate looks back a whole window, in which the
    # first scrape of the fault and the first measurement after it may fall anywhere.
    analysis = (await victim.values())["canary"]["analysis"]
    scrape = (await victim.values())["monitoring"]["scrapeInterval"]
    window, interval = duration.seconds(analysis["window"]), judged.interval
    apart = (window + duration.seconds(scrape) + interval) / interval
    foreseen = (expected.second - judged.initial_delay) // interval + 1
    measured = ended.measured["success-rate"]
    assert abs(measured - foreseen) <= apart, f"{measured} measurements, foreseen {foreseen}"


@pytest.mark.usefixtures("stopped_at_once")
async def test_the_next_good_version_goes_through(releases, taken):
    ended = {}

    async def moved(release, rate):
        await readiness.one_revision(release.kubectl, release.namespace, release.model)
        ended[release.name] = await taken(release, f"v2 of {release.name} after the bad ones", "v2", rate=rate)

    async with tasks.group() as group:
        for release, rate in zip(releases, (REQUESTS_PER_SECOND, REQUESTS_PER_SECOND / 2), strict=True):
            group.start_soon(moved, release, rate)

    assert {name: each.timeline.outcome for name, each in ended.items()} == {"bad": "Healthy", "beside": "Healthy"}
    assert [*(each.load.failed for each in ended.values()), *(each.load.wrong for each in ended.values())] == [[]] * 4


async def test_each_server_has_what_it_is_given_and_passes_the_releases_own_test(releases):
    async def said(release, expression):
        (pod, *_) = await release.stable_pods()
        asked = [pod["metadata"]["name"], "--container=kserve-container", f"--namespace={NAMESPACE}", "--"]
        asked += ["python3", "-c", f"import os, pathlib; print({expression})"]
        return (await release.kubectl.run("exec", *asked)).stdout.strip()

    victim, beside = releases
    assert await said(victim, "pathlib.Path('/settings/threads').read_text()") == "2"
    assert "--max_threads=2" in await said(victim, "pathlib.Path('/proc/1/cmdline').read_text()")
    assert [pod["spec"]["imagePullSecrets"] for pod in await victim.stable_pods()] == [[{"name": REGISTRY}]]
    assert await said(beside, "os.environ['TOKEN']") == TOKEN
    async with tasks.group() as group:
        for release in releases:
            group.start_soon(partial(release.helm.test, release.name, NAMESPACE))
