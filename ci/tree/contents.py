"""What a chart in git may consist of, so that Argo CD deploys what is read and rendered here.

Argo CD puts `.argocd-source.yaml` and `.argocd-source-APPLICATION.yaml` beside a chart over the source
(https://argo-cd.readthedocs.io/en/stable/user-guide/parameters/#store-overrides-in-git), fetches submodules, follows
links in its own checkout; nothing of that is seen in the files that git has for the chart: it is refused.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ci.base.errors import UsageError
from ci.tree.git import Repository

PLAIN = frozenset({"100644", "100755"})
"""Git's modes of files that are what they say."""
OVERRIDES = ".argocd-"
"""How the files begin that Argo CD reads for itself."""


async def require_plain(repository: Repository, revision: str, chart: str) -> None:
    """Refuse a chart that is more than files.

    Args:
        repository: Has the revision.
        revision: A commit, or a whole tree.
        chart: The chart's folder in the project.

    Raises:
        UsageError: Something in it is read by Argo CD in its own way; the first is named.
    """
    listed = await repository.run("ls-tree", "-r", "-z", "--full-tree", f"{revision}:{repository.at(chart)}")
    for entry in filter(None, listed.raw.decode(errors="replace").split("\0")):
        described, _, path = entry.partition("\t")
        mode = described.partition(" ")[0]
        kind = "" if mode in PLAIN else {"120000": "link", "160000": "submodule"}.get(mode, f"file of mode {mode}")
        _require(chart, PurePosixPath(path), kind)


def require_plain_folder(folder: Path, chart: str) -> None:
    """Refuse a chart of the work tree that is more than files, as the commit would be that has it.

    Args:
        folder: The chart's.
        chart: What it is called.

    Raises:
        UsageError: As for `require_plain`.
    """
    for path, kind in _found(folder):
        _require(chart, path, kind)


def _found(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    for file in sorted(folder.rglob("*")):
        path = PurePosixPath(file.relative_to(folder).as_posix())
        if file.name == ".git":
            yield path.parent, "submodule"
        elif file.is_symlink():
            yield path, "link"
        elif file.is_file():
            yield path, ""


def _require(chart: str, path: PurePosixPath, kind: str) -> None:
    said = {
        "link": "is a link, which Argo CD follows in its own checkout",
        "submodule": "is a submodule, which Argo CD fetches and renders",
    }.get(kind, f"is a {kind}")
    if kind:
        raise UsageError(f"{chart}/{path}: {said}", fix="Put the files themselves into the chart.")
    if path.name.startswith(OVERRIDES):
        said = "has parameters for Argo CD alone, over those of the tree"
        raise UsageError(f"{chart}/{path}: {said}", fix=f"git rm {chart}/{path}, and write them into the tree.")
