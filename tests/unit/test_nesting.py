"""A file that is nested without end is one line, whoever reads it."""

import pytest

from ci import project as projects
from ci.base import nesting
from ci.base.errors import UsageError
from ci.behaviour import golden
from ci.canary import declared
from ci.tree import blocks, tree
from tests.harness import project as harness

OURS = harness.toml(("lab",))
READERS = {
    "project file": lambda text, folder: projects.parse(f"deep = {text}\n{OURS}".encode()),
    "golden file": lambda text, folder: golden.parse(f"name: x\ninputs: {text}\n", "golden/x.yaml"),
    "application": lambda text, folder: tree.read(
        projects.parse(OURS.encode()), "lab", "x", f"{harness.application('x')}deep: {text}\n".encode()
    ).checked(),
    "edited application": lambda text, folder: blocks.set_block(
        f"a: {text}\n".encode(), ("b",), {"c": 1}, "lab/x.yaml"
    ),
    "gates": lambda text, folder: _gates(folder, f"healthy: {text}\n"),
}


def _gates(folder, text):
    (folder / "tree").mkdir()
    (folder / "tree" / "gates.yaml").write_text(text)
    return declared.load(folder, "tree")


@pytest.mark.parametrize("levels", [nesting.DEEPEST, 500, 900])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_is_nested_too_deeply_is_refused_in_one_line_that_names_the_file(reader, levels, tmp_path):
    with pytest.raises(UsageError, match=r"^\S+: nested more than 100 levels deep$"):
        reader("[" * levels + "]" * levels, tmp_path)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_no_parser_reads_is_a_line_as_well(reader, tmp_path):
    with pytest.raises(UsageError) as refused:
        reader("[" * 20000, tmp_path)
    assert len(refused.value.message.splitlines()) == 1


def test_what_people_write_is_read_and_what_holds_itself_is_not():
    wide = [{"a": [1, {"b": []}]}] * 1000
    assert nesting.read(lambda: wide, "x") is wide
    whole: list[object] = []
    for _ in range(nesting.DEEPEST - 1):
        whole = [whole, whole]  # as aliases share: it would be 2 ** 99 lists to look at
    assert nesting.read(lambda: whole, "x") is whole
    whole[0].append(whole)
    with pytest.raises(UsageError, match="nested more than"):
        nesting.read(lambda: whole, "x")
