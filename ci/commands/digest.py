"""`digest`: what a set names a model's files by."""

from pathlib import Path
from typing import Annotated

import typer

from ci.base.errors import UsageError
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.models import digests


def digest(
    model: Annotated[str, typer.Argument(metavar="PATH|URI", help="A model's folder or only file, or its storageUri.")],
    supply: SupplyOption = "auto",
) -> None:
    """Print the digest of a model's files, as KServe gets them: of a folder here, or of a storageUri, which is fetched.

    It is read with your own credentials: docs/models.md has the settings of each kind of store.
    """
    typer.echo(run_async(_digest, model, supply))


async def _digest(model: str, way: str) -> str:
    if "://" in model:
        from ci.models import storage  # a folder's digest needs nothing of the supply
        from ci.supply.supply import Supply, choose

        return (await storage.fetched(model, None, Supply(choose(way)))).digest
    path = Path(model)
    if not (path.is_dir() or path.is_file()):
        raise UsageError(f"{model}: no folder, no file, and no storageUri such as s3://BUCKET/PATH")
    if (found := digests.of_path(path)) is None:
        raise UsageError(f"{model}: no file is in it")
    return found
