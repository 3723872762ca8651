"""A cluster with the stack on it, kept for runs that begin from there instead of from nothing."""

from pathlib import Path

from ci.base import locks, paths
from ci.base.progress import note, step
from ci.cluster import snapshot
from ci.cluster.helm import Helm
from ci.cluster.kind import kind_cluster
from ci.cluster.kubectl import Kubectl
from ci.cluster.snapshot import Snapshot
from ci.host import client
from ci.project import ArgoCD, Prometheus
from ci.stack import install, record
from ci.stack.component import StackContext
from ci.supply import pins
from ci.supply.supply import Supply


async def with_stack(supply: Supply, image: str, report: Path) -> Snapshot:
    """Return what was kept of a cluster with today's stack; where there is none, make one.

    Args:
        supply: Tools and images.
        image: The node image, in Docker.
        report: Folder that gets the node's logs when it does not come up.
    """
    node = await client.inspect("image", image)
    assert node is not None, "it is in Docker"
    key = pins.key(node["Id"], record.key(supply.way, Prometheus(), ArgoCD().namespace))
    wanted = Snapshot(key)
    async with locks.exclusive(paths.state() / "locks" / "snapshot", "the snapshot of a cluster with its stack"):
        if not await wanted.is_there():
            with step("keep a cluster with the stack, to begin from"):
                async with kind_cluster(supply.tool("kind"), supply.tool("kubectl"), image, report) as cluster:
                    context = StackContext(
                        Kubectl(supply.tool("kubectl"), cluster), Helm(supply.tool("helm"), cluster), supply
                    )
                    await install.install(context, lasting=True)
                    await snapshot.save(wanted, cluster, context.kubectl)
    note(f"the cluster begins from a snapshot of {wanted.made:%Y-%m-%d %H:%M}")
    return wanted
