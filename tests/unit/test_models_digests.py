"""Models are served only as they were trained."""

import pytest

from ci.errors import CheckFailedError
from ci.models import models
from ci.report import jsonfile

FILE = "sklearn-iris/v1/model.joblib"


@pytest.fixture
def trained(tmp_path):
    for version in ("v1", "v2"):
        file = tmp_path / "models" / "sklearn-iris" / version / "model.joblib"
        file.parent.mkdir(parents=True)
        file.write_bytes(version.encode() * 1000)
    jsonfile.write(tmp_path / models.RECORD, models.digests(tmp_path / "models"))
    return tmp_path


def test_models_as_they_were_trained_are_taken(trained):
    models.require_unchanged(trained / "models", trained / models.RECORD)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / FILE).write_bytes(b"v1" * 999 + b"v3"), FILE),
        (lambda folder: (folder / FILE).unlink(), FILE),
        (lambda folder: (folder / "more").write_bytes(b""), "more"),
    ],
    ids=["a byte", "gone", "added"],
)
def test_a_model_that_was_changed_is_not_served(trained, change, named):
    change(trained / "models")
    with pytest.raises(CheckFailedError, match=named):
        models.require_unchanged(trained / "models", trained / models.RECORD)
