"""What a chart in git may consist of, so that Argo CD deploys what is read and rendered here.

Argo CD puts `.argocd-source.yaml` and `.argocd-source-APPLICATION.yaml` beside a chart over the source
(https://argo-cd.readthedocs.io/en/stable/user-guide/parameters/#store-overrides-in-git), fetches submodules, follows
links in its own checkout; nothing of that is seen in the files that git has for the chart: it is refused.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ci.base.errors import UsageError
from ci.tree import attributes
from ci.tree.git import Repository
from ci.tree.listing import FILES, FOLDER, Entry

NOT_PLAIN = {
    "link": "is a link, which Argo CD follows in its own checkout",
    "submodule": "is a submodule, which Argo CD fetches and renders",
}
"""What else is found where a file belongs, with what Argo CD makes of it."""
OVERRIDES = ".argocd-"
"""How the files begin that Argo CD reads for itself."""


async def require_plain(repository: Repository, revision: str, chart: str, *, deployed: bool = True) -> None:
    """Refuse a chart that is more than files.

    Args:
        repository: Has the revision.
        revision: A commit, or a whole tree.
        chart: The chart's folder in the project.
        deployed: Whether it is an application's, beside which Argo CD looks for parameters; another chart may depend
            on it as well.

    Raises:
        UsageError: Something in it is read by Argo CD in its own way; the first is named.
    """
    top, paths = repository.at(chart), []
    for place, (mode, _) in (await repository.listing(revision)).below(top):
        path = place.removeprefix(f"{top}/")
        _require(chart, PurePosixPath(path), _kind(mode), deployed=deployed)
        paths.append(f"{chart}/{path}")
    await attributes.require_none(repository, revision, paths)


async def folder_at(repository: Repository, revision: str, path: str, *, plain: bool = False) -> str | None:
    """Return git's name for a folder; None where there is none.

    Args:
        repository: Has the revision.
        revision: A commit, or a whole tree.
        path: From the project's folder.
        plain: Refuse what is no folder, or behind a link; else it is as if it were not there.

    Raises:
        UsageError: It is refused.
    """
    found = await _listed(repository, revision, [repository.at(path)])
    for place, (mode, _) in found.items():
        if plain and mode != FOLDER:
            raise UsageError(f"{repository.own(place)} {NOT_PLAIN.get(_kind(mode), 'is no folder')}")
    mode, name = found.get(repository.at(path), ("", ""))
    return name if mode == FOLDER else None


async def values_files(
    repository: Repository, revision: str, paths: Sequence[str], *, plain: bool = True
) -> dict[str, str]:
    """Return git's names for the contents of values files, by their paths; only of those that are there.

    Args:
        repository: Has the revision.
        revision: A commit, or a whole tree.
        paths: From the project's folder.
        plain: Refuse one that is no file, or behind a link; else it is as if it were not there.

    Raises:
        UsageError: One is refused.
    """
    wanted = {repository.at(path): path for path in paths}
    found = {}
    for path, (mode, name) in (await _listed(repository, revision, wanted)).items():
        if mode in FILES and path in wanted:
            found[wanted[path]] = name
        elif plain and mode not in FILES and (mode != FOLDER or path in wanted):
            raise UsageError(f"{path}: {NOT_PLAIN.get(_kind(mode), 'is no file')}", fix="Have a file there itself.")
    if plain:
        await attributes.require_none(repository, revision, found)
    return found


async def _listed(repository: Repository, revision: str, paths: Collection[str]) -> dict[str, Entry]:
    """Return what is at paths and on the way there, from the top of the repository."""
    around = {str(folder) for path in paths for folder in PurePosixPath(path).parents[:-1]}
    listing = await repository.listing(revision)
    return {path: entry for path in sorted({*paths, *around}) if (entry := listing.at(path)) is not None}


def _kind(mode: str) -> str:
    return "" if mode in FILES else {"120000": "link", "160000": "submodule"}.get(mode, f"file of mode {mode}")


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


def require_plain_files(folder: Path, paths: Sequence[str]) -> None:
    """Refuse values files of the work tree that are none, as the commit would have them.

    Args:
        folder: The project's.
        paths: From there.

    Raises:
        UsageError: As for `values_files`.
    """
    for path in paths:
        for each in (path, *map(str, PurePosixPath(path).parents[:-1])):
            if (folder / each).is_symlink():
                raise UsageError(f"{each}: {NOT_PLAIN['link']}", fix="Have a file there itself.")
        if (folder / path).is_dir():
            raise UsageError(f"{path}: is no file", fix="Have a file there itself.")


def _found(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    for file in sorted(folder.rglob("*")):
        path = PurePosixPath(file.relative_to(folder).as_posix())
        if file.name == ".git":
            yield path.parent, "submodule"
        elif file.is_symlink():
            yield path, "link"
        elif file.is_file():
            yield path, ""


def _require(chart: str, path: PurePosixPath, kind: str, *, deployed: bool = True) -> None:
    said = NOT_PLAIN.get(kind, f"is a {kind}")
    if kind:
        raise UsageError(f"{chart}/{path}: {said}", fix="Put the files themselves into the chart.")
    if deployed and path.name.startswith(OVERRIDES):
        said = "has parameters for Argo CD alone, over those of the tree"
        raise UsageError(f"{chart}/{path}: {said}", fix=f"git rm {chart}/{path}, and write them into the tree.")
