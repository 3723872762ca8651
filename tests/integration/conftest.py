"""`pytest tests/integration --kubeconfig FILE`: what the tests share.

The suite works on a release that is there; it installs a second one beside it for whatever is done by hand, and
takes the first to its next model version once, in test_canary.py.
"""

import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ci.base import jsonfile, paths
from ci.base.errors import CheckFailedError, CIError
from ci.canary.observe import rollout as canary
from ci.canary.observe import traffic
from ci.cluster import existing
from ci.cluster.helm import Helm
from ci.cluster.kubectl import Kubectl
from ci.cluster.port_forward import port_forward
from ci.project import Prometheus as Place
from ci.results import CanaryTimeline
from ci.supply.supply import Supply, choose
from tests.harness.sample import KNOWN_ANSWER
from tests.integration import asking
from tests.integration.namespace import objects
from tests.integration.prometheus import Prometheus
from tests.integration.release import Release

LAST = ("test_dashboards.py", "test_two_releases.py", "test_uninstall.py")
"""After all others: the error budget has no figure before its fifth minute, and the rest take things away."""


def pytest_addoption(parser):
    group = parser.getgroup("ml-serving", "the cluster and the release under test")
    group.addoption("--kubeconfig", type=Path, metavar="FILE", help="kubeconfig of the cluster (required)")
    group.addoption("--context", metavar="NAME", help="context in it (default: its current one)")
    group.addoption("--namespace", default="ml-serving", metavar="NS", help="namespace of the release (%(default)s)")
    group.addoption("--release", default="ml-serving", metavar="NAME", help="the release under test (%(default)s)")
    group.addoption(
        "--prometheus", default=Place().host, metavar="SERVICE.NAMESPACE:PORT", help="what scrapes it (%(default)s)"
    )
    group.addoption("--next-model", metavar="URI", help="version for the canary (…/v2 where …/v1 runs, and back)")
    group.addoption("--gitops-address", metavar="IP", help="of this machine, as the cluster's pods reach it (gitops)")
    group.addoption(
        "--bad-releases",
        action="store_true",
        help="let test_bad_releases.py install a release of its own, from the model store",
    )
    group.addoption("--uninstall", action="store_true", help="let test_uninstall.py take the release away")
    group.addoption("--report", type=Path, metavar="DIR", help="folder for what the tests saw (default: none written)")


def pytest_ignore_collect(collection_path, config):
    """The loop needs Argo CD and a way to this machine, bad releases the model store: they run when asked for."""
    option = config.option
    wanted = {
        "test_gitops.py": option.gitops_address,
        "test_bad_releases.py": option.bad_releases,
    }
    return True if not wanted.get(collection_path.name, True) else None


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LAST.index(item.path.name) + 1 if item.path.name in LAST else 0)


@pytest.fixture(scope="session")
def tool():
    """Path of an executable: of the supply where it was fetched, else the user's own."""
    supply = Supply(choose(os.environ.get("ML_SERVING_CI_SUPPLY", "auto")))

    def find(name):
        own = shutil.which(name)
        return supply.bin / name if (supply.bin / name).exists() else Path(own) if own else supply.tool(name)

    return find


@pytest.fixture(scope="session")
async def kubectl(request, tool, anyio_backend):
    file = request.config.option.kubeconfig
    if file is None:
        pytest.exit("tests/integration needs a cluster: --kubeconfig FILE", returncode=pytest.ExitCode.USAGE_ERROR)
    try:
        cluster = await existing.existing_cluster(tool("kubectl"), file, request.config.option.context)
    except CIError as error:
        pytest.exit(f"{error.message}\n{error.fix or ''}", returncode=pytest.ExitCode.USAGE_ERROR)
    return Kubectl(tool("kubectl"), cluster)


@pytest.fixture(scope="session")
async def release(request, tool, kubectl):
    """The release under test; it must be there, for nobody wants a test suite that installs what it tests unasked."""
    option = request.config.option
    helm = Helm(tool("helm"), kubectl.cluster)
    if await helm.status(option.release, option.namespace) is None:
        chart = paths.CHART.relative_to(paths.ROOT)
        pytest.exit(
            f"no release {option.release} in namespace {option.namespace}; install it, and wait until it is healthy:\n"
            f"  helm install {option.release} ./{chart} -n {option.namespace} --create-namespace "
            f"-f ./{chart}/values/dev.yaml --set-json 'exampleModel.knownAnswer={json.dumps(KNOWN_ANSWER)}'",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )
    release = Release(helm, kubectl, tool("kubectl-argo-rollouts"), option.release, option.namespace, "")
    release = replace(release, model=(await release.values())["exampleModel"]["name"])
    await release.healthy()
    return release


