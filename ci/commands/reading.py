"""What `history` and `status` share: which tree they look at, which clusters, and how a set is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ci.base.errors import MachineError
from ci.base.progress import note
from ci.base.text import one_line
from ci.cluster.kubectl import Kubectl
from ci.commands import here, writing
from ci.project import Environment
from ci.tree import git, tree
from ci.tree.git import Snapshot
from ci.tree.tree import KEYS, Release
from ci.tree.writeback import LocalBranch

RemoteOption = Annotated[
    str | None,
    typer.Option("--remote", metavar="NAME", help="Look at this remote's branch; at what is checked out by default."),
]
SHORT = 12
"""Digits of a hash that people are shown."""
NONE = "–"
"""What is not known."""


async def snapshot(remote: str | None, branch: str | None) -> Snapshot:
    """Return the tree that is looked at: a remote's branch as it is now, or what this clone has.

    Args:
        remote: Name or URL; this clone by default.
        branch: The branch; the remote's own, or what is checked out, by default.
    """
    folder = here.folder()
    if remote is not None:
        return await writing.tip(writing.Destination(folder, remote, branch, push=True, pr=False))
    repository = await git.opened(folder)
    commit = await (LocalBranch(repository, branch).tip() if branch else repository.commit_of(git.HEAD))
    note(f"as this clone has it, at {commit[:SHORT]}; --remote {git.REMOTE} asks the remote")
    return Snapshot(repository, commit, branch or here.found().branch)


@dataclass(frozen=True)
class Clusters:
    """The clusters of a project's environments.

    Attributes:
        kubeconfig: The file that has them.
        context: The context for all environments; each one's own by default.
    """

    kubeconfig: Path | None
    context: str | None
    _known: dict[str | None, Kubectl] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether any is to be asked."""
        return self.kubeconfig is not None or self.context is not None

    async def of(self, environment: Environment) -> Kubectl | None:
        """Return kubectl on an environment's cluster; None where none is to be asked.

        Raises:
            UsageError: There is no such file or context.
            MachineError: It does not answer.
        """
        if not self.asked:
            return None
        context = self.context or environment.context
        if context not in self._known:
            self._known[context] = await writing.kubectl(self.kubeconfig, context)
        return self._known[context]

    async def reached(self, environment: Environment) -> Kubectl | MachineError | None:
        """Return what `of` does, or why the cluster does not answer."""
        try:
            return await self.of(environment)
        except MachineError as error:
            return error


def when(at: datetime) -> str:
    """Return a time as people are shown it, to the minute."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def shown(release: Release) -> tuple[str, str, str]:
    """Return a set's model, image and chart in a few words each."""
    digest = release[tree.MODEL_DIGEST]
    *_, tag, image_digest = (release[key] for key in tree.IMAGE)
    chart = release[tree.CHART[0]]
    return (
        one_line(f"{release[tree.VERSION]}{_short(digest)}"),
        one_line(f"{tag}{_short(image_digest)}"),
        one_line(chart[:SHORT] if git.COMMIT.fullmatch(chart) else chart),
    )


def data(release: Release) -> Mapping[str, str]:
    """Return a set by dotted key."""
    return {tree.dotted(key): release[key] for key in KEYS}


def _short(digest: str) -> str:
    return f" {digest.partition(':')[2][:SHORT]}" if digest else ""
