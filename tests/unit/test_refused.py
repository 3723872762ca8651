"""Values of public issues: each is refused, with the key and the line that it is about."""

import anyio
import pytest

from ci.checks import runtimes as check
from ci.manifests import runtimes
from ci.supply.supply import Supply
from tests.harness import corpus, project

CORPUS = [each for each in corpus.refused() if each["by"] != "control plane"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project in which each of them is an application."""
    made = project.made(tmp_path_factory.mktemp("refused"), environments=("lab",), applications=())
    for number, each in enumerate(CORPUS):
        name = each.setdefault("application", f"model-{number}")
        made.write(f"{project.TREE}/lab/{name}.yaml", project.with_values(name, each["values"]))
    made.commit()
    return made


@pytest.fixture(scope="module")
def found(made, tool):
    """What lint finds of them as far as it needs no container."""
    renderings = [*made.helm(tool("helm"), "template").values()]
    known = anyio.run(runtimes.kserves, tool("helm"), Supply("source").module("kserve"))
    return [
        *made.judged(lambda found: found.findings),
        *(finding for of_one in made.helm(tool("helm"), "lint").values() for finding in of_one),
        *(finding for each in renderings for finding in each.findings),
        *(finding for _, finding in check.rendered([each for each in renderings if not each.findings], known)),
    ]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: "#".join(case["issue"].split("/")[-4::3]))
def test_it_is_refused_by_its_key_and_line(made, found, case):
    file = f"{project.TREE}/lab/{case['application']}.yaml"
    text = (made.folder / file).read_text()
    findings = [each for each in found if each.file == file and each.severity == "error"]
    told = {each.line for each in findings if case["key"] in each.message.replace("/", ".")}
    assert told == {corpus.marked(text) or text.splitlines().index("model:") + 1}, findings  # its name is the file's
