"""What the stranger's tests without a cluster run with: the programs of its store and its registry, and the tool's."""

import os
import shutil

import anyio
import pytest

from ci.models import storage
from ci.supply.supply import Supply
from tests.faults.models import servers
from tests.faults.supply.registries import Local
from tests.stranger import places, project

KEPT = {"PATH", "LANG", "LC_ALL", "TMPDIR", "PYTEST_CURRENT_TEST"}


@pytest.fixture(scope="session")
def filled():
    """The user's own supply, with all that the tests ask of it."""
    supply = Supply("source")
    anyio.run(storage.library, supply)
    anyio.run(supply.fetch, ["crane", "helm"])
    return supply


@pytest.fixture(scope="session")
def distribution():
    return servers.program("distribution/registry")


@pytest.fixture(scope="session")
def gateway():
    return servers.program("versitygw/versitygw")


@pytest.fixture
def supply(filled, distribution, tmp_path, monkeypatch):
    """A supply whose models and local registry are the test's own; it is nobody's machine: no credentials."""
    cache = tmp_path / "cache"
    (cache / "records").mkdir(parents=True)
    for name in ("go", "modules", "source", "storage", "wheels"):
        (cache / name).symlink_to(filled.cache / name)
        if (filled.cache / "records" / name).exists():
            (cache / "records" / name).symlink_to(filled.cache / "records" / name)
    made = Supply("source", cache)
    (tmp_path / "local").mkdir()
    local = Local(distribution, tmp_path / "local")

    async def start(*, empty=False):
        await local.start(empty=empty)
        made._registry = local.registry

    made._start_registry = start
    for name in set(os.environ) - KEPT:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # where there is no supply either
    monkeypatch.setenv("PATH", os.pathsep.join((str(filled.tool("helm").parent), os.environ["PATH"])))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield made
    if local.process is not None:
        local.stop()


@pytest.fixture
def names():
    return project.drawn(3)


@pytest.fixture
def store(gateway, names, tmp_path):
    with places.store(gateway, tmp_path / "store", names.bucket, names.regression) as found:
        yield found


@pytest.fixture
def publisher(distribution, filled, names, tmp_path):
    with places.publisher(distribution, filled.tool("crane"), tmp_path / "publisher", names.bucket) as found:
        yield found


@pytest.fixture
def stranger(names, store, publisher, tmp_path):
    """The repository, with a model and an image that are there."""
    sets = project.Sets(
        model_digest=places.digest_of(places.MODELS["1"]),
        image=publisher.repository(names.texts),
        image_digest=publisher.publish(names.texts, "1", base=None),
    )
    folder = tmp_path / "repository"
    folder.mkdir()
    yield project.made(folder, names, sets)
    shutil.rmtree(folder)
