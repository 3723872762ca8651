"""The real tools that the fault tests run."""

import anyio
import pytest

from ci.base import paths
from ci.commands.cluster import NODE_IMAGES
from ci.host import docker
from ci.supply.supply import Supply
from ci.supply.ways import choose


@pytest.fixture(scope="session")
def tools() -> tuple[str, str, str]:
    """kind, kubectl and the node image in Docker."""

    async def prepare() -> tuple[str, str, str]:
        await docker.ensure(paths.state() / "docker")
        supply = Supply(choose("auto"))
        await supply.fetch(["kind", "kubectl", *NODE_IMAGES])
        image = await supply.in_docker("docker.io/kindest/node")
        return str(supply.tool("kind")), str(supply.tool("kubectl")), image

    return anyio.run(prepare)
