"""`pytest tests/integration --kubeconfig FILE`: what the tests share.

The suite works on a release that is there. Without `--app` that is the sample's: it installs a second one beside it for
whatever is done by hand, and takes the first to its next model version once, in test_canary.py. With `--app NAME` it is
any application's, which is asked and looked at, and stays as it is.
"""

import functools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import pytest

from ci import project
from ci import sample as samples
from ci.base import jsonfile, paths, settings
from ci.base.errors import CheckFailedError, CIError, UsageError
from ci.behaviour import known_answer, serve
from ci.canary.observe import rollout as canary
from ci.canary.observe import traffic
from ci.cluster import existing
from ci.cluster.helm import Helm
from ci.cluster.kubectl import Kubectl
from ci.cluster.port_forward import port_forward
from ci.project import Prometheus as Place
from ci.results import CanaryTimeline
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.integration import application, asking, by_hand
from tests.integration import prometheus as prometheuses
from tests.integration.application import Application
from tests.integration.namespace import objects
from tests.integration.release import Release

RELEASE = "ml-serving"
ORDER = {
    "test_first_deploy.py": -1,  # what it begins goes on beside all others
    "test_dashboards.py": 1,  # the error budget has no figure before its fifth minute
    "test_rollout_control.py": 2,  # what came of what was begun
    "test_two_releases.py": 3,
    "test_uninstall.py": 4,
}
"""Files with a place of their own; the rest are between the first and the second."""


def pytest_addoption(parser):
    group = parser.getgroup("ml-serving", "the cluster and the release under test")
    group.addoption("--kubeconfig", type=Path, metavar="FILE", help="kubeconfig of the cluster (required)")
    group.addoption("--context", metavar="NAME", help="context in it (default: its current one)")
    group.addoption("--namespace", default="ml-serving", metavar="NS", help="namespace of the release (%(default)s)")
    group.addoption("--release", metavar="NAME", help=f"the release under test (that of --app, or {RELEASE})")
    group.addoption("--app", metavar="NAME", help="the application that it is of (default: the sample)")
    group.addoption(
        "--project", type=Path, metavar="DIR", help="with its golden file (default: as the commands find it)"
    )
    group.addoption(
        "--prometheus",
        default=Place().host,
        metavar="SERVICE.NAMESPACE:PORT",
        help="what scrapes the sample (%(default)s)",
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


def pytest_configure(config):
    config.addinivalue_line("markers", application.NEEDS)
    if config.option.app is not None and not config.option.app:
        raise pytest.UsageError("--app: an empty name")


def pytest_sessionstart(session):
    """With --app, look at the release before anything is collected: its values say which tests make sense."""
    option = session.config.option
    if option.app is not None:
        try:
            session.config.pluginmanager.register(anyio.run(_application, option), application.PLUGIN)
        except CIError as error:
            raise pytest.UsageError("; ".join(filter(None, (error.message, error.fix)))) from error


async def _application(option):
    release, values = await _installed(option, await _connected(option))
    folder = option.project or settings.project() or project.find(Path.cwd())
    return Application(option.app, release, values, application.golden_inputs(folder, option.app))


def pytest_ignore_collect(collection_path, config):
    """The loop needs Argo CD and a way to this machine, bad releases the model store: they run when asked for.

    The sample's golden inputs are asked by a stage of its own.
    """
    option = config.option
    wanted = {
        "test_gitops.py": option.gitops_address and not option.app,
        "test_bad_releases.py": option.bad_releases and not option.app,
        "test_golden.py": option.app,
    }
    return True if not wanted.get(collection_path.name, True) else None


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: ORDER.get(item.path.name, 0))


@functools.cache
def _tool(name):
    supply = Supply(choose(os.environ.get("ML_SERVING_CI_SUPPLY", "auto")))
    own = shutil.which(name)
    return supply.bin / name if (supply.bin / name).exists() else Path(own) if own else supply.tool(name)


@pytest.fixture(scope="session")
def tool():
    """Path of an executable: of the supply where it was fetched, else the user's own."""
    return _tool


async def _connected(option):
    """Return kubectl on the cluster under test."""
    if option.kubeconfig is None:
        raise UsageError("tests/integration needs a cluster: --kubeconfig FILE")
    return Kubectl(
        _tool("kubectl"), await existing.existing_cluster(_tool("kubectl"), option.kubeconfig, option.context)
    )


