"""The iris models, trained once for each model server and kept in the cache."""

from pathlib import Path

import dagger

from ci.base import paths
from ci.base.progress import step
from ci.checks import session
from ci.supply import partial, pins
from ci.supply.records import Kept
from ci.supply.supply import Supply

IMAGE = "docker.io/kserve/sklearnserver"
SCRIPT = paths.ROOT / "sample" / "train.py"


async def trained(supply: Supply) -> Path:
    """Return the folder with the models, MODEL/VERSION/model.joblib, training them first if need be.

    Training runs in the model server's own image: a model is only sure to load with the scikit-learn that wrote it.
    Models in the cache that are not what was trained are trained again.

    Args:
        supply: Where the image comes from.
    """
    await supply.fetch([IMAGE])
    digest = await supply.registry.digest(supply.image(IMAGE))
    kept = Kept("the model folder", supply.cache / "models" / pins.key(digest, SCRIPT, Path(__file__)))
    async with supply.exclusive("models", kept.what):
        if await supply.lacks(kept, verify=True):  # nothing is served unchecked
            with step("train the models"), partial.folder(kept.path) as work:
                async with session.opened(supply) as (client, _):
                    await train(client, supply.image(IMAGE)).export(str(work))
            await supply.keep(kept)
    return kept.path


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
