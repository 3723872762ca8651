"""`promote`: the set that one environment runs well, to the next, by a commit."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ci.cluster.existing import existing_cluster
from ci.cluster.kubectl import Kubectl
from ci.commands import writing
from ci.commands.runner import run_async
from ci.commands.writing import Destination
from ci.progress import note
from ci.release import health
from ci.release.health import Health
from ci.release.promote import Look, Promote
from ci.release.tree import Application
from ci.report import jsonfile
from ci.supply import supply


def promote(
    source: Annotated[str, typer.Option("--from", metavar="ENV", help="The environment that runs it.")],
    target: Annotated[str, typer.Option("--to", metavar="ENV", help="The next one.")],
    app: writing.AppOption = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Cluster whose Argo CD says how the set is; $KUBECONFIG or ~/.kube/config.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Its context; the file's current one by default.")] = None,
    recorded: Annotated[
        Path | None,
        typer.Option("--recorded", metavar="FILE", help="What `watch --record` wrote, instead of a cluster."),
    ] = None,
    why: writing.WhyOption = "",
    evidence: writing.EvidenceOption = "",
    repo: writing.RepoOption = Path(),
    remote: writing.RemoteOption = "origin",
    branch: writing.BranchOption = None,
    push: writing.PushOption = False,
    pr: writing.PullRequestOption = False,
    dry_run: writing.DryRunOption = False,
) -> None:
    """Move chart revision, model and image together to the next environment, once they are proven in the earlier."""
    where = (repo, remote, branch, push, pr, dry_run)
    run_async(_promote, source, target, app, (kubeconfig, context, recorded), why, evidence, where)


async def _promote(
    source: str,
    target: str,
    app: str | None,
    seen: tuple[Path | None, str | None, Path | None],
    why: str,
    evidence: str,
    where: tuple[Path, str, str | None, bool, bool, bool],
) -> None:
    destination = Destination(*where)
    change = Promote(source, target, app, why, evidence, supply.installed("helm"), _look(*seen), note)
    await writing.write(destination, change.edit, "/".join([target, *([app] if app else []), "promote"]))


def _look(kubeconfig: Path | None, context: str | None, recorded: Path | None) -> Look:
    async def look(application: Application) -> Health:
        if recorded is not None:
            return jsonfile.read(recorded, Health)
        kubectl = supply.installed("kubectl")
        file = kubeconfig or Path(os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser())
        return await health.from_argo_cd(Kubectl(kubectl, await existing_cluster(kubectl, file, context)), application)

    return look
