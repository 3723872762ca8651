"""What is ordinary is taken: application files and charts as people write them (tests/corpus)."""

import anyio
import pytest

from ci import project as projects
from ci.checks import targets
from ci.tree import taken
from tests.harness import corpus, deployed


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return deployed.with_applications(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    return deployed.with_charts(tmp_path_factory.mktemp("charts"))


def test_the_corpus_is_as_large_as_it_is_to_be():
    assert len(corpus.applications()) >= 200
    assert len(corpus.charts()) >= 30


def test_every_application_file_is_read(files):
    found = deployed.read(files.folder)
    assert not found.refused
    assert len(found.applications) == len(corpus.applications()) * len(deployed.ENVIRONMENTS)


def test_lint_has_nothing_against_any_application_file(files, tool):
    async def judged():
        async with targets.found(files.folder, projects.load(files.folder), targets.Chosen(), tool("helm")) as found:
            return found.findings, len(found.judged)

    findings, judged = anyio.run(judged)
    assert not findings
    assert judged == len(corpus.applications()) * len(deployed.ENVIRONMENTS) + 1  # and the chart's own values


@pytest.fixture(scope="module")
def read(charts, tool):
    return {name: deployed.read(charts.folder / name, tool("helm")) for name in corpus.charts()}


def test_every_chart_is_taken_and_rendered(read):
    assert not {name: (each.whole, each.refused) for name, each in read.items() if each.whole or each.refused}
    assert all(objects for each in read.values() for objects in each.objects.values())


def test_every_chart_that_serves_a_model_serves_that_of_its_set(read):
    sets = [
        (each.applications[name]["values"]["exampleModel"], objects)
        for each in read.values()
        for name, objects in each.objects.items()
    ]
    assert any(item["kind"] == "InferenceService" for _, objects in sets for item in objects)
    assert not [each for model, it in sets for each in taken.unserved(model["storageUri"], model["image"], it)]
