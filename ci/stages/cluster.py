"""Stage `cluster`: a cluster of this run's own, or the one that was given."""

import json

from ci import sample
from ci.base.errors import MachineError
from ci.base.progress import note, warning
from ci.cluster.existing import existing_cluster, identity
from ci.cluster.kind import kind_cluster
from ci.cluster.snapshot import Snapshot
from ci.project import FILE
from ci.stack import kept
from ci.stages.run import NAMESPACE, Run
from ci.tree import tree


async def execute(run: Run) -> None:
    """Make a kind cluster that goes when the run ends, or look at the given one and choose a namespace of our own."""
    kubectl = run.supply.tool("kubectl")
    if run.platform:
        await sample.trained(run.supply)  # builds first: one beside a control plane starves it
    if run.options.kubeconfig is not None:
        run.made_cluster = await existing_cluster(kubectl, run.options.kubeconfig, run.options.context)
        run.namespace = f"{NAMESPACE}-{run.id}"
        note(f"cluster {run.cluster.name}, namespace {run.namespace}")
        run.report.unproven = await _unproven(run)
        if run.report.unproven and not run.report.left_out:
            warning("no evidence will be written", run.report.unproven)
        return
    node = await run.supply.in_docker("docker.io/kindest/node")
    begins: str | Snapshot = node
    if run.options.snapshot:
        begins = await kept.with_stack(run.supply, node, run.options.report)
        run.report.unproven = "its cluster began from a snapshot"
    made = kind_cluster(run.supply.tool("kind"), kubectl, begins, run.options.report, keep=run.options.keep)
    run.made_cluster = await run.cleanup.enter_async_context(made)


async def _unproven(run: Run) -> str:
    """Find out which existing cluster this is, and return why a run on it is no evidence; nothing where it counts.

    Where the change has a base, its project file decides: no change lets a cluster of its own in.
    """
    try:
        cluster = run.report.cluster = await identity(run.kubectl)
    except MachineError as error:
        return error.message
    base = run.scope.base if run.scope is not None else None
    counted = (await tree.project(base)).cluster if base is not None else run.project.cluster
    if counted.named(cluster.uid) is not None:
        return ""
    whose = f"{FILE} of {base.commit[:12]}" if base is not None else FILE
    entry = f"{json.dumps(cluster.context)} = {json.dumps(cluster.uid)}"
    return f"{whose} does not count this cluster; its line under [cluster.evidence]: {entry}"
