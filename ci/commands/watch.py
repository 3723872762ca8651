"""`watch`: aborted Rollouts become revert commits."""

from pathlib import Path

from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release import watch as watching
from ci.release.watch import Watch
from ci.tree.writeback import Change


def watch(
    environment: EnvironmentOption,
    app: writing.AppOption = None,
    kubeconfig: writing.KubeconfigOption = None,
    context: writing.ContextOption = None,
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
) -> None:
    """Watch an environment's Rollouts; one that is found bad is rolled back in git, with what its analysis measured.

    A canary that was stopped without a verdict is told of, and left to people. Runs until it is stopped. Started again,
    it first looks at what happened in between.
    """
    run_async(_watch, environment, app, (kubeconfig, context), Destination(here.folder(), remote, branch, push, pr))


async def _watch(
    environment: str,
    app: str | None,
    cluster: tuple[Path | None, str | None],
    destination: Destination,
) -> None:
    kubectl = await writing.kubectl(*cluster)

    async def write(change: Change, name: str) -> None:
        await writing.write(destination, change, "rollback")

    await watching.follow(Watch(kubectl, environment, app, lambda: writing.tip(destination), write))
