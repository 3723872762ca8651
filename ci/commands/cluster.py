"""`cluster`: throw-away clusters by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ci.base import paths, text
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.cluster import clean as cleaning
from ci.cluster import runs, snapshot
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.host import docker

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Throw-away clusters in Docker, made by kind.",
)

NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Which cluster; may be left out where there is one.")
]
UNSEEN = "in use, or not: its process cannot be seen from here"
JSONOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
NODE_IMAGES = (
    "docker.io/kindest/node",
    "registry.k8s.io/coredns/coredns",
    "registry.k8s.io/etcd",
    "registry.k8s.io/kube-apiserver",
    "registry.k8s.io/kube-controller-manager",
    "registry.k8s.io/kube-proxy",
    "registry.k8s.io/kube-scheduler",
    "registry.k8s.io/pause",
)


@app.command()
def up(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it; a random name by default.")
    ] = None,
    supply: SupplyOption = "auto",
) -> None:
    """Make a cluster that stays until `cluster down`, and print its kubeconfig's path."""
    typer.echo(run_async(_up, name, supply))


@app.command()
def down(name: NameOption = None) -> None:
    """Remove a cluster with everything that belongs to it."""
    for line in run_async(_down, name):
        typer.echo(f"removed {text.visible(line)}")


@app.command()
def status(as_json: JSONOption = False) -> None:
    """Show the clusters there are: nodes, and whether one is in use, kept or left over, or its run cannot be seen."""
    found: list[cleaning.Found] = run_async(_clusters)
    if as_json:
        rows = [
            {"name": cluster.name, "run": cluster.run, "state": cluster.state, "nodes": cluster.nodes}
            for cluster in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    for cluster in found:
        nodes = ", ".join(f"{node} ({state})" for node, state in cluster.nodes.items())
        state = UNSEEN if cluster.state == "unknown" else cluster.state
        file = _kubeconfig_of(cluster)
        # a network can have any name: one with a line or a tab in it would be read as another cluster
        shown = (cluster.run, state, nodes or "-", str(file) if file.exists() else "-")
        typer.echo("\t".join(map(text.visible, shown)))
    if not found:
        typer.echo("no cluster", err=True)


@app.command()
def kubeconfig(name: NameOption = None) -> None:
    """Print the path of a cluster's kubeconfig: export KUBECONFIG=$(python ci/main.py cluster kubeconfig)."""
    typer.echo(run_async(_kubeconfig, name))


@app.command()
def clean(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="This cluster only, whatever its state.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Kept clusters and those in use too.")] = False,
    services: Annotated[
        bool,
        typer.Option("--services", help="Then snapshots, registry, Dagger engine and a Docker started here too."),
    ] = False,
) -> None:
    """Remove what killed runs left: containers, networks, volumes, programs, files."""
    removed = run_async(_down, name) if name else run_async(_clean, everything, services)
    for line in removed:
        typer.echo(f"removed {text.visible(line)}")
    if not removed:
        typer.echo("nothing to remove")


async def _up(name: str | None, supply_way: str) -> Path:
    from ci.cluster import kind  # takes a moment to load
    from ci.supply.supply import Supply
    from ci.supply.ways import choose

    run = name or runs.new_id()
    runs.cluster_name(run)
    await docker.ensure(paths.state() / "docker")
    await kind.require_free(run)
    supply = Supply(choose(supply_way))
    await supply.fetch(["kind", "kubectl", *NODE_IMAGES])
    image = await supply.in_docker("docker.io/kindest/node")
    cluster = await kind.create(
        supply.tool("kind"), supply.tool("kubectl"), image, paths.state() / "logs" / run, run=run, keep=True
    )
    note(f"remove it: python ci/main.py cluster down --name {run}")
    return cluster.kubeconfig


async def _down(name: str | None) -> list[str]:
    return await cleaning.delete((await _chosen(name, of=("kept", "left over"))).name)


async def _clean(everything: bool, services: bool) -> list[str]:
    if await docker.find() is None:  # without a daemon there are no clusters, and programs of a killed run at most
        return cleaning.stop_strays()
    removed = await cleaning.clean(everything=everything)
    if services:
        left = [cluster.run for cluster in await cleaning.clusters() if cluster.network or cluster.nodes]
        if left:
            raise UsageError(f"--services: {', '.join(left)} needs them", fix="Add --all to remove the clusters too.")
        from ci.host import engine

        await engine.require_unused()
        removed += await snapshot.remove()
        removed += await docker.stop_services(paths.state() / "docker")
    return removed


async def _clusters() -> list[cleaning.Found]:
    await docker.ensure(paths.state() / "docker", install=False)
    return await cleaning.clusters()


async def _chosen(name: str | None, of: Sequence[cleaning.ClusterState] = ()) -> cleaning.Found:
    return chosen(await _clusters(), name, of)


def chosen(
    clusters: Sequence[cleaning.Found], name: str | None, of: Sequence[cleaning.ClusterState] = ()
) -> cleaning.Found:
    """Return the cluster of a name; without one, the only one there is.

    Args:
        clusters: All there are.
        name: The name of its run.
        of: Without a name only clusters in one of these states are meant; any, if none is said.

    Raises:
        UsageError: There is none, or more than one.
    """
    found = {cluster.run: cluster for cluster in clusters}
    if name in found:
        return found[name]
    if name is not None:
        has = f"--name, one of {', '.join(found)}" if found else "python ci/main.py cluster status"
        raise UsageError(f"--name {name}: this tool made no such cluster", fix=has)
    if not found:
        raise UsageError("there is no cluster", fix="python ci/main.py cluster up")
    meant = [cluster for cluster in found.values() if not of or cluster.state in of]
    if len(meant) == 1:
        return meant[0]
    said = "there is more than one cluster" if len(found) > 1 else f"a run may still use the cluster {', '.join(found)}"
    raise UsageError(said, fix=f"--name, one of {', '.join(found)}")


async def _kubeconfig(name: str | None) -> Path:
    cluster = await _chosen(name)
    file = _kubeconfig_of(cluster)
    if not file.exists():
        raise UsageError(
            f"the cluster {cluster.run} has no kubeconfig in {file.parent}: it has not come up, or another user or "
            "another cache has it",
            fix=f"kind get kubeconfig --name {cluster.name} > FILE",
        )
    return file


def _kubeconfig_of(cluster: cleaning.Found) -> Path:
    return runs.folder(cluster.name) / "kubeconfig"
