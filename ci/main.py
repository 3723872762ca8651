"""The command line: parsing and wiring only."""

import importlib
import platform
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

if __package__ in (None, ""):  # `python ci/main.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

try:
    from ci.base import process

    if __name__ == "__main__":  # before the imports below, which take a moment
        process.prepare()

    import typer
    import typer.core
    import typer.main

    from ci.base import settings
    from ci.base.paths import ROOT
except ModuleNotFoundError as missing:  # of what every command needs: there is nothing yet to tell it better
    lock = Path(__file__).resolve().parent.parent / "requirements.txt"
    print(f"error: {missing.name}: not installed for {sys.executable}", file=sys.stderr)
    print(f"  fix: {sys.executable} -m pip install --require-hashes --requirement {lock}", file=sys.stderr)
    sys.exit(3)

COMMANDS = {
    "doctor": "Show what this machine has and how each need will be met; exit 3 if `test` cannot run.",
    "plan": "Show each part that `test` would run, why, and how many minutes it took last.",
    "lint": "Check every application as Argo CD renders it, and YAML and workflow files; a finding has its file and "
    "line.",
    "template": "Render every application as Argo CD would.",
    "gates": "Replay the canary's steps against a catalogue of faults and of healthy versions, with Prometheus' own "
    "engine.",
    "diff": "Render the checked-out commit and where it came from as Argo CD would, and show what differs, by risk.",
    "digest": "Print the digest of a model's files, as KServe gets them: of a folder here, or of a storageUri, which "
    "is fetched.",
    "golden": "Questions to a model with their right answers.",
    "test": "Prove a change on a real cluster: the platform, and every application with its own model.",
    "bump": "Move an image or a model to another version in one environment: the value's bytes change, nothing else.",
    "promote": "Move chart revision, model and image together to the next environment, once they are proven in the "
    "earlier.",
    "history": "List the sets that ran in an environment, the newest first: when, who, why, whether healthy or barred.",
    "status": "Show each application's set in each environment: since when, how it is, what is barred.",
    "rollback": "Return an environment to a set it ran before; bump and promote refuse the failed one until it is "
    "lifted.",
    "wait": "Wait until Argo CD shows the set that the remote's branch has as Synced and Healthy, on every ready pod.",
    "watch": "Watch an environment's Rollouts; one that is found bad is rolled back in git, with what its analysis "
    "measured.",
    "argocd": "What Argo CD is given, made of the project file.",
    "migrate": "Bring an older tree to today's form: what files of the tree said of their environment goes into the "
    "project file.",
    "evidence": "What a run of `test` proves, checked offline.",
    "publish": "Push the chart of the commit that is checked out, and release it as vVERSION.",
    "cluster": "Throw-away clusters in Docker, made by kind.",
    "supply": "Every tool and image the system needs: pinned once, got in one of two ways.",
}
"""Each command with its line in the list of them, the first paragraph of its own help: a test holds the two equal.

`ci.commands.NAME` has the function NAME, or an `app` with commands of its own.
"""


class Commands(typer.core.TyperGroup):
    """Imports a command when it is run: all of them take twenty times as long to load as their list to print."""

    def __init__(self, **settings: Any) -> None:
        listed: dict[str, Any] = {
            name: typer.core.TyperCommand(name, short_help=help_) for name, help_ in COMMANDS.items()
        }
        super().__init__(**{**settings, "commands": listed})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the arguments name, imported."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and imported(listed.name or ""), rest


def imported(name: str) -> Any:
    """Import a command.

    Args:
        name: In the table of them.

    Raises:
        typer.Exit: This is Windows.
    """
    if platform.system() == "Windows":  # before the imports, half of which Windows does not have
        typer.echo(
            "error: Windows: this is a program for Linux\n  fix: wsl --install -d Ubuntu   # and there", err=True
        )
        raise typer.Exit(3)
    module = importlib.import_module(f"ci.commands.{name}")
    found = getattr(module, "app", None)
    if found is None:
        found = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        found.command(name)(getattr(module, name))
    command = typer.main.get_command(found)
    command.name = name
    for each in getattr(command, "commands", {}).values():
        each.short_help = first_paragraph(each)  # whole; it would be cut to a line
    return command


def first_paragraph(command: Any) -> str:
    """Return what a list of commands says of one."""
    return " ".join(str(command.help).partition("\n\n")[0].split())


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its library alone takes longer to load than all that is needed here
    help="GitOps CI for serving models with KServe: proves a change on a real cluster before git moves it.",
)


def print_version(asked: bool) -> None:
    """Print the tool's version, and end.

    Args:
        asked: Whether the option is there.
    """
    if asked:
        package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        typer.echo(f"{package['name']} {package['version']}")
        raise typer.Exit


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the whole output of failed commands.")
    ] = False,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="DIR",
            help="Folder of the project file, ml-serving-ci.toml; else the one called in, or one above.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options for every command."""
    if project is not None:
        settings.choose_project(project)
    if debug:
        settings.show_all()


def run() -> None:
    """Run the command line, and end with its exit code and one line for each error, whatever is raised."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:
        from ci.commands import runner  # most commands end without it

        code = runner.show(error)
    process.end(code)


if __name__ == "__main__":
    run()
