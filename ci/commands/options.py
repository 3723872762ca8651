"""Options that more than one command takes, so that they are spelled and explained once."""

import enum
from pathlib import Path
from typing import Annotated

import typer

SupplyOption = Annotated[
    str,
    typer.Option(
        "--supply", help="auto, upstream (pull and download) or source (build): how tools and images are got."
    ),
]
RemoteOption = Annotated[str, typer.Option("--remote", metavar="NAME", help="Remote, by name or URL.")]
EnvironmentOption = Annotated[str, typer.Option("--env", help="One of the project's environments.")]
OneEnvironmentOption = Annotated[
    str | None, typer.Option("--env", metavar="NAME", help="One environment alone; all of the project's by default.")
]
AskedOption = Annotated[
    str | None,
    typer.Option(
        "--app", metavar="[ENV/]NAME", help="This application alone, in one environment or in each that has it."
    ),
]
PublicKeyOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--public-key",
        metavar="FILE",
        help="Whose signature the evidence has; PEM, ECDSA P-256. Repeated while one key replaces another.",
    ),
]
OneApplicationOption = Annotated[
    str | None, typer.Option("--app", metavar="NAME", help="One application alone; all of the tree's by default.")
]

NoControlPlaneOption = Annotated[
    bool,
    typer.Option(
        "--no-control-plane", help="Leave out lint's control plane without nodes; no evidence comes of such a run."
    ),
]


class Output(enum.StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How the result is printed.")]
