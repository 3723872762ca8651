"""The iris models, trained once for each model server and kept in the cache."""

import os
import shutil
from pathlib import Path

import dagger

from ci import session
from ci.errors import CheckFailedError
from ci.progress import step
from ci.report import files, jsonfile
from ci.supply import pins
from ci.supply.supply import Supply

IMAGE = "docker.io/kserve/sklearnserver"
SCRIPT = Path(__file__).with_name("train.py")
RECORD = "digests.json"
"""Beside the models: the SHA-256 of each of their files, from when they were trained."""


async def trained(supply: Supply) -> Path:
    """Return the folder with the models, MODEL/VERSION/model.joblib, training them first if need be.

    Training runs in the model server's own image: a model is only sure to load with the scikit-learn that wrote it.

    Args:
        supply: Where the image comes from.

    Raises:
        CheckFailedError: A model in the cache is not what was trained.
    """
    await supply.fetch([IMAGE])
    digest = await supply.registry.digest(supply.image(IMAGE))
    folder = supply.cache / "models" / pins.key(digest, SCRIPT, Path(__file__))
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
        try:
            with step("train the models"):
                async with session.opened(supply) as (client, _):
                    await train(client, supply.image(IMAGE)).export(str(partial / "models"))
            jsonfile.write(partial / RECORD, digests(partial / "models"))
            if not folder.exists():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    require_unchanged(folder / "models", folder / RECORD)
    return folder / "models"


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in found}


def require_unchanged(folder: Path, record: Path) -> None:
    """Refuse models that are not what was recorded when they were trained: nothing is served unchecked.

    Raises:
        CheckFailedError: A file was changed, removed or added.
    """
    recorded, found = jsonfile.read(record, dict[str, str]), digests(folder)
    for path in sorted({*recorded, *found}):
        if recorded.get(path) != found.get(path):
            raise CheckFailedError(
                f"{folder / path}: sha256:{found.get(path)}, but sha256:{recorded.get(path)} was trained",
                fix=f"rm -r {record.parent}; they are trained again",
            )


def train(client: dagger.Client, image: str) -> dagger.Directory:
    """Return the folder that the training script writes.

    Args:
        client: The Dagger session.
        image: The model server's.
    """
    return (
        client.container()
        .from_(image)
        .with_user("0")
        .with_file("/train.py", client.host().file(str(SCRIPT)))
        .with_exec(["python3", "/train.py", "/models"])
        .directory("/models")
    )
