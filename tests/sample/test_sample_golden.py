"""The sample's golden file: it is Fisher's data, and lets the sample's next version through but not a wrong one."""

import pytest

from ci import sample
from ci.base.errors import CheckFailedError
from ci.behaviour import compare, golden
from tests.harness.behaviour import answers

GOLDEN = sample.facts().golden
URIS = ("s3://models/flowers/v1", "s3://models/flowers/v2")


def test_the_golden_file_is_fishers_data():
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


# What the models of sample/train.py answered with the model server's scikit-learn: the flowers they name wrong.
V1_WRONG = {"versicolor-21": 2, "versicolor-28": 2, "versicolor-34": 2, "virginica-7": 1, "virginica-20": 1}
V2_WRONG = {"versicolor-21": 2, "versicolor-28": 2}


def iris(wrong):
    inputs = golden.load(GOLDEN)
    assert wrong.keys() <= {item.id for item in inputs.inputs}
    return answers([wrong.get(item.id, item.expected) for item in inputs.inputs])


def test_the_forest_may_follow_the_regression():
    result = compare.compare(golden.load(GOLDEN), URIS, iris(V1_WRONG), iris(V2_WRONG))

    compare.require(result)
    whole = result.slices[0]
    assert (whole.agreement.count, whole.champion.count, whole.candidate.count) == (147, 145, 148)


def test_the_mislabelled_version_may_not():
    """It is v1 with each species called as the next one."""
    inputs = golden.load(GOLDEN)
    mislabelled = answers([(V1_WRONG.get(item.id, item.expected) + 1) % 3 for item in inputs.inputs])

    result = compare.compare(inputs, URIS, iris(V1_WRONG), mislabelled)

    with pytest.raises(
        CheckFailedError, match=r"agreement in slice all is 0 of 150 \(0\.0%\), at least 9\d\.\d% asked"
    ):
        compare.require(result)
    named = {line.partition("slice ")[2].split()[0] for line in result.failures}
    assert named >= {"all", "setosa", "boundary", "held-back"}
