"""`migrate`: a tree of the form before the project file, brought to today's."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base import settings
from ci.base.calling import as_called
from ci.base.errors import UsageError
from ci.commands import here
from ci.commands.runner import run_async
from ci.tree import git
from ci.tree import migrate as migrating


def migrate(
    order: Annotated[
        str, typer.Option("--order", metavar="A,B,C", help="The environments, in the order in which versions move.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
) -> None:
    """Bring an older tree to today's form: what files of the tree said of their environment goes into the project file.

    Comments and layout stay. gates.yaml and golden files move to where they are looked for now.
    """
    run_async(_migrate, [name for name in order.split(",") if name], dry_run)


async def _migrate(order: list[str], dry_run: bool) -> None:
    folder = _folder()
    repository = await git.opened(folder)
    remote = await repository.run("remote", "get-url", "origin", check=False)
    migration = migrating.plan(folder, order, remote.stdout.strip() or None)
    if not migration.told:
        typer.echo("nothing to migrate")
        return
    if not dry_run:
        migration.write(folder)
    for line in migration.told:
        typer.echo(line)
    then = as_called("then: python ci/main.py argocd render; look at git diff")
    typer.echo("not written (--dry-run)" if dry_run else then)


def _folder() -> Path:
    """Return the folder with the project file, or the one that will have it: the one that is named, or called in."""
    try:
        return here.folder()
    except UsageError:
        return settings.project() or Path.cwd()
