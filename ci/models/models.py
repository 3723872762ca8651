"""The iris models, trained once for each model server and kept in the cache."""

import os
import shutil
from pathlib import Path

import dagger

from ci import session
from ci.models import digests
from ci.progress import step
from ci.report import jsonfile
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
            jsonfile.write(partial / RECORD, digests.of_files(partial / "models"))
            if not folder.exists():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    digests.require_unchanged(folder / "models", folder / RECORD)
    return folder / "models"


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
