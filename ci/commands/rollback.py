"""`rollback`: an environment back to its previous set, by a commit that also quarantines the failed one."""

from ci.commands import here, writing
from ci.commands.options import EnvironmentOption
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.release.rollback import Rollback


def rollback(
    environment: EnvironmentOption,
    app: writing.AppOption = None,
    why: writing.WhyOption = "rolled back by hand",
    evidence: writing.EvidenceOption = "",
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Return an environment to the set it ran before; bump and promote refuse the failed one until it is lifted."""
    destination = Destination(here.folder(), remote, branch, push, pr, dry_run)
    run_async(_rollback, environment, app, why, evidence, destination)


async def _rollback(environment: str, app: str | None, why: str, evidence: str, destination: Destination) -> None:
    change = Rollback(environment, app, why, evidence)
    await writing.write(destination, change.edit, "/".join([environment, *([app] if app else []), "rollback"]))
