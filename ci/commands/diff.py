"""`diff`: what a change does to the clusters, before it is merged."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ci.base import files, jsonfile
from ci.base.errors import UsageError
from ci.base.progress import note, step
from ci.commands import here, writing
from ci.commands.runner import run_async
from ci.diff import compare, markdown, sides
from ci.diff.model import Difference
from ci.report import summary
from ci.tree import git
from ci.tree.git import Repository

if TYPE_CHECKING:
    from ci.tree.forge.github import GitHub

SUFFIXES = (".md", ".json", ".html")


def diff(
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="Where HEAD is to be merged into; the remote's main by default."),
    ] = None,
    environments: Annotated[
        list[str] | None,
        typer.Option("--env", help="One of the project's environments, may be repeated; all of them by default."),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option("--out", metavar="FILE", help="Write it there, as .md, .json or .html; may be repeated."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--comment", metavar="NUMBER", min=1, help="Write it into a comment on that pull request."),
    ] = None,
    remote: writing.RemoteOption = "origin",
) -> None:
    """Render the checked-out commit and where it came from as Argo CD would, and show what differs, by risk.

    Says which model will start a canary, and by which field. Secrets are hidden.
    """
    run_async(_diff, base, environments or (), out or (), number, here.folder(), remote)


async def _diff(
    base: str | None, environments: Sequence[str], out: Sequence[Path], number: int | None, repo: Path, remote: str
) -> None:
    for file in out:
        if file.suffix not in SUFFIXES:
            raise UsageError(f"--out {file}: ends in none of {', '.join(SUFFIXES)}")
    repository = await git.opened(repo)
    hub = await _hub(repository, remote) if number is not None else None
    with step(f"render {', '.join(environments) or 'every environment'} before and after"):
        difference = compare.compare(*await sides.both(repository, base, remote, environments))
    if await repository.has_uncommitted():
        note("changes that are not committed are left out")
    parts = markdown.render(difference)
    for file in out:
        _write(file, difference, parts)
    if hub is not None and number is not None:
        for address in await hub.comment(number, "diff", parts):
            note(address)
    typer.echo(_shown(parts, "the comment has" if hub is not None else "diff --out FILE writes"), nl=False)


def _shown(parts: Sequence[str], who: str) -> str:
    """Return what is printed: all, or where standard output is GitHub's job summary, as much as GitHub takes of it."""
    room = summary.room_in_output()
    if room is None:
        return "\n".join(parts)
    return summary.fitting(
        [(f"part {number} of {len(parts)}", part.rstrip("\n")) for number, part in enumerate(parts, 1)],
        room,
        f"{who} all of it",
    )


async def _hub(repository: Repository, remote: str) -> "GitHub":
    from ci.tree.forge import github  # only a comment asks it

    return github.of_remote(await git.remote_url(repository, remote), writing.token(), "--comment")


def _write(file: Path, difference: Difference, parts: Sequence[str]) -> None:
    if file.suffix == ".json":
        jsonfile.write(file, difference)
    elif file.suffix == ".html":
        from ci.diff import html  # only a page needs it

        files.write(file, html.render(difference).encode())
    else:
        more = {_part(file, number): part for number, part in enumerate(parts[1:], 2)}
        for name in more:
            if name.exists() and not _ours(name):
                raise UsageError(f"--out {file}: {name} would be its part, and was not written by this tool")
        for name, part in {file: parts[0], **more}.items():
            files.write(name, part.encode())
        left = len(parts) + 1
        while _ours(name := _part(file, left)):  # an earlier run's, which had more to say
            name.unlink()
            left += 1


def _part(file: Path, number: int) -> Path:
    return file.with_suffix(f".{number}{file.suffix}")


def _ours(file: Path) -> bool:
    """Tell whether a file of a part's name is one: the names are not for this tool alone."""
    return file.is_file() and file.read_bytes().startswith(markdown.HEADING.encode())
