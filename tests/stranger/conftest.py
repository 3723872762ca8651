"""One stranger, its places and one cluster for all scenarios.

pytest tests/stranger [--seed N]     the seed is printed; $STRANGER_SEED is the same
"""

import os
import secrets
from collections.abc import Iterator

import anyio
import pytest

from ci.evidence import envelope
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.faults.models import servers
from tests.harness.evidence import Keys
from tests.stranger import places, project
from tests.stranger.runs import Runs

PYTHON = "docker.io/library/python"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="What the stranger's names are drawn from.")


def pytest_configure(config: pytest.Config) -> None:
    given = config.getoption("--seed")
    chosen = given if given is not None else int(os.environ.get("STRANGER_SEED") or secrets.randbelow(1 << 31))
    config.option.seed = chosen


def pytest_report_header(config: pytest.Config) -> str:
    return f"the stranger's names: --seed {config.option.seed}"


@pytest.fixture(scope="session")
def supply() -> Supply:
    """This machine's supply, with the images that the stranger's applications run on."""
    made = Supply(choose("auto"))
    anyio.run(made.fetch, ["crane", "helm", PYTHON, project.REGRESSION_SERVER])
    return made


@pytest.fixture(scope="session")
def names(request: pytest.FixtureRequest) -> project.Names:
    return project.drawn(request.config.option.seed)


@pytest.fixture(scope="session")
def store(names, tmp_path_factory) -> Iterator[places.Store]:
    folder = tmp_path_factory.mktemp("store")
    with places.store(servers.program("versitygw/versitygw"), folder, names.bucket, names.regression) as found:
        yield found


@pytest.fixture(scope="session")
def publisher(supply, names, tmp_path_factory) -> Iterator[places.Publisher]:
    folder = tmp_path_factory.mktemp("publisher") / "made"
    program = servers.program("distribution/registry")
    with places.publisher(program, supply.tool("crane"), folder, names.bucket) as found:
        yield found


@pytest.fixture(scope="session")
def images(supply, names, publisher) -> dict[str, str]:
    """Digest by tag of the image of its own."""
    base = supply.registry.host_ref(supply.image(PYTHON))
    return {tag: publisher.publish(names.texts, tag, base) for tag in places.IMAGES}


@pytest.fixture(scope="session")
def keys(tmp_path_factory) -> Keys:
    """With which evidence is signed."""
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def runs(supply, names, store, publisher, images, keys, tmp_path_factory) -> Iterator[Runs]:
    """The stranger's repository, and `test` on its changes as a person with the right credentials."""
    sets = project.Sets(
        server=supply.pins.ref(project.REGRESSION_SERVER).rpartition(":")[2],
        server_digest=anyio.run(supply.registry.digest, supply.image(project.REGRESSION_SERVER)),
        model_digest=places.digest_of(places.MODELS["1"]),
        image=publisher.repository(names.texts),
        image_digest=images["1"],
    )
    folder = tmp_path_factory.mktemp("repository")
    env = {**store.settings, **publisher.settings, envelope.KEY: keys.pem}
    found = Runs(project.made(folder, names, sets), env, tmp_path_factory.mktemp("reports"))
    yield found
    found.remove()
