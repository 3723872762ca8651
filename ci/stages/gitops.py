"""Stage `gitops`: Argo CD on the cluster, and versions that move by commits alone."""

from ci import project
from ci.base import paths
from ci.base.errors import UsageError
from ci.host import client
from ci.stack import install
from ci.stack.component import StackContext
from ci.stages import suite
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Install Argo CD, serve a copy of this repository to it, and take one version through and a bad one back."""
    network = run.cluster.network
    if network is None:
        raise UsageError("gitops: an existing cluster has no way to a git server on this machine", fix="--skip gitops")
    address = await (await client.find()).heard_at(network)
    if address is None:
        raise UsageError("gitops: a cluster elsewhere has no way to a git server on this machine", fix="--skip gitops")
    own = project.load(paths.ROOT).argocd.namespace
    await install.install(StackContext(run.kubectl, run.helm, run.supply, argocd=own), [install.ARGOCD])
    await suite.gitops(run, address)
