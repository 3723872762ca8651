"""The two commits of a change: the one that is checked out, and where it came from."""

from ci.base.errors import UsageError
from ci.tree import tree
from ci.tree.git import HEADS, REMOTES, Repository, Snapshot


async def sides(repository: Repository, base: str | None, remote: str) -> tuple[Snapshot, Snapshot]:
    """Return base and head of a change, both as of the branch that Argo CD watches, whatever the base is called.

    Args:
        repository: Has both; head is what it has checked out.
        base: The branch that head is to be merged into, or any other revision: the change begins where the two have
            their last commit in common. By default, the branch of the project file at the remote.
        remote: Its name.

    Raises:
        UsageError: There is no such revision, the two have no common commit, or head has no project file.
    """
    head = await repository.commit_of("HEAD")
    watched = (await tree.project(Snapshot(repository, head, ""))).branch
    tip = await _tip(repository, base) if base else await _default(repository, remote, watched)
    common = await repository.run("merge-base", tip, head, check=False)
    if common.returncode != 0:
        raise UsageError(
            f"--base {base or watched}: has no commit in common with HEAD",
            fix=f"git fetch --unshallow {remote}, or fetch it",
        )
    return Snapshot(repository, common.stdout.strip(), watched), Snapshot(repository, head, watched)


async def _tip(repository: Repository, base: str) -> str:
    """Return the commit of a base: of a branch's and a tag's name, the branch, which git itself takes second."""
    branch = await _first(repository, f"{HEADS}{base}", f"{REMOTES}{base}")
    return branch or await repository.commit_of(base)


async def _default(repository: Repository, remote: str, branch: str) -> str:
    if (found := await _first(repository, f"{REMOTES}{remote}/{branch}", f"{HEADS}{branch}")) is not None:
        return found
    raise UsageError(
        f"neither {remote}/{branch} nor {branch} is in {repository.folder}",
        fix=f"--base REF, or git fetch {remote} {branch}:refs/remotes/{remote}/{branch}",
    )


async def _first(repository: Repository, *refs: str) -> str | None:
    """Return the commit of the first ref that is there."""
    for ref in refs:
        if (found := await repository.object_of(f"{ref}^{{commit}}")) is not None:
            return found
    return None
