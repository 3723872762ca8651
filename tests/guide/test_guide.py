"""docs/your-model.md, followed word for word from an empty folder to a green run: pytest tests/guide

It makes two clusters, one after the other, as the guide does.
"""

import base64
import json

from ci.base import jsonfile
from ci.evidence import statement
from ci.models import digests
from ci.results import Report
from tests.harness import guide

SECONDS = 3600
"""Some minutes each for `lint` and two runs of `test`; half an hour where the supply is cold."""


def test_an_empty_folder_becomes_a_project_whose_next_version_is_proven(tmp_path):
    ended = guide.follow(tmp_path, guide.blocks(), seconds=SECONDS)

    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    first, second = (digests.pinned(tmp_path / "models" / "deliveries" / version) for version in ("1", "2"))
    report = jsonfile.read(tmp_path / "report" / "report.json", Report)
    assert {stage.outcome for stage in report.stages} == {"passed"}
    (proof,) = report.applications
    assert (proof.environment, proof.name) == ("dev", "deliveries")
    (rule,) = proof.rules
    assert rule.endswith(": s3://acme-models/deliveries/2 was not asked in this run")
    assert (proof.champion.model, proof.candidate.model) == (first, second)
    assert (proof.behaviour.golden, proof.behaviour.failures) == ("deliveries", [])
    assert (proof.canary.outcome, proof.canary.failed, proof.back) == ("Healthy", 0, True)
    assert (tmp_path / "report" / "report.html").is_file()

    envelope = json.loads((tmp_path / "report" / statement.EVIDENCE).read_text())
    (proven,) = statement.read(base64.b64decode(envelope["payload"])).predicate.applications
    assert (proven.served.champion.model, proven.served.candidate.model) == (first, second)
    assert (proven.golden.passed, proven.canary) == (True, "Healthy")
