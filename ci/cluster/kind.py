"""A throw-away cluster made by kind, in Docker."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import yaml

from ci.base import command, tasks
from ci.base.errors import CheckFailedError, CommandError, UsageError, WaitTimeoutError
from ci.base.progress import step
from ci.base.wait import NotYet, until
from ci.cluster import clean, node, runs, snapshot
from ci.cluster.cluster import API_PORT, Cluster
from ci.cluster.kubectl import Kubectl
from ci.cluster.snapshot import Snapshot
from ci.host import client, docker
from ci.supply import registry

CREATE_SECONDS = 300.0
READY_SECONDS = 120.0
CONTAINERD = f"""\
[plugins."io.containerd.grpc.v1.cri"]
  # on a machine without CAP_SYS_RESOURCE no process may lower its own score
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{node.HOSTS_FOLDER}"
"""
KUBELET = {
    "kind": "KubeletConfiguration",
    "failCgroupV1": False,
    # the registry is next door: pull as fast as it goes
    "registryPullQPS": 0,
    "serializeImagePulls": False,
    # how long a changed Secret takes to reach a pod: Prometheus gets its targets by one
    "syncFrequency": "5s",
}
GARBAGE = [{"name": "GOGC", "value": "400"}]
"""Go's own 100 has each of the control plane's programs collect whenever its heap has doubled, which it does all the
while that a stack arrives: a third of the API server's processor time."""
CONTROL_PLANE = {
    "kind": "ClusterConfiguration",
    # nothing survives the cluster, so nothing need reach the disk
    "etcd": {"local": {"extraArgs": {"unsafe-no-fsync": "true"}, "extraEnvs": GARBAGE}},
    # there is one of each: nobody to elect
    "controllerManager": {"extraArgs": {"leader-elect": "false"}, "extraEnvs": GARBAGE},
    "scheduler": {"extraArgs": {"leader-elect": "false"}, "extraEnvs": GARBAGE},
}
API_SERVER = [*GARBAGE, {"name": "GOMEMLIMIT", "value": "1100MiB"}]
"""With everything installed some 600 MiB of its heap are in use; Go by itself lets that double before it collects. At
900 it collected twice as often as without a limit."""

SERVICES = "10.96.0.0/16"
"""kind's default range of Service addresses."""
FENCE = f"""\
table inet ml-serving-ci {{
  chain output {{
    type filter hook output priority filter
    oifname eth0 ip daddr {SERVICES} reject with tcp reset
  }}
  chain forward {{
    type filter hook forward priority filter
    oifname eth0 ip daddr {SERVICES} reject with tcp reset
  }}
}}
"""
"""Until kube-proxy knows a Service, packets to it would leave the node for whatever answers there outside, and
the API server would keep such a connection to an aggregated API for good; refused, it tries again."""


def config(image: str, here: client.Client) -> dict[str, Any]:
    """Return kind's configuration of a cluster of one node.

    Args:
        image: The node image.
        here: Where this process stands to it.
    """
    # beside those that kind itself names: the addresses under which the API server is called from here
    server = {"apiServer": {"certSANs": [client.LOOPBACK, here.host], "extraEnvs": API_SERVER}}
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"kubeProxyMode": "nftables", "apiServerAddress": here.published},
        "containerdConfigPatches": [CONTAINERD],
        "kubeadmConfigPatches": [yaml.safe_dump(patch) for patch in (KUBELET, CONTROL_PLANE | server)],
        "nodes": [{"role": "control-plane", "image": image}],
    }


@asynccontextmanager
async def kind_cluster(
    kind: Path, kubectl: Path, image: str | Snapshot, report: Path, *, name: str | None = None, keep: bool = False
) -> AsyncIterator[Cluster]:
    """Have a kind cluster for as long as a block runs.

    Args:
        kind: The kind executable.
        kubectl: The kubectl executable.
        image: The node image, in Docker; or what was kept of a cluster.
        report: Folder that gets the node's logs when it does not come up.
        name: The run's name instead of a random one.
        keep: Leave the cluster when the block ends, well or badly; an interrupted run removes it all the same.

    Yields:
        The cluster, its node Ready.

    Raises:
        CheckFailedError: It did not come up.
        UsageError: There is a cluster of that name, or the name is not one.
    """
    cluster = await create(kind, kubectl, image, report, run=name or runs.new_id(), keep=keep)
    try:
        yield cluster
    except anyio.get_cancelled_exc_class():
        keep = False
        raise
    finally:
        if not keep:
            with anyio.CancelScope(shield=True), step(f"delete cluster {cluster.name}"):
                await clean.delete(cluster.name, owner=runs.Owner.me())


