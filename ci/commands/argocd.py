"""`argocd`: what Argo CD is given."""

import typer

from ci import project
from ci.base import files
from ci.commands import here
from ci.commands.runner import run_async
from ci.tree import argocd, git

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What Argo CD is given, made of the project file.",
)


@app.callback()
def main() -> None:
    """What Argo CD is given, made of the project file."""


@app.command()
def render() -> None:
    """Write the AppProjects and the ApplicationSet that the project file describes; nothing else in their folder."""
    run_async(_render)


async def _render() -> None:
    folder = here.folder()
    repository = await git.opened(folder)
    said = project.load(folder)
    rendered = argocd.render(said, repository.prefix, argocd.read_patches(folder, said))
    files.require_own(folder, rendered)
    files.write_all({folder / path: content for path, content in rendered.items()})
    for path in rendered:
        typer.echo(path)
