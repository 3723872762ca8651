"""A golden file says what it means, or is refused by row and field; the project's own is Fisher's data."""

import copy

import pytest
import yaml

from ci.base.errors import UsageError
from ci.behaviour import golden
from ci.stages.behaviour import GOLDEN

GOOD = {
    "name": "flowers",
    "version": 2,
    "source": "a garden, counted by hand",
    "slices": {"red": "those that are red", "rare": "fewer than ten a year"},
    "gates": {"all": {"agreement": 0.9, "accuracy": 0.95, "regressions": 0}, "red": {"accuracy": 1}},
    "inputs": [
        {"id": "rose-1", "instance": [1.0, 2], "expected": 0, "slices": ["red", "rare"]},
        {"id": "rose-2", "instance": [1.5, 2.5], "expected": 1},
        {"id": "tulip-1", "instance": [3.0, 4.0], "expected": 0, "slices": ["red"]},
    ],
}


def changed(change):
    content = copy.deepcopy(GOOD)
    change(content)
    return content


def refused(tmp_path, content):
    file = tmp_path / "flowers.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(UsageError) as raised:
        golden.load(file)
    assert raised.value.message.startswith(f"{file}: ")
    return raised.value.message.removeprefix(f"{file}: ")


def test_a_good_file_is_read_as_it_is(tmp_path):
    file = tmp_path / "flowers.yaml"
    file.write_text(yaml.safe_dump(GOOD))

    loaded = golden.load(file)

    assert (loaded.name, loaded.version) == ("flowers", 2)
    assert [item.instance for item in loaded.inputs] == [[1.0, 2], [1.5, 2.5], [3.0, 4.0]]
    assert (loaded.inside("all"), loaded.inside("red"), loaded.inside("rare")) == ([0, 1, 2], [0, 2], [0])
    assert (loaded.gates["red"].accuracy, loaded.gates["red"].regressions) == (1, None)


def test_labels_and_instances_may_be_text(tmp_path):
    file = tmp_path / "flowers.yaml"
    rows = [{"id": "a", "instance": "a red one", "expected": "rose"}, {"id": "b", "instance": "", "expected": "no"}]
    file.write_text(yaml.safe_dump({**GOOD, "slices": {}, "gates": {"all": {"regressions": 0}}, "inputs": rows}))

    assert [item.expected for item in golden.load(file).inputs] == ["rose", "no"]


def row(number, **fields):
    return lambda content: content["inputs"][number].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (row(1, expected=1.5), "row 2 (rose-2): expected: 1.5 is no label"),
        (row(1, expected=False), "row 2 (rose-2): expected: False is no label"),
        (row(2, expected=None), "row 3 (tulip-1): expected: None is no label"),
        (row(2, instance=[float("nan"), 1.0]), "row 3 (tulip-1): instance: [nan, 1.0] cannot be sent as JSON"),
        (row(2, instance=[1.0]), "row 3 (tulip-1): instance: 1 values, but 2 values in row 1 (rose-1)"),
        (row(2, instance="red"), "row 3 (tulip-1): instance: str, but 2 values in row 1 (rose-1)"),
        (row(2, slices=["rd"]), "row 3 (tulip-1): slices: rd is not declared"),
        (row(2, id="rose-1"), "row 3 (rose-1): id: row 1 has it already"),
        (row(2, id="a|b"), "row 3 (a|b): id: String should match"),
        (row(0, label=0), "row 1 (rose-1): label: Extra inputs are not permitted"),
        (lambda content: content["inputs"][1].pop("id"), "row 2: id: Field required"),
        (lambda content: content["inputs"][1].pop("instance"), "row 2 (rose-2): instance: Field required"),
        (lambda content: content["inputs"].insert(1, "rose"), "row 2: Input should be"),
        (lambda content: content["inputs"].clear(), "inputs: List should have at least 1 item"),
        (lambda content: content.update(version="2"), "version: Input should be a valid integer"),
        (lambda content: content.update(version=0), "version: Input should be greater than or equal to 1"),
        (lambda content: content.update(gate={}), "gate: Extra inputs are not permitted"),
        (lambda content: content["gates"].pop("all"), "gates.all: not declared"),
        (lambda content: content["gates"].update(blue={"accuracy": 1}), "gates.blue: there is no such slice"),
        (lambda content: content["gates"].update(red={}), "gates.red: holds a candidate to nothing"),
        (lambda content: content["gates"]["red"].update(accuracy=95), "gates.red.accuracy: Input should be less than"),
        (lambda content: content["gates"]["red"].update(precision=1), "gates.red.precision: Extra inputs"),
        (lambda content: content["slices"].update(all="each"), "slices.all: the name is taken"),
        (lambda content: content["slices"].update(blue="none"), "slices.blue: no input is in it"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_field(tmp_path, change, said):
    assert refused(tmp_path, changed(change)).startswith(said)


def test_every_mistake_is_in_the_detail_and_the_line_counts_them(tmp_path):
    content = changed(row(0, expected=1.5))
    content["inputs"][2]["expected"] = 2.5

    assert refused(tmp_path, content).endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("content", "said"), [("name: [", "no YAML: "), ("", "Input should be"), ("- 1", "Input should")]
)
def test_what_is_no_golden_file_is_said_so(tmp_path, content, said):
    assert refused(tmp_path, content).startswith(said)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: No such file"):
        golden.load(tmp_path / "none.yaml")


def test_the_projects_own_file_is_fishers_data():
    """Its means are those that scikit-learn's description of the data states."""
    loaded = golden.load(GOLDEN)

    assert len(loaded.inputs) == 150
    assert [len(loaded.inside(name)) for name in ("setosa", "versicolor", "virginica")] == [50, 50, 50]
    assert [item.expected for item in loaded.inputs] == [0] * 50 + [1] * 50 + [2] * 50
    means = [sum(item.instance[column] for item in loaded.inputs) / 150 for column in range(4)]
    assert means == pytest.approx([5.843333, 3.057333, 3.758, 1.199333], abs=1e-6)
    assert len(loaded.inside("held-back")) == 45


def test_every_flower_of_the_boundary_is_where_its_slice_says():
    loaded = golden.load(GOLDEN)
    between = [
        number
        for number, item in enumerate(loaded.inputs)
        if 4.5 <= item.instance[2] <= 5.1 and 1.4 <= item.instance[3] <= 1.8
    ]
    assert loaded.inside("boundary") == between
    assert {loaded.inputs[number].expected for number in between} == {1, 2}
