"""`golden`: questions to a model with their right answers."""

import functools
from pathlib import Path
from typing import Annotated

import anyio.to_thread
import typer

from ci.base.errors import UsageError
from ci.base.progress import step
from ci.commands.runner import run_async

LEFT = (
    "The answers are what THIS version gives: check each, and correct `expected` where it is wrong.",
    "Floats differ from training to training: say in `tolerance` how far one may be from the right one.",
    "Say in `source` where the questions come from, and put them into `slices`.",
    "The gates let nothing change: loosen them on purpose, by slice.",
    "`known: ID` makes an input the chart's known answer.",
)
"""What a person does with a recorded file."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Questions to a model with their right answers.",
)


@app.callback()
def golden() -> None:
    """Questions to a model with their right answers."""


@app.command()
def record(
    url: Annotated[str, typer.Option(metavar="URL", help="Of the version's host; a port-forward will do.")],
    requests: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The questions: JSON lines (.jsonl, .ndjson), or a list as YAML. v1: instances."
        ),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="The model's name.")],
    protocol: Annotated[
        str, typer.Option(help="v1 (KServe's), v2 (Open Inference) or json (any other JSON over HTTP).")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The golden file; it is never overwritten.")],
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Of the URL, if not the protocol's; {model} is NAME.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(metavar="JSONPATH", help="Where the answer is, if not where the protocol has it.")
    ] = None,
) -> None:
    """Write a first golden file: what a version that runs answers to a list of questions."""
    run_async(_record, (url, name, protocol, path, answer), requests, out)


async def _record(asked: tuple[str, str, str, str | None, str | None], file: Path, out: Path) -> None:
    from ci.behaviour import protocols  # takes a moment to load
    from ci.behaviour import record as recording

    asking = recording.Asking(*asked)
    if asking.protocol not in protocols.PROTOCOLS:
        raise UsageError(f"--protocol {asking.protocol}: not one of {', '.join(protocols.PROTOCOLS)}")
    with step(f"ask {asking.url} what {file} has"):
        written = await anyio.to_thread.run_sync(
            functools.partial(recording.record, asking, file, out), abandon_on_cancel=True
        )
    typer.echo(f"{out}: {len(written.inputs)} inputs of {written.name}, protocol {written.protocol}")
    for line in LEFT:
        typer.echo(f"- {line}")
