"""What gets models, and a machine without credentials."""

import os

import anyio
import pytest

from ci.models import storage
from ci.supply.supply import Supply
from tests.faults.models import servers
from tests.faults.models.internet import internet as opened

FILES = {"model.bin": b"weights" * 5000, "config/model.json": b'{"name": "acme"}'}
"""Of the model that every store has."""


@pytest.fixture(scope="session")
def filled():
    """The user's own cache, with KServe's storage library."""
    supply = Supply("source")
    anyio.run(storage.library, supply)
    return supply.cache


@pytest.fixture
def supply(tmp_path, filled):
    """A supply with a cache of its own for models; what they are got with is the user's."""
    cache = tmp_path / "cache"
    (cache / "records").mkdir(parents=True)
    for name in ("go", "modules", "source", "storage", "wheels"):
        (cache / name).symlink_to(filled / name)
        (cache / "records" / name).symlink_to(filled / "records" / name)
    return Supply("source", cache)


@pytest.fixture(scope="session")
def gateway():
    return servers.program("versitygw/versitygw")


@pytest.fixture(scope="session")
def distribution():
    return servers.program("distribution/registry")


@pytest.fixture(scope="session")
def crane(filled):
    """The supply's own, for `oci://`."""
    supply = Supply("source")
    anyio.run(supply.fetch, ["crane"])
    return supply.tool("crane")


@pytest.fixture(autouse=True)
def machine(filled, gateway, distribution, crane, tmp_path, monkeypatch):
    """Nobody's machine: no credentials, no cloud around it, files for their owner alone.

    What the tests themselves need was made before.
    """
    home = tmp_path / "home"
    home.mkdir()
    for name in set(os.environ) - {"PATH", "LANG", "LC_ALL", "TMPDIR", "PYTEST_CURRENT_TEST"}:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true"}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    yield home
    os.umask(before)


@pytest.fixture
def internet(tmp_path, monkeypatch):
    """A small internet, in the settings of this machine."""
    folder = tmp_path / "internet"
    folder.mkdir()
    with opened(folder) as found:
        for name, value in found.settings().items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def fetch(supply):
    """Get a model by its URI."""
    return lambda uri, digest=None, mirrors=None: anyio.run(storage.fetched, uri, digest, supply, mirrors)


@pytest.fixture
def model(tmp_path):
    """The model as a folder."""
    folder = tmp_path / "model"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def nothing_left(supply):
    """Look that a fetch that failed left nothing in the cache."""
    return lambda: not (supply.cache / "models").exists() or not list((supply.cache / "models").iterdir())
