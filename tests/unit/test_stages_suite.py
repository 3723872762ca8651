"""Each stage that runs tests says which, and without a cluster none is green: the real suite, started for real."""

import json
from contextlib import AsyncExitStack

import anyio
import pytest

from ci.base.errors import CheckFailedError
from ci.cluster.cluster import Cluster
from ci.results import Report
from ci.stages import suite
from ci.stages.order import ORDER, named
from ci.stages.run import Options, Run
from ci.supply.supply import Supply
from ci.tree import tree
from tests.harness import project as projects

STAGES = {
    "inference": (suite.inference, "test_inference.py"),
    "canary": (suite.canary, "test_canary.py"),
    "integration": (suite.integration, "test_autoscaling.py"),
    "uninstall": (suite.uninstall, "test_uninstall.py"),
    "bad-releases": (suite.bad_releases, "test_bad_releases.py"),
    "gitops": (lambda run: suite.gitops(run, "192.0.2.1"), "test_gitops.py"),
}


def test_the_order_knows_which_stages_run_tests():
    assert {stage.name for stage in ORDER if stage.tests} == set(STAGES)


def test_a_stage_that_comes_back_without_a_test_is_red(monkeypatch, tmp_path):
    async def nothing(run):
        pass

    monkeypatch.setattr(suite, "canary", nothing)
    options = Options(tmp_path, "dev", False, None, None, False, tmp_path)
    run = Run(options, Supply("upstream", tmp_path), Report("test", "now"), AsyncExitStack())
    with pytest.raises(CheckFailedError, match="canary: no test ran"):
        anyio.run(named("canary").execute, run)


@pytest.mark.parametrize("stage", list(STAGES))
def test_without_a_cluster_a_suite_is_red_by_the_name_of_a_test(tmp_path, monkeypatch, stage):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    function, file = STAGES[stage]
    project = projects.made(tmp_path / "models").folder
    options = Options(project, "lab", False, tmp_path / "kubeconfig", None, False, tmp_path)
    cluster = Cluster("none", tmp_path / "kubeconfig", "none", None)
    run = Run(options, Supply("upstream", tmp_path), Report("test", "now"), AsyncExitStack(), made_cluster=cluster)

    with pytest.raises(CheckFailedError) as raised:
        anyio.run(function, run)

    (counts,) = run.report.suites
    listed = json.loads((tmp_path / f"pytest-{stage}.json").read_text())
    assert listed[0].startswith(f"tests/integration/{file}::")
    assert (counts.stage, counts.expected, counts.passed) == (stage, len(listed), 0)
    assert any(test in raised.value.message for test in listed), raised.value.message


def test_an_applications_own_tests_cannot_even_be_listed_without_its_release(tmp_path):
    project = projects.made(tmp_path / "models")
    options = Options(project.folder, "lab", False, tmp_path / "kubeconfig", None, False, tmp_path)
    cluster = Cluster("none", tmp_path / "kubeconfig", "none", None)
    run = Run(options, Supply("upstream", tmp_path), Report("test", "now"), AsyncExitStack(), made_cluster=cluster)
    name = projects.APPLICATIONS[0]
    application = tree.Application(project.project, "lab", name, projects.application(name).encode())

    with pytest.raises(CheckFailedError) as raised:
        anyio.run(suite.application, run, application, "app-1")

    begins = f"the applications.lab.{name} tests cannot be listed: exit code 4: ERROR: --kubeconfig "
    assert raised.value.message.startswith(begins), raised.value.message
    assert run.report.suites == []
