"""One cluster with the stack for all tests here, and a server that any values can have.

pytest tests/cluster [--kubeconfig FILE]     of a cluster that is kept, such as that of `test --only stack --keep`
"""

from pathlib import Path

import pytest

from ci.base import paths
from ci.canary.observe import traffic
from ci.cluster import existing, model_store
from ci.cluster.helm import Helm
from ci.cluster.kind import kind_cluster
from ci.cluster.kubectl import Kubectl
from ci.host import docker
from ci.stack import install
from ci.stack.component import StackContext
from ci.supply import registry
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.cluster.place import Place
from tests.harness import images

SERVER = Path(__file__).parent / "server" / "serve.py"
REPOSITORY = "tests/serve"
HOST = "registry.example.com"
"""Of no registry that is there: nodes ask the local one first."""


def pytest_addoption(parser):
    parser.addoption("--kubeconfig", type=Path, metavar="FILE", help="a cluster that is there (default: one is made)")


@pytest.fixture(scope="session")
async def supply(anyio_backend):
    """This machine's supply, whole, as for `test`."""
    found = Supply(choose("auto"))
    await docker.ensure(paths.state() / "docker")
    await found.fetch()
    return found


@pytest.fixture(scope="session")
async def kubectl(request, supply, tmp_path_factory):
    """On a cluster that goes with the tests, or on the one that is given."""
    tool, given = supply.tool("kubectl"), request.config.option.kubeconfig
    if given is not None:
        yield Kubectl(tool, await existing.existing_cluster(tool, given))
        return
    image = await supply.in_docker("docker.io/kindest/node")
    async with kind_cluster(supply.tool("kind"), tool, image, tmp_path_factory.mktemp("report")) as cluster:
        yield Kubectl(tool, cluster)


@pytest.fixture(scope="session")
def image(supply, tmp_path_factory):
    """The server's image, as the nodes get it."""
    base = f"--base={supply.registry.host_ref(supply.image(traffic.IMAGE))}"
    ref = supply.registry.host_ref(f"{registry.OTHERS}/{REPOSITORY}:tests")
    work = tmp_path_factory.mktemp("image")
    environment = ["--env=PYTHONPATH=/server"]
    digest = images.publish(supply.tool("crane"), ref, SERVER, work=work, base=[base], mutate=environment)
    return f"{HOST}/{REPOSITORY}@{digest}"


@pytest.fixture(scope="session")
async def place(request, supply, kubectl, image, tmp_path_factory):
    """The cluster, its stack ready and a model in its store, which the server does not read."""
    helm = Helm(supply.tool("helm"), kubectl.cluster)
    await install.install(StackContext(kubectl, helm, supply), lasting=request.config.option.kubeconfig is not None)
    models = tmp_path_factory.mktemp("models")
    model = models / "any" / "1" / "model"
    model.parent.mkdir(parents=True)
    model.write_text("of no use\n")
    await model_store.install(kubectl, supply, models)
    return Place(kubectl, helm, supply.tool("kubectl-argo-rollouts"), image, model_store.uri("any", "1"))
