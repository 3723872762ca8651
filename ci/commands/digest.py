"""`digest`: what a set names a model's files by."""

from pathlib import Path
from typing import Annotated

import typer

from ci import project
from ci.base.errors import UsageError
from ci.commands import here
from ci.commands.options import SupplyOption
from ci.commands.runner import run_async
from ci.models import digests


def digest(
    model: Annotated[str, typer.Argument(metavar="PATH|URI", help="A model's folder or only file, or its storageUri.")],
    supply: SupplyOption = "auto",
) -> None:
    """Print the digest of a model's files, as KServe gets them: of a folder here, or of a storageUri, which is fetched.

    A mirror of the project file that has it comes first; else it is read with your own credentials: docs/models.md has
    the settings of each kind of store.
    """
    typer.echo(run_async(_digest, model, supply))


async def _digest(model: str, way: str) -> str:
    from ci.models import storage, stores

    if "://" in model:
        from ci.supply.supply import Supply  # a folder's digest needs nothing of the supply
        from ci.supply.ways import choose

        return (await storage.fetched(model, None, Supply(choose(way)), _mirrors())).digest
    path = Path(model)
    if not (path.is_dir() or path.is_file()):
        raise UsageError(f"{model}: no folder, no file, and no storageUri such as s3://BUCKET/PATH")
    storage.require_plain(path, [path, *_mirrors().values()])
    if (path / digests.BOOKKEEPING).exists():
        raise UsageError(
            f"{path / digests.BOOKKEEPING}: no part of a model of hf://, and of any other",
            fix="Remove the folder, or name the model: digest hf://OWNER/MODEL",
        )
    if path.is_file() and stores.unpacks("", path.name):
        raise UsageError(f"{model}: an archive, and a pod has the files in it", fix="Unpack it: digest FOLDER")
    if (found := digests.of_path(path)) is None:
        raise UsageError(f"{model}: no file is in it")
    return found


def _mirrors() -> dict[str, Path]:
    """Return the mirrors of the project, where the command is called in one."""
    try:
        folder = here.folder()
    except UsageError:
        return {}
    return project.load(folder).models.folders(folder)
