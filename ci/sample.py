"""The sample that the platform is proven with: its facts, and its models, trained once and kept in the cache."""

import functools
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from ci.base import paths
from ci.base.errors import UsageError
from ci.base.progress import step
from ci.behaviour import protocols
from ci.supply import partial, pins
from ci.supply.records import Kept
from ci.supply.supply import Supply

if TYPE_CHECKING:
    import dagger

FOLDER = paths.ROOT / "sample"
FILE = FOLDER / "sample.toml"
SCRIPT = FOLDER / "train.py"


class KnownAnswer(BaseModel):
    """A question with its right answer, the chart's value `exampleModel.knownAnswer`.

    Attributes:
        protocol: How it is asked.
        request: What.
        at: JSONPath to the answer.
        expected: The answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: str
    request: dict[str, JsonValue]
    at: str
    expected: JsonValue


class Sample(BaseModel):
    """What sample.toml says.

    Attributes:
        model: Name of its InferenceService.
        image: The model server's, as in pins.toml.
        champion: The version that is installed.
        candidate: The version that the canary brings.
        environment: Whose of the chart's values it is deployed with, where a person says no other.
        known_answer: Of either version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    image: str
    champion: str
    candidate: str
    environment: str
    known_answer: KnownAnswer

    @property
    def predictor(self) -> str:
        """Name of its Rollout, and of the host that answers."""
        return f"{self.model}-predictor"

    @property
    def path(self) -> str:
        """Where it is asked, as its protocol has it."""
        return (protocols.PROTOCOLS[self.known_answer.protocol].path or "").replace("{model}", self.model)

    @property
    def golden(self) -> Path:
        """Its golden inputs."""
        return FOLDER / "golden" / f"{self.model}.yaml"


@functools.cache
def facts() -> Sample:
    """Return what sample.toml says.

    Raises:
        UsageError: This checkout has no sample, or one that is not what it should be.
    """
    try:
        return Sample.model_validate(tomllib.loads(FILE.read_text()))
    except FileNotFoundError:
        fix = "Prove applications alone: test --base REF, or test --app NAME"
        raise UsageError(f"{FILE}: this checkout has no sample to prove the platform with", fix=fix) from None
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{FILE}: {' '.join(str(error).split())}") from error


def is_there() -> bool:
    """Tell whether this checkout has the sample."""
    return FILE.is_file()


async def trained(supply: Supply) -> Path:
    """Return the folder with the models, MODEL/VERSION/model.joblib, training them first if need be.

    Training runs in the model server's own image: a model is only sure to load with the scikit-learn that wrote it.
    Models in the cache that are not what was trained are trained again.

    Args:
        supply: Where the image comes from.
    """
    image = facts().image
    await supply.fetch([image])
    digest = await supply.registry.digest(supply.image(image))
    kept = Kept("the model folder", supply.cache / "models" / pins.key(digest, SCRIPT, Path(__file__)))
    async with supply.exclusive("models", kept.what):
        if await supply.lacks(kept, verify=True):  # nothing is served unchecked
            from ci.checks import session  # has Dagger, whose seconds are not for those who ask for the facts

            with step("train the models"), partial.folder(kept.path) as work:
                async with session.opened(supply) as (client, _):
                    await train(client, supply.image(image)).export(str(work))
            await supply.keep(kept)
    return kept.path


def train(client: "dagger.Client", image: str) -> "dagger.Directory":
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
