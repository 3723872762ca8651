"""Where `--pr` writes: the branch of a pull request, on the remote's forge."""

from ci.base.secret import Secret
from ci.tree import git
from ci.tree.forge import github
from ci.tree.forge.branch import PullRequestBranch
from ci.tree.git import Repository


async def branch(
    repository: Repository, remote: str, base: str, component: str, token: Secret | None
) -> PullRequestBranch:
    """Return the branch that a component's pull request is of.

    Args:
        repository: The clone.
        remote: Name or URL.
        base: The branch that it is to be merged into.
        component: What of an application moves: it has a pull request of its own.
        token: For the forge.
    """
    hub = github.of_remote(await git.remote_url(repository, remote), token)
    return PullRequestBranch(repository, remote, base, component, hub)
