import dataclasses
import json

import pytest

from ci import results as model
from ci.base import jsonfile
from ci.base.errors import UsageError

REPORT = model.Report(
    command="test --sample-env dev",
    started="2026-11-23T17:00:00Z",
    outcome="failed",
    seconds=81.25,
    versions={"kserve": "v0.20.0"},
    stages=[model.Stage("lint", "passed", 3.5), model.Stage("canary", "failed", 70.0, "aborted: “err” 5xx")],
    findings=[model.Finding("schema", "helm/x.yaml", 3, "unknown key", "remove it", "warning")],
    canaries=[
        model.CanaryTimeline(
            name="good",
            outcome="Healthy",
            seconds=60.5,
            stable_revision="aaa",
            canary_revision="bbb",
            requests=100,
            failed=0,
            weights=[model.WeightChange(1.5, 80, 20)],
            shares=[model.Share(20, 50, 11, 2, 27)],
            traffic=[model.RevisionTraffic("aaa", 89, 0, 1.5, 2.5, 3.5)],
            declared_pause_seconds=40.0,
        )
    ],
)


def test_what_was_written_is_read_back_equal(tmp_path):
    path = tmp_path / "new" / "folder" / "report.json"
    jsonfile.write(path, REPORT)
    assert jsonfile.read(path, model.Report) == REPORT


def test_a_part_of_the_report_has_a_file_of_its_own(tmp_path):
    jsonfile.write(tmp_path / "canary-good.json", REPORT.canaries[0])
    assert jsonfile.read(tmp_path / "canary-good.json", model.CanaryTimeline) == REPORT.canaries[0]


def test_the_file_is_plain_json_with_the_models_own_names(tmp_path):
    jsonfile.write(tmp_path / "report.json", REPORT)
    assert json.loads((tmp_path / "report.json").read_text()) == dataclasses.asdict(REPORT)


def test_an_older_report_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("x" * 100_000)
    jsonfile.write(path, REPORT)
    assert jsonfile.read(path, model.Report) == REPORT
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_older_report(tmp_path):
    path = tmp_path / "report.json"
    jsonfile.write(path, REPORT)
    with pytest.raises(ValueError, match="serialize"):
        jsonfile.write(path, dataclasses.replace(REPORT, command=object()))
    assert jsonfile.read(path, model.Report) == REPORT
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "the whole file"),
        ("[]", "the whole file"),
        ('{"command": "test"}', "started"),
        ('{"command": "test", "started": "now", "seconds": "12"}', "seconds"),
        ('{"command": "test", "started": "now", "outcome": "fine"}', "outcome"),
        ('{"command": "t", "started": "n", "stages": [{"name": "lint", "outcome": "passed"}]}', "stages.0.seconds"),
    ],
)
def test_a_file_that_is_no_report_is_refused_by_name(tmp_path, content, named):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        jsonfile.read(path, model.Report)
    assert raised.value.message.startswith(f"{path}: {named}: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"report\.json: No such file"):
        jsonfile.read(tmp_path / "report.json", model.Report)