async def create(kind: Path, kubectl: Path, image: str | Snapshot, report: Path, *, run: str, keep: bool) -> Cluster:
    """Make a cluster, or leave nothing of it.

    Args:
        kind: The kind executable.
        kubectl: The kubectl executable.
        image: The node image, in Docker; or what was kept of a cluster.
        report: Folder that gets the node's logs when it does not come up.
        run: The run's id or name.
        keep: Whether it is meant to outlive this process.

    Returns:
        The cluster, its node Ready.

    Raises:
        CheckFailedError: It did not come up.
        UsageError: There is a cluster of that name, or the name is not one.
    """
    name = runs.cluster_name(run)
    await require_free(run)
    cluster = Cluster(name, runs.folder(name) / "kubeconfig", f"kind-{name}", name)
    logs = report / "kind"
    try:
        with step(f"create cluster {name}"):
            here = await client.find()
            await _network(name, run, keep)
            await here.join(name)
            if isinstance(image, Snapshot):
                await snapshot.begin(image, cluster, here)
            else:
                await _node(kind, await node.with_mirrors(image), cluster, here)
            await _reach(cluster, here)
            await _mark_nodes(name)
            talk = Kubectl(kubectl, cluster)
            await until("the node is Ready", lambda: _ready(talk), timeout=READY_SECONDS, interval=0.2)
            if isinstance(image, Snapshot):
                await snapshot.let_in(talk)
    except UsageError:
        raise  # somebody else took the name in between: what is there is not ours
    except (CommandError, WaitTimeoutError) as error:
        with tasks.clean_up(f"delete cluster {name}"), anyio.CancelScope(shield=True):
            await _export_logs(kind, name, logs)
            await clean.delete(name, owner=runs.Owner.me())
        raise CheckFailedError(
            f"the cluster {name} did not come up: {error.message}", fix=f"See {logs}", detail=error.detail
        ) from error
    except BaseException:
        with tasks.clean_up(f"delete cluster {name}"), anyio.CancelScope(shield=True):
            await clean.delete(name, owner=runs.Owner.me())
        raise
    return cluster


async def require_free(run: str) -> None:
    """Raise where there is a cluster of this name, whoever made it.

    Args:
        run: The run's id or name.

    Raises:
        UsageError: There is; what is not ours is named. Or the name is not one.
    """
    name = runs.cluster_name(run)
    if name in {found.name for found in await clean.clusters()}:
        raise UsageError(f"there is a cluster {run} already", fix=f"python ci/main.py cluster down --name {run}")
    looks = (
        ("container", "ps", "--all", f"--filter=label={runs.KIND_LABEL}={name}", "--format={{.Names}}"),
        ("container", "ps", "--all", f"--filter=name=^/?{name}-control-plane$", "--format={{.Names}}"),
        ("network", "network", "ls", f"--filter=name=^{name}$", "--format={{.Name}}"),
    )
    things: dict[str, None] = {}
    for what, *look in looks:
        found = await command.run(["docker", *look], timeout=30)
        things |= dict.fromkeys(f"{what} {thing}" for thing in found.stdout.split())
    folder = runs.folder(name)
    if not _is_empty(folder):
        things[f"folder {folder}"] = None
    if things:
        raise UsageError(
            f"the name {run} is taken, and not by a cluster of this tool: {', '.join(things)}",
            fix="Choose another --name; nothing of it was touched.",
        )


