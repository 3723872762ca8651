"""lint warns of links by which Argo CD renders nothing of a repository, wherever they are."""

import anyio
import pytest

from ci.checks import links
from ci.tree import git
from tests.harness import project


def found(made):
    async def findings():
        return await links.findings(await git.opened(made.folder))

    return [(each.file, each.severity, each.message.partition(":")[0]) for each in anyio.run(findings)]


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not"])
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("notebooks/data", "/mnt/data"),
        ("notebooks/data", "../../elsewhere"),
        ("data", ".."),
        ("a/data", "../../x/../a/y"),  # out and in again
    ],
)
def test_a_link_out_of_the_repository_is_told(tmp_path, path, target, committed):
    made = project.made(tmp_path)
    made.commit()
    file = made.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)
    if committed:
        made.commit()

    assert found(made) == [(path, "warning", f"is a link to {target}, out of the repository")]


@pytest.mark.parametrize("target", ["../notes", ".", "gone", "../a/../b/c"])
def test_a_link_inside_is_not(tmp_path, target):
    made = project.made(tmp_path)
    (made.folder / "a").mkdir()
    (made.folder / "a" / "link").symlink_to(target)
    made.commit()

    assert found(made) == []
