"""What Argo CD makes of this repository, by its own code, is what the tool reads and renders of it."""

import pytest

from ci import project
from ci.base.paths import ROOT
from ci.tree import worktree
from tests.harness import deployed
from tests.harness.remote import run

THERE = (ROOT / project.FILE).is_file() and worktree.files(ROOT, project.load(ROOT))


@pytest.mark.skipif(not THERE, reason="a copy without the sample has no tree")
def test_this_repositorys_applications_are_what_argo_cd_makes_of_them(deploys, helm, tmp_path):
    run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")])
    deployed.require_same(deploys, helm, tmp_path / "clone")
