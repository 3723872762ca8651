"""Stage `stack`: what the chart needs is on the cluster and answers."""

from ci import sample
from ci.base import tasks
from ci.cluster import model_store
from ci.manifests import crds
from ci.models import digests
from ci.stack import install
from ci.stack.component import StackContext
from ci.stages import namespaces
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Bring up Istio, Argo Rollouts, KServe, Prometheus, the metrics APIs, and the model store with its models."""
    context = StackContext(run.kubectl, run.helm, run.supply, run.prometheus)
    if run.options.kubeconfig is not None:  # nothing is touched there before it is known to be complete
        await install.install(context, allowed=run.options.allow_install, lasting=True)
        await _model_store(run)
        return
    async with tasks.group() as group:
        group.start_soon(_model_store, run)
        group.start_soon(_own_crds, run)
        await install.install(context, lasting=run.options.keep)


async def _own_crds(run: Run) -> None:
    if found := crds.own(run.options.project, run.project):
        await run.kubectl.apply(found)


async def _model_store(run: Run) -> None:
    if run.options.kubeconfig is not None:
        await namespaces.share(run, model_store.NAMESPACE)
    folder = await sample.trained(run.supply) if run.platform else None
    run.models = digests.of_files(folder) if folder is not None else {}
    await model_store.install(run.kubectl, run.supply, folder)
