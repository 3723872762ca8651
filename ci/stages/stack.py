"""Stage `stack`: what the chart needs is on the cluster and answers."""

from ci import tasks
from ci.cluster import model_store
from ci.cluster.stack import install
from ci.cluster.stack.component import StackContext
from ci.models import models
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Bring up Istio, Argo Rollouts, KServe, Prometheus, the metrics APIs, and the model store with its models."""
    context = StackContext(run.kubectl, run.helm, run.supply)
    async with tasks.group() as group:
        group.start_soon(_model_store, run)
        await install.install(context, allowed=run.options.kubeconfig is None or run.options.allow_install)


async def _model_store(run: Run) -> None:
    trained = await models.trained(run.supply)
    await model_store.install(run.kubectl, run.supply, trained)
