"""lint tells what Argo CD's checkout would have with other bytes, committed or not."""

import anyio
import pytest

from ci import project as projects
from ci.checks import converted
from ci.tree import git
from tests.harness import project
from tests.harness.project import TREE

FILE = f"{TREE}/lab/fraud-score.yaml"


@pytest.fixture
def made(tmp_path):
    made = project.made(tmp_path)
    made.commit()
    return made


def found(made):
    async def findings():
        repository = await git.opened(made.folder)
        return await converted.findings(repository, projects.load(made.folder))

    return [(each.file, each.message) for each in anyio.run(findings)]


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not"])
def test_a_file_that_a_checkout_changes_is_a_finding(made, committed):
    made.write(f"{TREE}/lab/.gitattributes", "fraud-score.yaml ident\n")
    if committed:
        made.commit()

    ((file, said),) = found(made)

    assert file == FILE
    assert said.startswith(".gitattributes has git change it on the way out (ident)")


def test_what_is_none_of_its_files_and_what_changes_nothing_are_not(made):
    made.write(".gitattributes", "* text=auto eol=lf\n*.ipynb filter=nbstripout\n")
    made.write("notes.ipynb", "{}\n")

    assert found(made) == []