def _is_empty(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False  # another user's, or no folder


async def _network(name: str, run: str, keep: bool) -> None:
    """Make the run's own Docker network, put the registry on it, and mark the cluster's folder as ours."""
    owner = str(runs.Owner.me())
    labels = (
        f"--label={runs.RUN_LABEL}={run}",
        f"--label={runs.OWNER_LABEL}={owner}",
        f"--label={runs.KEEP_LABEL}={str(keep).lower()}",
    )
    mtu = '{{index .Options "com.docker.network.driver.mtu"}}'
    shown = await command.run(["docker", "network", "inspect", "bridge", f"--format={mtu}"], check=False, timeout=30)
    # as kind does for its own: a network does not take the daemon's setting over by itself
    options = [f"--opt=com.docker.network.driver.mtu={shown.stdout.strip()}"] if shown.stdout.strip() else []
    try:
        network = await docker.create_network(name, *labels, *options)
    except CommandError as error:
        if "already exists" in error.stderr:
            await require_free(run)
        raise
    folder = runs.folder(name)
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    runs.Mark(network, owner, keep, datetime.now(UTC)).write(name)
    await command.run(["docker", "network", "connect", name, registry.CONTAINER], timeout=60)


async def _node(kind: Path, image: str, cluster: Cluster, here: client.Client) -> None:
    """Run kind."""
    folder = cluster.kubeconfig.parent
    file = folder / "kind.yaml"
    file.write_text(yaml.safe_dump(config(image, here)))
    await command.run(
        [kind, "create", "cluster", f"--name={cluster.name}", f"--config={file}", f"--kubeconfig={cluster.kubeconfig}",
         "--retain", "--quiet"],
        env={"KIND_EXPERIMENTAL_PROVIDER": "docker", "KIND_EXPERIMENTAL_DOCKER_NETWORK": cluster.name}
        | runs.environment(),
        timeout=CREATE_SECONDS,
    )  # fmt: skip


async def _reach(cluster: Cluster, here: client.Client) -> None:
    """Write the node's address into the kubeconfig, leave that for this user alone, and put up the fence."""
    address = await here.address(cluster.node, API_PORT, cluster.name)
    access = yaml.safe_load(cluster.kubeconfig.read_text())
    access["clusters"][0]["cluster"]["server"] = f"https://{address}"
    cluster.kubeconfig.write_text(yaml.safe_dump(access))
    cluster.kubeconfig.chmod(0o600)
    await command.run(
        ["docker", "exec", "--interactive", cluster.node, "nft", "--file", "-"],
        stdin=FENCE,
        timeout=30,
    )


async def _mark_nodes(name: str) -> None:
    """Note the ids of the nodes in the cluster's mark: they are ours by it even if the network goes."""
    mark = runs.Mark.read(name)
    assert mark is not None, "the network comes first"
    found = await command.run(
        ["docker", "ps", "--all", "--quiet", "--no-trunc", f"--filter=label={runs.KIND_LABEL}={name}",
         f"--filter=network={mark.network}"],
        timeout=30,
    )  # fmt: skip
    replace(mark, containers=tuple(found.stdout.split())).write(name)


async def _ready(kubectl: Kubectl) -> None:
    """Hold once the node is Ready and pods can be made: kind itself only warns when they cannot (kind#2654)."""
    try:
        there = await kubectl.get_list("nodes,serviceaccounts", "default")
    except CommandError as error:
        raise NotYet(error.message) from error
    except json.JSONDecodeError as error:
        raise NotYet("no answer") from error
    nodes = [found for found in there if found["kind"] == "Node"]
    accounts = [found["metadata"]["name"] for found in there if found["kind"] == "ServiceAccount"]
    for found in nodes:
        conditions = {condition["type"]: condition for condition in found["status"].get("conditions", [])}
        ready = conditions.get("Ready", {"status": "Unknown", "message": "the kubelet has not reported"})
        if ready["status"] != "True":
            raise NotYet(f"node {found['metadata']['name']}: {ready['message']}")
    if not nodes:
        raise NotYet("no node")
    if "default" not in accounts:
        raise NotYet("no service account yet")


async def _export_logs(kind: Path, name: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    await command.run(
        [kind, "export", "logs", folder, f"--name={name}"], env=runs.environment(), check=False, timeout=120
    )
