"""Models are served only as they were trained: whatever else lies there is trained again."""

import contextlib
from pathlib import Path

import pytest

from ci import sample
from ci.checks import session
from ci.supply.supply import Supply

pytestmark = pytest.mark.anyio
FILE = "wine/v1/model.joblib"
IMAGE = "docker.io/library/python"
FACTS = f"""\
model = "wine"
image = "{IMAGE}"
champion = "v1"
candidate = "v2"
environment = "lab"

[known_answer]
protocol = "v1"
request = {{ instances = [[1.0]] }}
at = "$.predictions[0]"
expected = 0
"""


@pytest.fixture(autouse=True)
def facts(tmp_path, monkeypatch):
    """A sample of the tests' own."""
    for name, file, text in ("FILE", "sample.toml", FACTS), ("SCRIPT", "train.py", "print()\n"):
        (tmp_path / file).write_text(text)
        monkeypatch.setattr(sample, name, tmp_path / file)
    sample.facts.cache_clear()
    yield
    sample.facts.cache_clear()


class Trainer:
    """Stands for the model server's container; it is counted how often it trains."""

    def __init__(self):
        self.trained = 0

    async def export(self, folder):
        self.trained += 1
        for version in ("v1", "v2"):
            file = Path(folder, f"wine/{version}/model.joblib")
            file.parent.mkdir(parents=True)
            file.write_bytes(version.encode() * 1000)


@pytest.fixture
def trainer(monkeypatch):
    made = Trainer()

    @contextlib.asynccontextmanager
    async def opened(_):
        yield None, None

    monkeypatch.setattr(session, "opened", opened)
    monkeypatch.setattr(sample, "train", lambda *_: made)
    return made


@pytest.fixture
def supply(tmp_path, monkeypatch):
    """A supply with the model server's image in its registry."""
    made = Supply("source", tmp_path / "cache")

    class Registry:
        async def digest(self, _):
            return "sha256:0123"

    async def fetch(names):
        assert names == [IMAGE]
        made._registry = Registry()

    monkeypatch.setattr(made, "fetch", fetch)
    return made


async def test_models_are_trained_once(supply, trainer):
    folder = await sample.trained(supply)
    assert await sample.trained(supply) == folder
    assert trainer.trained == 1
    assert (folder / FILE).read_bytes() == b"v1" * 1000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / FILE).write_bytes(b"v1" * 999 + b"v3"), f"{FILE}: other bytes"),
        (lambda folder: (folder / FILE).write_bytes(b""), f"{FILE}: 0 bytes"),
        (lambda folder: (folder / FILE).unlink(), f"{FILE} is missing"),
        (lambda folder: (folder / "more").touch(), "more is not of it"),
    ],
    ids=["a byte", "empty", "gone", "added"],
)
async def test_models_that_were_changed_are_not_served(supply, trainer, capsys, change, said):
    folder = await sample.trained(supply)
    change(folder)
    capsys.readouterr()

    assert await sample.trained(supply) == folder
    assert (folder / FILE).read_bytes() == b"v1" * 1000
    assert not (folder / "more").exists()
    assert trainer.trained == 2
    assert f"the model folder in the cache is not what was put there ({said}): fetched again" in capsys.readouterr().err
