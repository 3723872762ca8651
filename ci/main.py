"""The command line: parsing and wiring only."""

import os
import sys
from pathlib import Path
from typing import Annotated

if __package__ in (None, ""):  # `python ci/main.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from ci.commands import cluster, doctor, lint, supply, template, test

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="GitOps CI for serving models with KServe: proves a change on a real cluster before git moves it.",
)
app.command()(doctor.doctor)
app.command()(lint.lint)
app.command()(template.template)
app.command()(test.test)
app.add_typer(cluster.app, name="cluster")
app.add_typer(supply.app, name="supply")


@app.callback()
def main(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and the whole output of failed commands.")
    ] = False,
) -> None:
    """Options for every command."""
    if debug:
        os.environ["ML_SERVING_CI_DEBUG"] = "1"


if __name__ == "__main__":
    app()