async def _installed(option, kubectl):
    """Return the release under test and its values; nobody wants a suite that installs what it tests unasked."""
    name, helm = option.release or option.app or RELEASE, Helm(_tool("helm"), kubectl.cluster)
    if await helm.status(name, option.namespace) is None:
        raise UsageError(f"no release {name} in namespace {option.namespace}", fix=_way_out(option, name))
    release = Release(helm, kubectl, _tool("kubectl-argo-rollouts"), name, option.namespace, "")
    values = await release.values()
    return replace(release, model=values["exampleModel"]["name"]), values


def _way_out(option, name):
    if option.app is not None:
        return "--namespace NS and --release NAME say which"
    chart, known = paths.CHART.relative_to(paths.ROOT), json.dumps(samples.facts().known_answer.model_dump())
    return (
        "Install it, and wait until it is healthy:\n"
        f"  helm install {name} ./{chart} -n {option.namespace} --create-namespace "
        f"-f ./{chart}/values/dev.yaml --set-json 'exampleModel.knownAnswer={known}'"
    )


def _in_words(error):
    return "\n".join(filter(None, (error.message, error.fix)))


@pytest.fixture(scope="session")
def sample():
    """The sample's facts; a test that asks for them is the sample's alone."""
    return samples.facts()


@pytest.fixture(scope="session")
async def kubectl(request, anyio_backend):
    try:
        return await _connected(request.config.option)
    except CIError as error:
        pytest.exit(_in_words(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
async def release(request, kubectl):
    """The release under test, healthy."""
    if (found := request.config.pluginmanager.get_plugin(application.PLUGIN)) is not None:
        release = found.release
    else:
        try:
            release, _ = await _installed(request.config.option, kubectl)
        except UsageError as error:
            pytest.exit(_in_words(error), returncode=pytest.ExitCode.USAGE_ERROR)
    await release.healthy()
    return release


@pytest.fixture(scope="session")
async def values(request, release):
    """The release's values, the chart's own among them, as the tests found them."""
    found = request.config.pluginmanager.get_plugin(application.PLUGIN)
    return await release.values() if found is None else found.values


@pytest.fixture(scope="session")
def golden(request):
    """The application's golden inputs."""
    return request.config.pluginmanager.get_plugin(application.PLUGIN).golden


@pytest.fixture(scope="session")
def known(release, values):
    """The known answer, as the release has it."""
    return known_answer.question(values["exampleModel"]["knownAnswer"], release.model)


@pytest.fixture(scope="session")
def question(request, release, values):
    """A request that every version answers: the known answer's, or else that of the first golden input."""
    if values["exampleModel"]["knownAnswer"]:
        return request.getfixturevalue("known")
    return serve.questions(request.getfixturevalue("golden"), release.model)[0]


@pytest.fixture(scope="session")
async def before_second(release, client):
    """What the namespace held before the second release came."""
    return await objects(release.kubectl, release.namespace)


@pytest.fixture(scope="session")
async def second(release, before_second, sample, watched, next_model):
    """A second release beside the first, with a model of its own, and what a person does on it meanwhile."""
    values = await release.values()
    model = f"{release.model}-second"
    second = replace(release, name=f"{release.name}-second", model=model)
    values["exampleModel"]["name"] = model
    values["virtualService"] = {"hosts": [asking.HOST], "gateways": [asking.GATEWAY]}
    values["canary"]["steps"] = [{"weight": 20}]
    values["canary"]["rollbackWindow"] = 0  # the version before is a canary, too
    values["canary"]["analysis"]["noDataLimit"] = 60  # Prometheus may take three minutes to hear of it
    # a pod more for the traffic of a test, and back soon after it
    values["autoscaling"] |= {
        "minReplicas": 1,
        "maxReplicas": 2,
        "requestsPerSecond": 15,
        "scaleDownStabilizationSeconds": 5,
    }
    await second.helm.upgrade_install(second.name, paths.CHART, second.namespace, values=values)
    with pytest.raises(CheckFailedError) as raised:
        async with canary.observe(second.kubectl.cluster, second.namespace, second.model):
            pass
    begun = by_hand.begun(second, raised.value, watched, next_model)
    yield begun
    await begun.end()
    await second.helm.uninstall(second.name, second.namespace)


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
    """The Prometheus that judges an application's canaries, as its values have it; the sample's is the stack's own."""
    found = request.config.pluginmanager.get_plugin(application.PLUGIN)
    sample = f"http://{request.config.option.prometheus}"
    address = sample if found is None else found.values["monitoring"]["prometheusAddress"]
    async with prometheuses.reached(kubectl, address) as there:
        yield there


@pytest.fixture(scope="session")
def next_model(request, sample):
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
def watched(to_report, sample):
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
