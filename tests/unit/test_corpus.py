"""What is ordinary is taken: application files and charts as people write them (tests/corpus)."""

import anyio
import pytest

from ci import project as projects
from ci.checks import targets
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


def test_every_chart_is_taken_and_rendered(charts, tool):
    found = {name: deployed.read(charts.folder / name, tool("helm")) for name in corpus.charts()}
    assert not {name: (each.whole, each.refused) for name, each in found.items() if each.whole or each.refused}
    assert all(objects for each in found.values() for objects in each.objects.values())