@pytest.fixture(scope="session")
async def before_second(release, client):
    """What the namespace held before the second release came."""
    return await objects(release.kubectl, release.namespace)


@dataclass
class FirstDeploy:
    """A release from its very first moment.

    Attributes:
        release: The release, healthy by now.
        refused: What the observation of a canary said while it came up.
    """

    release: Release
    refused: CheckFailedError


@pytest.fixture(scope="session")
async def first_deploy(release, before_second):
    """A second release beside the first, with a model of its own; its one step waits for a person."""
    values = await release.values()
    model = f"{release.model}-second"
    second = replace(release, name=f"{release.name}-second", model=model)
    values["exampleModel"]["name"] = model
    values["canary"]["steps"] = [{"weight": 20}]
    values["canary"]["analysis"]["noDataLimit"] = 60  # Prometheus may take three minutes to hear of it
    # a pod more for the traffic of a test, and back soon after it
    values["autoscaling"] |= {
        "minReplicas": 1,
        "maxReplicas": 2,
        "requestsPerSecond": 15,
        "scaleDownStabilizationSeconds": 15,
    }
    await second.helm.upgrade_install(second.name, paths.CHART, second.namespace, values=values)
    with pytest.raises(CheckFailedError) as raised:
        async with canary.observe(second.kubectl.cluster, second.namespace, second.model):
            pass
    await second.healthy()
    yield FirstDeploy(second, raised.value)
    await second.helm.uninstall(second.name, second.namespace)


@pytest.fixture(scope="session")
def second(first_deploy):
    return first_deploy.release


@pytest.fixture(scope="session")
async def client(release):
    """A pod in the mesh that asks; it goes with the tests unless it was there before."""
    there = await release.kubectl.get("pod", traffic.POD, release.namespace) is not None
    await traffic.install(release.kubectl, release.namespace)
    yield
    if not there:
        await release.kubectl.run("delete", "pod,configmap", traffic.POD, f"--namespace={release.namespace}")


@pytest.fixture(scope="session")
def through_the_mesh(release, client):
    """Ask the release's model as a pod in the mesh does."""
    return asking.from_the_mesh(release.kubectl, release.namespace, release.predictor)


@pytest.fixture(scope="module")
async def through_a_port_forward(release):
    """Ask the release's model as the deployment guide has it, but for the local port, which is a free one."""
    async with port_forward(release.kubectl, f"svc/{release.predictor}-stable", 80, release.namespace) as url:
        yield asking.from_here(url)


@pytest.fixture(scope="module")
async def prometheus(request, kubectl):
    where = urlsplit(f"//{request.config.option.prometheus}")
    service, _, namespace = where.hostname.partition(".")
    async with port_forward(kubectl, f"svc/{service}", where.port, namespace) as url:
        yield Prometheus(url)


@pytest.fixture(scope="session")
def next_model(request):
    """The version that a release is taken to next."""

    async def choose_next(release):
        if request.config.option.next_model:
            return request.config.option.next_model
        uri = await release.storage_uri()
        stem, _, version = uri.rpartition("/")
        if version not in ("v1", "v2"):
            pytest.exit(
                f"the release runs {uri}: say with --next-model URI which version its canary takes",
                returncode=pytest.ExitCode.USAGE_ERROR,
            )
        return f"{stem}/{'v2' if version == 'v1' else 'v1'}"

    return choose_next


@dataclass
class Watched:
    """A canary under way: what is seen of it from outside, and what its client gets."""

    seen: canary.Observation
    load: traffic.Traffic
    timeline: CanaryTimeline | None = None


@pytest.fixture(scope="session")
def to_report(request):
    """Write a file of the report, where one is wanted."""

    def write(name, content):
        if (folder := request.config.option.report) is not None:
            jsonfile.write(folder / name, content)

    return write


@pytest.fixture(scope="session")
def watched(to_report):
    """Watch a release's Rollout under steady traffic; the whole time line is there, and written, after the block."""

    @asynccontextmanager
    async def watch(release: Release, name: str, rate: float = 40) -> AsyncIterator[Watched]:
        kubectl, namespace = release.kubectl, release.namespace
        async with canary.observe(kubectl.cluster, namespace, release.model) as seen:
            questions = asking.questions(release.predict_path)
            async with traffic.traffic(kubectl, namespace, release.url, questions, rate) as load:
                under_way = Watched(seen, load)
                yield under_way
            under_way.timeline = seen.timeline(name, load.result(seen.began_at), load.weights(seen.began_at))
        to_report(f"canary-{name.replace(' ', '-')}.json", under_way.timeline)

    return watch
