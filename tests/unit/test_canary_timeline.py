import random
from fractions import Fraction
from math import comb

import pytest

from ci.base.errors import CheckFailedError
from ci.canary.observe import timeline
from ci.canary.observe.timeline import Answer, Routed
from ci.results import Bucket, RevisionTraffic, Share

PODS = {"10.244.0.7": "stable5d", "10.244.0.9": "canary7f"}


def routed(at, stable, canary, *, before=None):
    return Routed(at if before is None else before, at, stable, canary)


WEIGHTS = [routed(0.0, 100, 0), routed(10.0, 80, 20), routed(30.0, 50, 50)]


def answers(start, end, canary_share, rate=50, seed=1):
    """What a client at a steady rate gets from a mesh that draws each request by itself."""
    draw = random.Random(seed)
    return [
        Answer(start + index / rate, 0.004, 200, "10.244.0.9" if draw.random() < canary_share else "10.244.0.7")
        for index in range(int((end - start) * rate))
    ]


def exact_tail(draws, percent, counts):
    """Chance of these counts, in whole numbers."""
    ways = sum(comb(draws, count) * percent**count * (100 - percent) ** (draws - count) for count in counts)
    return Fraction(ways, 100**draws)


@pytest.mark.parametrize(("draws", "percent"), [(1, 50), (7, 5), (60, 20), (400, 50), (900, 20), (300, 99)])
@pytest.mark.parametrize("error", [Fraction(1, 1_000_000), Fraction(1, 20)])
def test_the_bound_is_the_narrowest_whose_tails_are_within_the_stated_chance(draws, percent, error):
    low, high = timeline.binomial_bound(draws, percent / 100, float(error))
    assert exact_tail(draws, percent, range(low)) <= error / 2
    assert exact_tail(draws, percent, range(high + 1, draws + 1)) <= error / 2
    assert exact_tail(draws, percent, range(low + 1)) > error / 2
    assert exact_tail(draws, percent, range(high, draws + 1)) > error / 2


def test_a_weight_of_nothing_or_all_leaves_no_room():
    assert timeline.binomial_bound(500, 0.0) == (0, 0)
    assert timeline.binomial_bound(500, 1.0) == (500, 500)
    assert timeline.binomial_bound(0, 0.2) == (0, 0)


def test_a_hundred_thousand_requests_are_bounded_too():
    low, high = timeline.binomial_bound(100_000, 0.2)
    assert 19_300 < low < 20_000 < high < 20_700


def test_a_correct_mesh_is_inside_at_every_weight():
    seen = answers(0, 10, 0.0) + answers(10, 30, 0.2) + answers(30, 50, 0.5)
    shares = timeline.shares(WEIGHTS, seen, PODS, canary="canary7f", ended=50.0)
    assert [share.canary_weight for share in shares] == [0, 20, 50]
    assert [share.requests for share in shares] == pytest.approx([400, 900, 900], abs=2)
    assert all(share.low <= share.canary_requests <= share.high for share in shares)


def test_a_mesh_that_ignores_the_weights_is_outside():
    shares = timeline.shares(WEIGHTS, answers(0, 50, 0.5), PODS, canary="canary7f", ended=50.0)
    assert [share.low <= share.canary_requests <= share.high for share in shares] == [False, False, True]


def test_one_answer_of_the_canary_before_its_first_step_is_outside():
    early = [Answer(5.0, 0.004, 200, "10.244.0.9")]
    (share, *_) = timeline.shares(WEIGHTS, answers(0, 10, 0.0) + early, PODS, canary="canary7f", ended=50.0)
    assert (share.canary_requests, share.low, share.high) == (1, 0, 0)


def test_a_request_near_a_change_counts_for_neither_side():
    guard = timeline.GUARD_SECONDS
    around = [
        Answer(10.0 - guard - 0.5, 0.5, 200, "10.244.0.7"),  # ends in time
        Answer(10.0 - guard - 0.4, 0.5, 200, "10.244.0.7"),  # still under way
        Answer(10.0 + guard - 0.1, 0.5, 200, "10.244.0.7"),  # sent too early
        Answer(10.0 + guard, 0.5, 200, "10.244.0.9"),
    ]
    shares = timeline.shares(WEIGHTS, around, PODS, canary="canary7f", ended=50.0)
    assert [(share.canary_weight, share.requests, share.canary_requests) for share in shares] == [(0, 1, 0), (20, 1, 1)]


def test_between_two_looks_at_the_proxy_nobody_knows_its_weights():
    weights = [routed(0.0, 100, 0), routed(20.0, 80, 20, before=10.0)]
    seen = answers(0, 14, 0.0) + answers(14, 40, 0.2)
    shares = timeline.shares(weights, seen, PODS, canary="canary7f", ended=40.0)
    assert [share.requests for share in shares] == pytest.approx([50 * 8, 50 * 18], abs=2)
    assert all(share.low <= share.canary_requests <= share.high for share in shares)


