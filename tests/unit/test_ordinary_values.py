"""Values as teams may write them raise no false alarm: what the chart takes, the checks of what it renders take too."""

import anyio
import pytest

from ci.checks import runtimes as check
from ci.manifests import runtimes
from ci.supply.supply import Supply
from tests.harness import lint, ordinary, project
from tests.unit.test_chart_values import COMMENTS

FILES = 20
REFUSED = 0.5
"""Share that may contradict itself, which the chart refuses."""


def test_every_key_of_the_chart_is_among_them():
    together = {key for key in COMMENTS if key.partition(".")[0] in ordinary.TOGETHER}
    assert {*ordinary.LEAVES} | together | ordinary.OF_THE_TREE | ordinary.CHOSEN_ELSEWHERE == {*COMMENTS}


@pytest.fixture(scope="module")
def judge(tool, tmp_path_factory):
    """What is refused by the chart, and what else is found, of values in an application each."""
    helm = tool("helm")
    known = anyio.run(runtimes.kserves, helm, Supply("source").module("kserve"))

    def judged(files):
        made = project.made(tmp_path_factory.mktemp("ordinary"), environments=("lab",), applications=())
        for number, each in enumerate(files):
            made.deploy("lab", f"model-{number}", values=each)
        made.commit()
        renderings = [each for name, each in made.helm(helm, "template").items() if name != "defaults"]
        taken = [each for each in renderings if not each.findings]
        found = [finding for _, finding in check.rendered(taken, known)]
        found += anyio.run(lint.links, taken)
        return [finding for each in renderings for finding in each.findings], found

    return judged


@pytest.mark.parametrize("number", [FILES, pytest.param(ordinary.AT_NIGHT, marks=pytest.mark.nightly)])
def test_what_the_chart_takes_is_taken(judge, number):
    refused, found = judge(ordinary.files(number))
    assert found == []
    assert len(refused) <= REFUSED * number, refused
