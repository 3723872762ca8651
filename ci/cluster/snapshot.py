"""A cluster's node kept as it is, with all that is on the cluster, and nodes that begin from there.

What a node is made of is its container's layer, which `docker commit` keeps, and its volume /var, which it does not:
the pods' images and etcd's data. Pods are not kept: each is made anew where the node begins, so nothing of what the API
server then says is of the time before.
"""

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import yaml

from ci.base import command, paths, tasks
from ci.base.errors import CommandError
from ci.base.wait import NotYet, until
from ci.cluster import runs
from ci.cluster.cluster import API_PORT, Cluster
from ci.cluster.kubectl import Kubectl
from ci.host import client

FOLDER = "snapshots"
KUBECONFIG = "kubeconfig"
REST_SECONDS = 60.0
COPY_SECONDS = 300.0
VAR = "/var"
API_SERVER = "kube-apiserver"
NODES = "--selector=node-role.kubernetes.io/control-plane"
LABEL = "ml-serving-ci.snapshot"
"""On image and volume: the snapshot's key."""
HOSTNAME = "ml-serving-ci.snapshot.hostname"
"""On the image: the node's name, which the cluster knows it by."""
RUNS = (
    "--tty",
    "--privileged",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--tmpfs=/tmp",
    "--tmpfs=/run",
    "--volume=/lib/modules:/lib/modules:ro",
    "--env=KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER",
    "--restart=on-failure:1",
    "--init=false",
    "--cgroupns=private",
)
"""As kind's own Docker provider runs a node (pkg/cluster/internal/providers/docker/provision.go)."""


@dataclass(frozen=True)
class Snapshot:
    """A node that was kept.

    Attributes:
        key: Of all that it was made from.
    """

    key: str

    @property
    def image(self) -> str:
        """Its container's layer, upon the node image."""
        return f"ml-serving-ci/snapshot:{self.key}"

    @property
    def volume(self) -> str:
        """Its /var."""
        return f"ml-serving-ci-snapshot-{self.key}"

    @property
    def kubeconfig(self) -> Path:
        """Access to what begins from it, but for the address."""
        return paths.state() / FOLDER / self.key / KUBECONFIG

    @property
    def made(self) -> datetime:
        """When it was kept, in local time."""
        return datetime.fromtimestamp(self.kubeconfig.stat().st_mtime).astimezone()

    async def is_there(self) -> bool:
        """Return whether all parts of it are on this machine; the kubeconfig is written last."""
        return (
            self.kubeconfig.exists()
            and await client.inspect("image", self.image) is not None
            and await client.inspect("volume", self.volume) is not None
        )


async def save(snapshot: Snapshot, cluster: Cluster, kubectl: Kubectl) -> None:
    """Keep a cluster's node as it is now; the cluster itself is of no use after that.

    Snapshots of other keys go: each takes more than a gigabyte.

    Args:
        snapshot: What to call it.
        cluster: The cluster, of one node.
        kubectl: On the cluster.

    Raises:
        CommandError: Docker or the cluster refused a step; nothing is kept.
        WaitTimeoutError: The cluster did not come to rest.
    """
    node = cluster.node
    await _rest(node, kubectl)
    await remove()
    label = f"{LABEL}={snapshot.key}"
    try:
        await command.run(["docker", "stop", "--time=30", node], timeout=60)
        shown = await client.inspect("container", node)
        assert shown is not None, "it was just stopped"
        changes = [f"--change=LABEL {label}", f"--change=LABEL {HOSTNAME}={shown['Config']['Hostname']}"]
        await command.run(["docker", "commit", *changes, node, snapshot.image], timeout=COPY_SECONDS)
        await command.run(["docker", "volume", "create", f"--label={label}", snapshot.volume], timeout=30)
        await _copy(_var(shown), snapshot.volume, snapshot.image)
        _write(snapshot.kubeconfig, cluster.kubeconfig.read_text())
    except BaseException:
        with tasks.clean_up("remove what there is of the snapshot"), anyio.CancelScope(shield=True):
            await remove()
        raise


async def _rest(node: str, kubectl: Kubectl) -> None:
    """Have the cluster's controllers know that no pod runs any more, and the API server end in order.

    Pods wait to be let in: one that starts before kube-proxy finds no Service, and ends. A lease that is left would
    have the next leader wait for its end, and an address of an API server that is gone would get every other call.
    """
    await command.run(["docker", "exec", node, "systemctl", "stop", "kubelet"], timeout=60)
    await kubectl.run("cordon", NODES)
    await kubectl.run("delete", "pods", "--all", "--all-namespaces", "--force", "--grace-period=0")
    await until("every pod is to be made anew", lambda: _at_rest(kubectl), timeout=REST_SECONDS, interval=0.2)
    await kubectl.run("delete", "leases", "--all", "--all-namespaces")
    await command.run(["docker", "exec", node, "pkill", "--signal=TERM", "--exact", API_SERVER], timeout=30)
    await until("the API server takes no call", lambda: _closed(node), timeout=REST_SECONDS, interval=0.2)


