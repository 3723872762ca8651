"""Options that more than one command takes, so that they are spelled and explained once."""

from typing import Annotated

import typer

SupplyOption = Annotated[
    str,
    typer.Option(
        "--supply", help="auto, upstream (pull and download) or source (build): how tools and images are got."
    ),
]
EnvironmentOption = Annotated[str, typer.Option("--env", help="dev, staging or prod.")]
