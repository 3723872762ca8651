"""The two commits of a change: the one that is checked out, and where it came from."""

from ci.base.errors import UsageError
from ci.tree import tree
from ci.tree.git import Repository, Snapshot


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
    revision = base or await _default(repository, remote, watched)
    tip = await repository.commit_of(revision)
    common = await repository.run("merge-base", tip, head, check=False)
    if common.returncode != 0:
        raise UsageError(
            f"--base {revision}: has no commit in common with HEAD", fix=f"git fetch --unshallow {remote}, or fetch it"
        )
    return Snapshot(repository, common.stdout.strip(), watched), Snapshot(repository, head, watched)


async def _default(repository: Repository, remote: str, branch: str) -> str:
    for revision in (f"{remote}/{branch}", branch):
        if await repository.object_of(f"{revision}^{{commit}}") is not None:
            return revision
    raise UsageError(
        f"neither {remote}/{branch} nor {branch} is in {repository.folder}",
        fix=f"--base REF, or git fetch {remote} {branch}:refs/remotes/{remote}/{branch}",
    )
