"""Stage `cluster`: a cluster of this run's own, or the one that was given."""

from ci import sample
from ci.base.progress import note
from ci.cluster.existing import existing_cluster
from ci.cluster.kind import kind_cluster
from ci.stages.run import NAMESPACE, Run


async def execute(run: Run) -> None:
    """Make a kind cluster that goes when the run ends, or look at the given one and choose a namespace of our own."""
    kubectl = run.supply.tool("kubectl")
    if run.platform:
        await sample.trained(run.supply)  # builds first: one beside a control plane starves it
    if run.options.kubeconfig is not None:
        run.made_cluster = await existing_cluster(kubectl, run.options.kubeconfig, run.options.context)
        run.namespace = f"{NAMESPACE}-{run.id}"
        note(f"cluster {run.cluster.name}, namespace {run.namespace}")
        return
    run.made_cluster = await run.cleanup.enter_async_context(
        kind_cluster(
            run.supply.tool("kind"),
            kubectl,
            await run.supply.in_docker("docker.io/kindest/node"),
            run.options.report,
            keep=run.options.keep,
        )
    )
