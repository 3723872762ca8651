"""What `bump`, `promote`, `rollback` and `watch` share: where a change of the tree is written, and how that is told."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ci.base import settings
from ci.base.command import redacted
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.secret import Secret
from ci.commands.options import RemoteOption as RemoteOption
from ci.supply import tools
from ci.tree import git, writeback
from ci.tree.git import Repository, Snapshot
from ci.tree.writeback import Change, Edit, LocalBranch, RemoteBranch, Target

if TYPE_CHECKING:
    from ci.cluster.kubectl import Kubectl

BranchOption = Annotated[
    str | None,
    typer.Option(
        "--branch", metavar="B", help="Branch that Argo CD watches; the project file's, or the one checked out."
    ),
]
PushOption = Annotated[bool, typer.Option("--push", help="Write to the remote's branch; the clone stays as it is.")]
PullRequestOption = Annotated[bool, typer.Option("--pr", help="Open or update a pull request instead.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the change and what is checked; write nothing.")]
AppOption = Annotated[
    str | None, typer.Option("--app", metavar="NAME", help="Which application, where the environment has several.")
]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the commit.")]
OverRevertOption = Annotated[
    str | None,
    typer.Option(
        "--over-revert", metavar="REASON", help="Bring what a person took back all the same; the commit says why."
    ),
]
KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="FILE", help="The cluster; $KUBECONFIG or ~/.kube/config.")
]
ContextOption = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Its context; the file's current one by default.")
]
BreakGlassOption = Annotated[
    str | None,
    typer.Option(
        "--break-glass", metavar="REASON", help="Into a protected environment without evidence; the commit says why."
    ),
]
EvidenceOption = Annotated[str, typer.Option("--evidence", metavar="URL", help="Where it can be checked.")]


@dataclass(frozen=True)
class Destination:
    """Where a change goes.

    Attributes:
        project: The project's folder, in a clone.
        remote: Name or URL.
        branch: Its name; the remote's, or the clone's, own by default.
        push: To the remote's branch.
        pr: By a pull request.
        dry_run: Nowhere.
    """

    project: Path
    remote: str
    branch: str | None
    push: bool
    pr: bool
    dry_run: bool = False


async def write(destination: Destination, change: Change, component: str) -> None:
    """Carry a change out and print what became of it.

    Args:
        destination: Where it goes.
        change: Returns the edit that the tree needs.
        component: What of an application moves: it has a pull request of its own.
    """
    repository, target = await _opened(destination)
    if destination.dry_run:
        snapshot = Snapshot(repository, await target.tip(), target.branch)
        edit = await change(snapshot)
        typer.echo(await _preview(snapshot, edit) if edit else "nothing to change", nl=edit is None)
        return
    if destination.pr:
        from ci.commands import requesting  # no other way to write asks a forge

        branch = await requesting.branch(repository, destination.remote, target.branch, component, token())
        if (commit := await _written(repository, branch, change)) is not None:
            typer.echo(await branch.request(commit))
    elif await _written(repository, target, change) is not None:
        typer.echo(_place(destination, repository, target.branch))


async def _written(repository: Repository, target: Target, change: Change) -> str | None:
    """Write a change, and print its commit, which is returned; None where there is nothing to change."""
    written = await writeback.write(repository, target, change)
    if written is None:
        typer.echo(f"nothing to change on {target.branch}")
        return None
    subject, _, _ = written.edit.message.partition("\n")
    typer.echo(f"{written.commit[:12]} {subject}")
    return written.commit


async def tip(destination: Destination) -> Snapshot:
    """Return the tree as it is where changes go."""
    repository, target = await _opened(destination)
    return Snapshot(repository, await target.tip(), target.branch)


async def kubectl(kubeconfig: Path | None, context: str | None) -> "Kubectl":
    """Return kubectl on the cluster that the options name."""
    from ci.cluster.existing import existing_cluster  # most commands ask no cluster
    from ci.cluster.kubectl import Kubectl

    tool = tools.installed("kubectl")
    file = kubeconfig or settings.kubeconfig()
    return Kubectl(tool, await existing_cluster(tool, file, context))


async def _opened(destination: Destination) -> tuple[Repository, Target]:
    if destination.push and destination.pr:
        raise UsageError("--push --pr: one of them", fix="--push writes to the branch, --pr asks for a review.")
    if not (destination.push or destination.pr):
        repository = await git.opened(destination.project)
        return repository, LocalBranch(repository, destination.branch or await repository.current_branch())
    repository = await git.opened(destination.project, destination.remote, token())
    branch = destination.branch or await repository.default_branch(destination.remote)
    return repository, RemoteBranch(repository, destination.remote, branch)


def token() -> Secret | None:
    """Return the token of an https remote and of GitHub's API, where one is set."""
    return settings.secret(*settings.TOKENS, user="x-access-token")


async def _preview(snapshot: Snapshot, edit: Edit) -> bytes:
    """Return what would be written as a diff that `git apply` takes, and the commit's message."""
    patch = await snapshot.patch(await edit.files(snapshot))
    taken = ", the chart takes the result" if edit.rendered else ""
    note(f"checked: the keys are there, no quarantine{taken}; not written (--dry-run)")
    return patch + f"\n{edit.message}".encode()


def _place(destination: Destination, repository: Repository, branch: str) -> str:
    """Return where a commit is, and how it gets on from there."""
    remote = redacted(destination.remote, repository.secrets)
    if destination.push:
        return f"pushed to {remote}, branch {branch}"
    folder = shlex.quote(str(repository.folder))
    where = f"here, branch {branch} of {repository.folder}"
    return f"{where}; not pushed: git -C {folder} push {remote} {shlex.quote(branch)}"
