"""Evidence of a stranger's run: it promotes the very application that was served, and no other.

What a run proved is given; git in a sub-folder, the chart, helm, the keys and the signatures are real.
"""

import json
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from ci.base import files
from ci.evidence import checkout, gather, statement
from ci.evidence.gather import Facts
from ci.stages.order import APPLICATION
from ci.tree import chart_package, tree
from ci.tree.git import Snapshot
from tests.harness.evidence import Keys, proof, suites
from tests.harness.remote import helm
from tests.stranger import project
from tests.stranger.promotion import promoted, verified

DIGEST = f"sha256:{'d' * 64}"
OVERLAY = "canary.analysis.window: 1m → 20s (throwaway.values.*.canary.analysis.window)"


@pytest.fixture
def stranger(tmp_path):
    """Its first environment has newer versions of both applications than the second."""
    names = project.drawn(4)
    folder = tmp_path / "repository"
    folder.mkdir()
    made = project.made(folder, names, project.Sets(server_digest=DIGEST, model_digest=DIGEST))
    made.bump("model", names.regression, "2", f"--digest={DIGEST}")
    made.merge()
    made.bump("image", names.texts, f"2@{DIGEST}")
    made.merge()
    return made


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


@pytest.fixture
def evidence(stranger, keys, tmp_path, monkeypatch):
    """Sign what a run of applications alone proved of one in the first environment."""
    report = tmp_path / "report"

    async def gathered(name, **values):
        tested = await checkout.look(stranger.folder)
        application = await tree.load(Snapshot(tested.repository, tested.tree, ""), stranger.first, name)
        asked = files.sha256(stranger.folder / project.QUESTIONS / f"{name}.yaml")
        given = {"overlay": [OVERLAY], "golden": asked, **values}
        served = proof(stranger.first, name, statement.release(application.release), **given)
        now = datetime.now(UTC)
        counts = suites([served], platform=False)
        facts = Facts(None, now - timedelta(minutes=3), now, "source", APPLICATION, counts, [served])
        left = [report / part for part in (statement.REPORT, statement.SBOM)]
        left.append(await chart_package.write(tested.repository, helm(), tested.tree, project.CHART_FOLDER, report))
        artefacts = [statement.artefact(file.name, files.sha256(file)) for file in left]
        return await gather.gather(tested, helm(), facts, artefacts)

    def made(name, **values):
        report.mkdir(exist_ok=True)
        for part in (statement.REPORT, statement.SBOM):
            (report / part).write_text("of a run\n")
        said = anyio.run(lambda: gathered(name, **values))
        file = report / statement.EVIDENCE
        file.write_bytes(keys.sealed(json.loads(statement.written(said)), monkeypatch))
        return file

    return made


def applications(names):
    return (names.regression, names.texts), (names.texts, names.regression)


@pytest.mark.parametrize("which", [0, 1])
def test_it_promotes_the_one_that_was_served_and_is_refused_for_the_other(stranger, keys, evidence, which):
    names = stranger.names
    name, other = applications(names)[which]
    file = evidence(name)

    refused = verified(stranger, keys, file, other)
    assert refused.returncode == 1
    assert f"{stranger.first}/{other}: missing: it was not served in this run" in " ".join(refused.stderr.split())

    told = verified(stranger, keys, file, name)
    assert told.returncode == 0, told.stderr
    assert "platform: not part of this run" in told.stderr

    second = names.environments[1]
    assert promoted(stranger, keys, file, name) == [f"{project.BELOW}/{stranger.file(second, name)}"]
    there, here = (stranger.data(stranger.file(environment, name)) for environment in (second, stranger.first))
    assert {part: there[part] for part in ("model", "image")} == {part: here[part] for part in ("model", "image")}


def test_a_change_for_the_cluster_that_its_project_file_does_not_have_is_refused(stranger, keys, evidence):
    name = stranger.names.regression
    line = "slo.latency.p95Threshold: 0.5 → 5 (throwaway.values.*.slo.latency.p95Threshold)"

    refused = verified(stranger, keys, evidence(name, overlay=[OVERLAY, line]), name)

    assert refused.returncode == 1
    assert "does not allow it" in " ".join(refused.stderr.split())
