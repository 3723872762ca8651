"""What two versions answered becomes figures, and a candidate that is worse than the golden file allows is stopped."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.base import jsonfile
from ci.base.errors import CheckFailedError
from ci.behaviour import compare
from ci.behaviour import golden as golden_inputs
from ci.behaviour.compare import Answer
from ci.results import Report
from ci.stages.behaviour import GOLDEN
from tests.harness.behaviour import answers, golden

URIS = ("s3://models/flowers/v1", "s3://models/flowers/v2")
EXAMPLES = settings(deadline=None, max_examples=50)
"""A busy machine may take its time."""
LABEL = st.one_of(st.none(), st.integers(0, 2))
ROW = st.tuples(st.integers(0, 2), LABEL, LABEL, st.floats(0.001, 1), st.floats(0.001, 1), st.booleans())


def compared(inputs, champion, candidate):
    return compare.compare(inputs, URIS, champion, candidate)


def of_rows(rows):
    """Compare made-up rows: expected label, both answers, both times, whether in the one slice; one round."""
    expected, before, after, slow, fast, inside = zip(*rows, strict=True)
    slices = {"some": {number for number, each in enumerate(inside) if each}} if any(inside) else {}

    def one_round(labels, seconds):
        return [[Answer(label is not None, label, each) for label, each in zip(labels, seconds, strict=True)]]

    return compared(golden(expected, slices), one_round(before, slow), one_round(after, fast))


def test_every_figure_of_a_comparison():
    inputs = golden([0, 0, 1, 1, 2], {"ones": {2, 3}, "zeros": {0, 1}})
    result = compared(inputs, answers([0, 0, 1, 0, 0]), answers([0, 0, 0, 1, 1]))

    whole, ones, zeros = result.slices
    assert (result.golden, result.golden_version, result.champion, result.candidate) == ("flowers", 3, *URIS)
    assert (whole.name, whole.agreement.count, whole.champion.count, whole.candidate.count) == ("all", 2, 3, 3)
    assert (whole.regressions, whole.improvements, whole.p_value) == (1, 1, 1)
    assert (ones.name, ones.agreement.count, ones.champion.count, ones.candidate.count) == ("ones", 0, 1, 1)
    assert (zeros.agreement.count, zeros.agreement.total, zeros.candidate.share) == (2, 2, 1)
    (changed,) = result.regressions
    assert (changed.input, changed.slices, changed.expected, changed.answered) == ("input-2", ["ones"], "1", "0")


def test_the_worst_regression_comes_first():
    inputs = golden([0] * 6, {"better": {0, 1}, "same": {2, 3}, "worse": {4, 5}})
    result = compared(inputs, answers([1, 0, 0, 0, 0, 0]), answers([0, 0, 0, 0, 0, 1]))
    assert [each.name for each in result.slices] == ["all", "worse", "same", "better"]


def test_two_versions_that_do_not_answer_do_not_agree():
    result = compared(golden([0, 0]), answers([None, 0]), answers([None, 0]))
    assert result.slices[0].agreement.count == 1
    assert (result.champion_failed, result.candidate_failed) == (1, 1)


def test_an_input_that_is_answered_now_so_now_so_has_no_answer():
    result = compared(golden([0, 0]), answers([0, 0], [0, 0]), answers([0, 0], [1, 0]))
    assert result.slices[0].candidate.count == 1
    assert [(item.input, item.answered) for item in result.regressions] == [("input-0", "")]
    assert (result.requests, result.candidate_failed) == (4, 0)


def test_a_text_is_not_the_number_it_looks_like():
    result = compared(golden([0, 1]), answers([0, 1]), answers(["0", 1]))
    assert [(item.expected, item.answered) for item in result.regressions] == [("0", '"0"')]


def test_latency_is_of_the_pairs_that_both_answered():
    champion = [[Answer(True, 0, 0.004), Answer(False, None, 9.0), Answer(True, 0, 0.006)]]
    candidate = [[Answer(True, 0, 0.005), Answer(True, 0, 0.001), Answer(True, 0, 0.007)]]
    result = compared(golden([0, 0, 0]), champion, candidate)
    assert [(item.champion_ms, item.candidate_ms, item.difference_ms) for item in result.latency] == [
        (4, 5, 1),
        (6, 7, 1),
        (6, 7, 1),
    ]
    assert all((item.low_ms, item.high_ms) == (1, 1) for item in result.latency)


def test_without_a_pair_that_both_answered_there_is_no_latency():
    assert compared(golden([0]), answers([None]), answers([0])).latency == []


@EXAMPLES
@given(st.lists(ROW, min_size=1, max_size=40))
def test_agreement_does_not_ask_which_version_is_which(rows):
    forth = of_rows(rows)
    back = of_rows([(expected, after, before, *rest) for expected, before, after, *rest in rows])
    for there in forth.slices:
        (here,) = [each for each in back.slices if each.name == there.name]
        assert there.agreement == here.agreement
        assert (there.champion, there.candidate) == (here.candidate, here.champion)
        assert (there.regressions, there.improvements) == (here.improvements, here.regressions)
        assert there.p_value == here.p_value


@EXAMPLES
@given(st.data())
def test_the_order_of_the_inputs_changes_no_figure(data):
    rows = data.draw(st.lists(ROW, min_size=1, max_size=40))
    other = data.draw(st.permutations(rows))
    one, two = of_rows(rows), of_rows(other)
    assert one.slices == two.slices
    assert len(one.regressions) == len(two.regressions)
    figures = [[(item.percentile, item.champion_ms, item.candidate_ms) for item in each.latency] for each in (one, two)]
    assert figures[0] == figures[1]


@EXAMPLES
@given(st.lists(ROW, min_size=1, max_size=40))
def test_the_counts_of_a_slice_add_up(rows):
    result = of_rows(rows)
    for each in result.slices:
        assert each.candidate.count == each.champion.count - each.regressions + each.improvements
        assert each.agreement.count <= each.agreement.total - each.regressions - each.improvements
        for share in (each.agreement, each.champion, each.candidate):
            assert 0 <= share.low <= share.share <= share.high <= 1
    assert len(result.regressions) == result.slices[0].regressions


@EXAMPLES
@given(st.lists(ROW, min_size=1, max_size=40))
def test_a_version_beside_itself_is_no_different(rows):
    result = of_rows(
        [(expected, label, label, second, second, inside) for expected, label, _, second, _, inside in rows]
    )
    answered = sum(label is not None for _, label, *_ in rows)
    assert result.slices[0].agreement.count == answered
    assert (result.regressions, result.slices[0].p_value) == ([], 1)
    assert all((item.low_ms, item.difference_ms, item.high_ms) == (0, 0, 0) for item in result.latency)


GATES = {
    "all": {"agreement": 0.5, "accuracy": 0.75, "regressions": 1},
    "ones": {"accuracy": 1},
}
ONES = {"ones": {2, 3}}


def test_a_candidate_at_its_very_limits_passes():
    inputs = golden([0, 0, 1, 1], ONES, GATES)
    compare.require(compared(inputs, answers([0, 0, 1, 0]), answers([0, 1, 1, 1])))


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        ([0, 0, 0, 1], "accuracy in slice ones is 1 of 2 (50.0%), at least 100.0% asked"),
        ([1, 1, 1, 1], "2 answers in slice all went from right to wrong, at most 1 may"),
        ([1, 1, 1, 1], "accuracy in slice all is 2 of 4 (50.0%), at least 75.0% asked"),
        ([1, 1, 1, 0], "agreement in slice all is 1 of 4 (25.0%), at least 50.0% asked"),
        ([0, None, 1, None], "accuracy in slice ones is 1 of 2 (50.0%), at least 100.0% asked"),
    ],
)
def test_a_candidate_below_a_limit_is_stopped_with_slice_and_numbers(candidate, said):
    result = compared(golden([0, 0, 1, 1], ONES, GATES), answers([0, 0, 1, 2]), answers(candidate))
    assert said in result.failures
    with pytest.raises(CheckFailedError) as raised:
        compare.require(result)
    assert raised.value.message.startswith(f"{URIS[1]} does not behave as flowers 3 asks: {result.failures[0]}")
    assert said in raised.value.detail


# What the models of sample/train.py answered with the model server's scikit-learn: the flowers they name wrong.
V1_WRONG = {"versicolor-21": 2, "versicolor-28": 2, "versicolor-34": 2, "virginica-7": 1, "virginica-20": 1}
V2_WRONG = {"versicolor-21": 2, "versicolor-28": 2}


def iris(wrong):
    inputs = golden_inputs.load(GOLDEN)
    assert wrong.keys() <= {item.id for item in inputs.inputs}
    return answers([wrong.get(item.id, item.expected) for item in inputs.inputs])


def test_the_forest_may_follow_the_regression():
    result = compared(golden_inputs.load(GOLDEN), iris(V1_WRONG), iris(V2_WRONG))

    compare.require(result)
    whole = result.slices[0]
    assert (whole.agreement.count, whole.champion.count, whole.candidate.count) == (147, 145, 148)


def test_the_mislabelled_version_may_not():
    """It is v1 with each species called as the next one."""
    inputs = golden_inputs.load(GOLDEN)
    mislabelled = answers([(V1_WRONG.get(item.id, item.expected) + 1) % 3 for item in inputs.inputs])

    result = compared(inputs, iris(V1_WRONG), mislabelled)

    with pytest.raises(
        CheckFailedError, match=r"agreement in slice all is 0 of 150 \(0\.0%\), at least 9\d\.\d% asked"
    ):
        compare.require(result)
    named = {line.partition("slice ")[2].split()[0] for line in result.failures}
    assert named >= {"all", "setosa", "boundary", "held-back"}


def test_nothing_of_a_result_is_lost_as_json(tmp_path):
    result = compared(golden_inputs.load(GOLDEN), iris(V1_WRONG), iris(V2_WRONG))
    report = Report(command="test", started="now", behaviour=result)
    jsonfile.write(tmp_path / "report.json", report)
    assert jsonfile.read(tmp_path / "report.json", Report) == report
