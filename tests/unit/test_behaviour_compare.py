"""What two versions answered becomes figures, and a candidate that is worse than the golden file allows is stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.base import jsonfile
from ci.base.errors import CheckFailedError
from ci.behaviour import compare
from ci.behaviour.compare import Answer
from ci.behaviour.golden import Input
from ci.report import behaviour as plots
from ci.results import Report
from tests.harness.behaviour import answer, answers, golden

URIS = ("s3://models/flowers/v1", "s3://models/flowers/v2")
LABEL = st.one_of(st.none(), st.integers(0, 2))
ROW = st.tuples(st.integers(0, 2), LABEL, LABEL, st.floats(0.001, 1), st.floats(0.001, 1), st.booleans())


def compared(inputs, champion, candidate):
    return compare.compare(inputs, URIS, champion, candidate)


def of_rows(rows):
    """Compare made-up rows: expected label, both answers, both times, whether in the one slice; one round."""
    expected, before, after, slow, fast, inside = zip(*rows, strict=True)
    slices = {"some": {number for number, each in enumerate(inside) if each}} if any(inside) else {}

    def one_round(labels, seconds):
        return [[answer(label, each) for label, each in zip(labels, seconds, strict=True)]]

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
    assert (result.champion_failure, result.candidate_failure) == ("503: busy", "503: busy")


def test_what_the_champion_alone_does_not_answer_is_compared_with_nothing():
    inputs = golden([0, 0, 0], {"new": {0}}, {"all": {"agreement": 1, "regressions": 0}, "new": {"agreement": 1}})
    before = answers([None, 0, 0], [0, 0, 0])
    result = compared(inputs, before, answers([0, 0, 0], [0, 0, 0]))
    whole, new = result.slices
    assert (whole.agreement.count, whole.agreement.total, whole.champion.count, whole.champion.total) == (2, 2, 2, 3)
    assert (new.agreement.count, new.agreement.total, new.agreement.share) == (0, 0, 0)
    assert result.failures == []
    assert [each.id for each in compare.answered(inputs, before)] == ["input-1", "input-2"]

    other = compared(inputs, before, answers([0, 0, 1], [0, 0, 1]))
    assert other.failures[0] == "agreement in slice all is 1 of 2 (50.0%), at least 100.0% asked"
    neither = compared(inputs, before, answers([None, 0, 0], [0, 0, 0]))
    assert neither.failures[0] == "agreement in slice all is 2 of 3 (66.7%), at least 100.0% asked"


def test_an_input_that_is_answered_now_so_now_so_has_no_answer():
    result = compared(golden([0, 0]), answers([0, 0], [0, 0]), answers([0, 0], [1, 0]))
    assert result.slices[0].candidate.count == 1
    assert [(item.input, item.answered, item.reason) for item in result.regressions] == [
        ("input-0", "", "not the same each time: 0, 1")
    ]
    assert (result.requests, result.candidate_failed) == (4, 0)


def test_a_text_is_not_the_number_it_looks_like():
    result = compared(golden([0, 1]), answers([0, 1]), answers(["0", 1]))
    assert [(item.expected, item.answered) for item in result.regressions] == [("0", '"0"')]


def test_latency_is_of_the_pairs_that_both_answered():
    champion = [[answer(0, 0.004), answer(None, 9.0), answer(0, 0.006)]]
    candidate = [[answer(0, 0.005), answer(0, 0.001), answer(0, 0.007)]]
    result = compared(golden([0, 0, 0]), champion, candidate)
    assert [(item.champion_ms, item.candidate_ms, item.difference_ms) for item in result.latency] == [
        (4, 5, 1),
        (6, 7, 1),
        (6, 7, 1),
    ]
    assert all((item.low_ms, item.high_ms) == (1, 1) for item in result.latency)


def test_without_a_pair_that_both_answered_there_is_no_latency():
    assert compared(golden([0]), answers([None]), answers([0])).latency == []


@given(st.lists(ROW.filter(lambda row: (row[1] is None) == (row[2] is None)), min_size=1, max_size=40))
def test_agreement_does_not_ask_which_version_is_which(rows):
    forth, back = of_rows(rows), of_rows([(row[0], row[2], row[1], *row[3:]) for row in rows])
    there, here = ({each.name: each.agreement for each in result.slices} for result in (forth, back))
    assert there == here


@given(st.lists(ROW, min_size=1, max_size=40))
def test_no_figure_but_agreement_asks_which_version_is_which(rows):
    forth = of_rows(rows)
    back = of_rows([(expected, after, before, *rest) for expected, before, after, *rest in rows])
    for there in forth.slices:
        (here,) = [each for each in back.slices if each.name == there.name]
        assert (there.champion, there.candidate) == (here.candidate, here.champion)
        assert (there.regressions, there.improvements) == (here.improvements, here.regressions)
        assert there.p_value == here.p_value


@given(st.data())
def test_the_order_of_the_inputs_changes_no_figure(data):
    rows = data.draw(st.lists(ROW, min_size=1, max_size=40))
    other = data.draw(st.permutations(rows))
    one, two = of_rows(rows), of_rows(other)
    assert one.slices == two.slices
    assert len(one.regressions) == len(two.regressions)
    figures = [[(item.percentile, item.champion_ms, item.candidate_ms) for item in each.latency] for each in (one, two)]
    assert figures[0] == figures[1]


@given(st.lists(ROW, min_size=1, max_size=40))
def test_the_counts_of_a_slice_add_up(rows):
    result = of_rows(rows)
    for each in result.slices:
        assert each.candidate.count == each.champion.count - each.regressions + each.improvements
        assert each.agreement.count <= each.candidate.total - each.regressions - each.improvements
        for share in (each.agreement, each.champion, each.candidate):
            assert 0 <= share.low <= share.share <= share.high <= 1
    assert len(result.regressions) == result.slices[0].regressions


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


ONLY_REGRESSIONS = {"all": {"regressions": 0}}


@pytest.mark.parametrize("champion", [[None, None], ["wrong", "wrong"]], ids=["itself or red", "wrong"])
def test_what_gets_no_answer_fails_whatever_the_champion_answered(champion):
    result = compared(golden([0, 1], gates=ONLY_REGRESSIONS), answers(champion), answers([None, None]))
    assert result.failures == [
        "0 answers in slice all went from right to wrong, and 2 more inputs got no answer, at most 0 may"
    ]


def test_one_round_without_an_answer_is_enough_and_none_counts_twice():
    inputs = golden([0, 1], gates={"all": {"regressions": 1}})
    result = compared(inputs, answers([0, 0], [0, 0]), answers([0, 0], [None, None]))
    assert result.failures == [
        "1 answers in slice all went from right to wrong, and 1 more inputs got no answer, at most 1 may"
    ]


def test_what_was_wrong_and_stays_wrong_is_no_regression():
    result = compared(golden([0, 1], gates=ONLY_REGRESSIONS), answers([1, 1]), answers([2, 1]))
    assert result.failures == []


def test_nothing_of_a_result_is_lost_as_json(tmp_path):
    result = compared(golden([0, 0, 1, 1], ONES, GATES), answers([0, 0, 1, 2]), answers([0, None, 1, 1]))
    report = Report(command="test", started="now", behaviour=result)
    jsonfile.write(tmp_path / "report.json", report)
    assert jsonfile.read(tmp_path / "report.json", Report) == report


NEAR = {"tolerance": {"absolute": 0.5, "relative": 0.01}}


@pytest.mark.parametrize(
    ("expected", "answered", "right"),
    [
        (3.0, 3.49, True),  # by the absolute tolerance
        (3.0, 3.51, False),
        (1000.0, 1010.0, True),  # by the relative one
        (1000.0, 1011.0, False),
        (3, 3.2, True),
        ([1.0, 200.0], [1.4, 201.9], True),
        ([1.0, 200.0], [1.4, 203.0], False),
        ([1.0, 2.0], [1.0], False),
        ({"score": 0.9, "label": "car"}, {"label": "car", "score": 0.7}, True),
        ({"score": 0.9, "label": "car"}, {"label": "bus", "score": 0.9}, False),
        ({"score": 0.9}, {"score": 0.9, "label": "car"}, False),
        (1, True, False),
        (0, False, False),
        ("3.0", 3.0, False),
        (10**18, 10**18 + 10**16, True),
        (10**18, 10**18 + 10**16 + 10**15, False),
    ],
)
def test_numbers_are_as_near_as_the_file_asks_wherever_they_stand_and_all_else_is_exact(expected, answered, right):
    result = compared(golden([expected], **NEAR), answers([expected]), answers([answered]))
    assert (result.slices[0].candidate.count, result.slices[0].agreement.count) == (right, right)


def test_without_a_tolerance_numbers_are_exact():
    result = compared(golden([0.3, 0.3]), answers([0.3, 0.3]), answers([0.1 + 0.2, 0.3]))
    (changed,) = result.regressions
    assert (changed.input, changed.expected, changed.answered) == ("input-0", "0.3", "0.30000000000000004")
    assert changed.reason == "$ is 0.30000000000000004, not 0.3"


@pytest.mark.parametrize(
    ("expected", "answered", "right"),
    [
        (1234567890123456789, 1234567890123456700, False),
        (9007199254740993, 9007199254740992, False),
        (9007199254740993, 9007199254740992.0, False),
        ([7, 1234567890123456789], [7, 1234567890123456788], False),
        ({"id": -1234567890123456789}, {"id": -1234567890123456788}, False),
        (1234567890123456789, 1234567890123456789, True),
        (9007199254740992, 9007199254740992.0, True),
        (10**20, 1e20, True),
        (3, 3.0, True),
    ],
)
def test_a_whole_number_is_not_rounded_before_it_is_compared(expected, answered, right):
    result = compared(golden([expected]), answers([expected]), answers([answered]))
    assert (result.slices[0].candidate.count, result.slices[0].agreement.count) == (right, right)


def test_null_is_an_answer():
    result = compared(
        golden([None, 1]), [[Answer(None, 0.1), Answer(1, 0.1)]], [[Answer(None, 0.1), Answer(None, 0.1)]]
    )
    assert (result.candidate_failed, result.slices[0].candidate.count, result.slices[0].agreement.count) == (0, 1, 1)


def test_rounds_within_the_tolerance_are_one_answer():
    result = compared(golden([3.0], **NEAR), answers([3.0], [3.2]), answers([3.1], [2.9]))
    assert (result.slices[0].agreement.count, result.regressions) == (1, [])


@pytest.mark.parametrize(
    ("rounds", "right", "reason"),
    [
        ([10.9, 11.8, 11.8], 0, "$ is 11.8, not 10"),
        ([10.9, 10.9, 11.1], 0, "$ is 11.1, not 10"),
        ([11.1, 10.9, 10.9], 0, "$ is 11.1, not 10"),
        ([10.9, 10.1, 10.2], 1, None),
    ],
)
def test_an_answer_is_right_where_it_is_right_in_every_round(rounds, right, reason):
    champion = answers(*[[10.0]] * len(rounds))
    result = compared(golden([10], tolerance={"absolute": 1}), champion, answers(*[[each] for each in rounds]))
    assert result.slices[0].candidate.count == right
    assert [item.reason for item in result.regressions] == ([reason] if reason else [])


def test_an_answer_against_the_schema_in_a_later_round_is_wrong():
    inputs = golden([1.0], tolerance={"absolute": 0.5}, schema={"maximum": 1.2})
    (changed,) = compared(inputs, answers([1.0], [1.0]), answers([1.0], [1.3])).regressions
    assert changed.reason == "the schema says at $: 1.3 is greater than the maximum of 1.2"


def test_versions_agree_where_they_do_in_every_round():
    inputs = golden([10], tolerance={"absolute": 1})
    result = compared(inputs, answers([10.0], [10.0]), answers([10.9], [11.1]))
    assert result.slices[0].agreement.count == 0


def test_of_a_long_answer_the_places_that_differ_are_named_and_it_is_cut():
    vector = [float(number) for number in range(1000)]
    other = [value + (number in {7, 8, 500, 999}) for number, value in enumerate(vector)]
    (changed,) = compared(golden([vector]), answers([vector]), answers([other])).regressions
    assert changed.reason == "$[7] is 8.0, not 7.0; $[8] is 9.0, not 8.0; $[500] is 501.0, not 500.0; and 1 more"
    assert max(len(changed.expected), len(changed.answered)) == compare.LONGEST
    assert "$[7] is 8.0, not 7.0" in plots.answered(changed)
    assert len(plots.answered(changed)) < 400


SCHEMA = {"type": "object", "required": ["label"], "properties": {"score": {"type": "number", "maximum": 1}}}


def test_an_answer_against_the_schema_is_wrong_whatever_else_it_is():
    inputs = golden([{"label": "car", "score": 0.9}, {"label": "bus"}], schema=SCHEMA, tolerance={"absolute": 0.5})
    right = [{"label": "car", "score": 0.9}, {"label": "bus"}]
    (changed,) = compared(inputs, answers(right), answers([{"label": "car", "score": 1.2}, right[1]])).regressions
    assert (changed.input, changed.reason) == (
        "input-0",
        "the schema says at $.score: 1.2 is greater than the maximum of 1",
    )


def test_where_nothing_is_expected_the_schema_says_what_is_right():
    inputs = golden([0], schema=SCHEMA)
    (item,) = inputs.inputs
    inputs = inputs.model_copy(update={"inputs": [Input(id=item.id, instance=item.instance)]})
    good, bad = {"label": "x"}, {"score": 0.1}
    result = compared(inputs, answers([good]), answers([bad]))
    (changed,) = result.regressions
    assert (changed.expected, changed.answered) == ("", '{"score": 0.1}')
    assert changed.reason == "the schema says at $: 'label' is a required property"
    assert plots.expected(changed) == "by the schema"
    assert compared(inputs, answers([good]), answers([{"label": "y"}])).regressions == []
