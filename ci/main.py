"""The command line: parsing and wiring only."""

import importlib
import platform
import sys
from pathlib import Path
from typing import Annotated, Any

if __package__ in (None, ""):  # `python ci/main.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ci.base import process

if __name__ == "__main__":  # before the imports below, which take a moment
    process.prepare()

import typer
import typer.core
import typer.main

from ci.base import settings

COMMANDS = {
    "doctor": "doctor",
    "lint": "lint",
    "template": "template",
    "gates": "gates",
    "diff": "diff",
    "test": "test",
    "bump": "bump",
    "promote": "promote",
    "rollback": "rollback",
    "wait": "wait",
    "watch": "watch",
    "evidence": "app",
    "publish": "publish",
    "cluster": "app",
    "supply": "app",
}
"""Each command to what ci.commands.COMMAND has for it: a function, or an app with commands of its own."""


class Commands(typer.core.TyperGroup):
    """Imports a command when it is asked for: Dagger's client alone takes longer to load than most commands to run."""

    def list_commands(self, ctx: object) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> Any:
        """Import a command, or return None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if platform.system() == "Windows":  # before the imports, half of which Windows does not have
            typer.echo(
                "error: Windows: this is a program for Linux\n  fix: wsl --install -d Ubuntu   # and there", err=True
            )
            raise typer.Exit(3)
        found = getattr(importlib.import_module(f"ci.commands.{cmd_name}"), COMMANDS[cmd_name])
        if not isinstance(found, typer.Typer):
            single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="GitOps CI for serving models with KServe: proves a change on a real cluster before git moves it.",
)


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the whole output of failed commands.")
    ] = False,
) -> None:
    """Options for every command."""
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