def test_after_the_promotion_the_weights_say_nothing():
    weights = [*WEIGHTS, routed(50.0, 0, 100), routed(51.0, 100, 0)]
    shares = timeline.shares(weights, answers(0, 80, 1.0), PODS, canary="canary7f", ended=50.5)
    assert [share.canary_weight for share in shares] == [0, 20, 50]


def test_an_abort_must_take_every_request_back():
    weights = [routed(0.0, 100, 0), routed(10.0, 80, 20), routed(20.0, 100, 0)]
    seen = answers(0, 10, 0.0) + answers(10, 20, 0.2) + answers(20, 30, 0.0) + [Answer(25.0, 0.1, 200, "10.244.0.9")]
    shares = timeline.shares(weights, seen, PODS, canary="canary7f", ended=30.0)
    assert [share.canary_weight for share in shares] == [0, 20, 0]
    assert shares[2].high == 0
    assert shares[2].canary_requests == 1


def test_totals_by_revision_count_failures_and_give_percentiles():
    seen = [Answer(index, (index + 1) / 1000, 200, "10.244.0.7") for index in range(100)]
    seen += [Answer(200, 0.020, 200, "10.244.0.9"), Answer(201, 0.030, 503, "10.244.0.9")]
    seen += [Answer(300, 1.0, 0, "")]
    assert timeline.traffic(seen, PODS) == [
        RevisionTraffic("stable5d", 100, 0, pytest.approx(50), pytest.approx(95), pytest.approx(99)),
        RevisionTraffic("canary7f", 2, 1, pytest.approx(20), pytest.approx(30), pytest.approx(30)),
    ]


def test_each_second_has_what_each_revision_answered_in_it():
    seen = [
        Answer(0.0, 0.010, 200, "10.244.0.7"),
        Answer(0.999, 0.030, 503, "10.244.0.7"),
        Answer(2.5, 0.002, 200, "10.244.0.9"),
        Answer(2.5, 0.004, 200, "10.244.0.7"),
        Answer(2.6, 1.000, 0, ""),
    ]
    assert timeline.bucket_seconds(seen) == 1
    assert timeline.buckets(seen, PODS, 1) == [
        Bucket(0.0, "stable5d", 2, 1, 10.0, 30.0),
        Bucket(2.0, "", 1, 1, 1000.0, 1000.0),
        Bucket(2.0, "canary7f", 1, 0, 2.0, 2.0),
        Bucket(2.0, "stable5d", 1, 0, 4.0, 4.0),
    ]


@pytest.mark.parametrize("end", [0.5, 119.9, 120.0, 121.0, 239.9, 240.0, 3600.0])
def test_a_series_is_bounded_however_long_a_canary_takes_and_holds_every_answer(end):
    seen = [*answers(0, 0.5, 0.5), Answer(end, 0.004, 200, "10.244.0.7")]
    width = timeline.bucket_seconds(seen)
    series = timeline.buckets(seen, PODS, width)
    assert end / timeline.MOST_BUCKETS < width <= end / timeline.MOST_BUCKETS + 1
    assert max(bucket.at for bucket in series) / width < timeline.MOST_BUCKETS
    assert sum(bucket.requests for bucket in series) == len(seen)
    assert all(bucket.at % width == 0 for bucket in series)


def test_no_answers_make_no_series():
    assert timeline.bucket_seconds([]) == 1
    assert timeline.buckets([], PODS, 1) == []


def test_no_answers_make_no_shares():
    assert timeline.shares(WEIGHTS, [], PODS, canary="canary7f", ended=50.0) == []
    assert timeline.traffic([], PODS) == []


def test_an_answer_of_an_unknown_pod_is_never_guessed():
    strange = [Answer(5.0, 0.004, 200, "10.244.0.66")]
    with pytest.raises(CheckFailedError, match=r"10\.244\.0\.66"):
        timeline.shares(WEIGHTS, strange, PODS, canary="canary7f", ended=50.0)
    with pytest.raises(CheckFailedError, match=r"10\.244\.0\.66"):
        timeline.traffic(strange, PODS)
    with pytest.raises(CheckFailedError, match=r"10\.244\.0\.66"):
        timeline.buckets(strange, PODS, 1)


def test_answers_that_name_no_pod_are_left_to_the_total():
    seen = [*answers(0, 10, 0.0), Answer(5.0, 0.004, 503, "")]
    (share,) = timeline.shares(WEIGHTS[:1], seen, PODS, canary="canary7f", ended=10.0)
    assert share == Share(0, 400, 0, 0, 0)
