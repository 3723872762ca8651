"""Evidence of a stranger's run held against a promotion, and the promotion itself."""

from pathlib import Path
from typing import Any

import anyio

from ci.evidence import verify
from ci.release.health import Health, wanted
from ci.release.promote import Promote
from ci.tree import git, tree, writeback
from ci.tree.writeback import LocalBranch
from tests.harness.evidence import Keys
from tests.harness.remote import helm
from tests.stranger import project
from tests.stranger.project import Stranger


def verified(stranger: Stranger, keys: Keys, file: Path, name: str) -> Any:
    """Run `evidence verify` for an application and the second environment."""
    given = [f"--public-key={keys.public}", f"--env={stranger.names.environments[1]}", f"--app={name}"]
    return stranger.tool("evidence", "verify", file, *given, check=False)


def promoted(stranger: Stranger, keys: Keys, file: Path, name: str) -> list[str]:
    """Promote an application to the second environment, where Argo CD says that the first runs it well.

    Argo CD's word is given; all else is what `promote` does. Returns the files that its commit changes.
    """
    first, second, _ = stranger.names.environments

    async def look(application: tree.Application) -> Health:
        runs = wanted(application.release)
        revision = application.release[tree.CHART[0]]
        return Health("Argo CD", "now", "Synced", "Healthy", "", 9000.0, revision, runs, [runs])

    async def write() -> Any:
        repository = await git.opened(stranger.folder)
        proof = verify.load(file, [keys.public])
        change = Promote(first, second, name, "", str(proof), proof, Path(helm()), look, lambda line: None)
        return await writeback.write(repository, LocalBranch(repository, project.BRANCH), change.edit)

    assert anyio.run(write) is not None
    changed = stranger.clone.git("diff", "--name-only", "HEAD~1").splitlines()
    stranger.merge()
    return changed