async def _at_rest(kubectl: Kubectl) -> None:
    for each in await kubectl.get_list("deployments,statefulsets,daemonsets", all_namespaces=True):
        if ready := each["status"].get("readyReplicas") or each["status"].get("numberReady"):
            raise NotYet(f"{each['kind']} {each['metadata']['name']} has {ready} ready pods")


async def _closed(node: str) -> None:
    """Hold once the API server's port is closed: it has signed off by then, and ends when the last watch has."""
    look = ["docker", "exec", node, "ss", "--no-header", "--listening", "--tcp", f"sport = :{API_PORT}"]
    if found := (await command.run(look, timeout=30)).stdout.strip():
        raise NotYet(found)


async def begin(snapshot: Snapshot, cluster: Cluster, here: client.Client) -> None:
    """Run a node that begins from a snapshot, as kind would run a new one, and write the cluster's kubeconfig.

    Args:
        snapshot: It is there.
        cluster: Which cluster that makes; its network and folder are there.
        here: Where this process stands to Docker.
    """
    node = cluster.node
    image = await client.inspect("image", snapshot.image)
    assert image is not None, "it is there"
    hostname = image["Config"]["Labels"][HOSTNAME]
    await command.run(
        ["docker", "create", *RUNS, f"--name={node}", f"--hostname={hostname}", f"--network={cluster.network}",
         f"--network-alias={hostname}", f"--label={runs.KIND_LABEL}={cluster.name}",
         f"--label={runs.KIND_ROLE_LABEL}=control-plane", f"--publish={here.published}::{API_PORT}/tcp",
         f"--mount=type=volume,destination={VAR},volume-nocopy", "--pull=never", snapshot.image],
        timeout=60,
    )  # fmt: skip
    shown = await client.inspect("container", node)
    assert shown is not None, "it was just made"
    await _copy(snapshot.volume, _var(shown), snapshot.image)
    await command.run(["docker", "start", node], timeout=60)
    access = yaml.safe_load(snapshot.kubeconfig.read_text())
    access["contexts"][0]["name"] = access["current-context"] = cluster.context
    _write(cluster.kubeconfig, yaml.safe_dump(access))


async def let_in(kubectl: Kubectl) -> None:
    """Have pods start on a node that began from a snapshot, as soon as they find Services there."""
    await until("kube-proxy is ready", lambda: _proxied(kubectl), timeout=REST_SECONDS, interval=0.2)
    await kubectl.run("uncordon", NODES)


async def _proxied(kubectl: Kubectl) -> None:
    try:
        proxy = await kubectl.get("daemonset", "kube-proxy", "kube-system")
    except CommandError as error:
        raise NotYet(error.message) from error
    if proxy is None or not proxy["status"].get("numberReady"):
        raise NotYet("not yet")


async def remove() -> list[str]:
    """Remove every snapshot, and what there is of one that was not finished.

    Returns:
        What was removed, each in a few words.
    """
    shutil.rmtree(paths.state() / FOLDER, ignore_errors=True)
    removed = []
    for kind in ("image", "volume"):
        found = await command.run(["docker", kind, "ls", "--quiet", f"--filter=label={LABEL}"], timeout=30)
        for each in dict.fromkeys(found.stdout.split()):
            await command.run(["docker", kind, "rm", "--force", each], timeout=60)
            removed.append(f"{kind} {each} of a snapshot")
    return removed


def _var(container: dict[str, Any]) -> str:
    """Return the volume that is a node's /var."""
    return next(str(mount["Name"]) for mount in container["Mounts"] if mount["Destination"] == VAR)


async def _copy(volume: str, target: str, image: str) -> None:
    """Copy all of a volume, with what only root may: devices, owners, extended attributes of overlay file systems."""
    await command.run(
        ["docker", "run", "--rm", "--privileged", "--network=none", "--pull=never", "--entrypoint=cp",
         f"--mount=type=volume,source={volume},destination={VAR},readonly,volume-nocopy",
         f"--mount=type=volume,source={target},destination=/to,volume-nocopy", image, "--archive", f"{VAR}/.", "/to"],
        timeout=COPY_SECONDS,
    )  # fmt: skip


def _write(kubeconfig: Path, content: str) -> None:
    kubeconfig.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(content)
