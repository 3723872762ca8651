"""Stage `gitops`: Argo CD on the cluster, and versions that move by commits alone."""

from ci import command
from ci.cluster.stack import install
from ci.cluster.stack.component import StackContext
from ci.errors import UsageError
from ci.stages import suite
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Install Argo CD, serve a copy of this repository to it, and take one version through and a bad one back."""
    if run.cluster.network is None:
        raise UsageError("gitops: an existing cluster has no way to a git server on this machine", fix="--skip gitops")
    await install.install(StackContext(run.kubectl, run.helm, run.supply), [install.ARGOCD])
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    shown = await command.run(["docker", "network", "inspect", run.cluster.network, f"--format={gateway}"], timeout=30)
    await suite.gitops(run, shown.stdout.strip())
