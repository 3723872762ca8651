"""The intervals and tests are those of SciPy, or hold what they promise in simulated experiments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ci.behaviour import statistics

EXPERIMENTS = 100
PAIRS = 600
RESAMPLES = 200


@pytest.mark.parametrize("total", [1, 7, 60])
def test_the_interval_of_a_share_is_scipys_exact_one(total):
    for count in range(total + 1):
        reference = stats.binomtest(count, total).proportion_ci(statistics.CONFIDENCE, method="exact")
        assert statistics.clopper_pearson(count, total) == pytest.approx((reference.low, reference.high), abs=1e-12)


@pytest.mark.parametrize("total", [5, 30, 150])
def test_the_interval_holds_the_true_share_at_least_as_often_as_it_says(total):
    """By the whole distribution of the count, not by drawing from it."""
    intervals = np.array([statistics.clopper_pearson(count, total) for count in range(total + 1)])
    for true in np.linspace(0.005, 0.995, 199):
        inside = (intervals[:, 0] <= true) & (true <= intervals[:, 1])
        assert stats.binom.pmf(np.arange(total + 1), total, true)[inside].sum() >= statistics.CONFIDENCE


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemars_p_is_the_two_sided_binomial_tests(regressions, improvements):
    found = statistics.mcnemar(regressions, improvements)
    if regressions + improvements == 0:
        assert found == 1
    else:
        assert found == pytest.approx(stats.binomtest(regressions, regressions + improvements).pvalue, rel=1e-9)


@given(st.integers(0, 500), st.integers(0, 500))
def test_mcnemars_p_does_not_ask_which_version_is_which(regressions, improvements):
    assert statistics.mcnemar(regressions, improvements) == statistics.mcnemar(improvements, regressions)


def test_versions_that_are_equally_good_are_rarely_called_different():
    draw = np.random.default_rng(1)
    right = draw.random((2, 4000, 150)) < 0.9
    regressions = (right[0] & ~right[1]).sum(axis=1)
    improvements = (right[1] & ~right[0]).sum(axis=1)
    called = [
        statistics.mcnemar(*each) < 0.05 for each in zip(regressions.tolist(), improvements.tolist(), strict=True)
    ]
    assert 0.005 < np.mean(called) < 0.05


def test_percentiles_are_nearest_ranks():
    assert statistics.percentiles(np.arange(1, 201)).tolist() == [100, 190, 198]
    assert statistics.percentiles(np.array([7.0])).tolist() == [7, 7, 7]


def times(draw, experiments, pairs, bursts):
    """Latencies of two versions, the second slower; in bursts of neighbours both are slowed down alike."""
    own = draw.lognormal(1.4, 0.25, (2, experiments, pairs))
    own[1] *= 1.1
    slowed = np.repeat(draw.random((experiments, pairs // 10)) < 0.1, 10, axis=1)
    return own + bursts * slowed * draw.lognormal(1, 0.5, (experiments, pairs))


@pytest.mark.parametrize("bursts", [0, 1], ids=["steady", "in bursts"])
def test_the_interval_of_a_difference_holds_the_true_one(bursts):
    """95 % are promised; for the few requests of a tail a bootstrap keeps a little less."""
    draw = np.random.default_rng(2)
    long_run = times(draw, 1, 300_000, bursts)
    true = np.subtract(*(statistics.percentiles(each[0]) for each in reversed(long_run)))
    held = np.zeros(len(statistics.PERCENTILES))
    for champion, candidate in zip(*times(draw, EXPERIMENTS, PAIRS, bursts), strict=True):
        found = statistics.difference_intervals(champion, candidate, RESAMPLES)
        held += [low <= difference <= high for (low, high), difference in zip(found, true, strict=True)]
    assert (held / EXPERIMENTS >= [0.90, 0.88, 0.80]).all(), held / EXPERIMENTS


def test_a_difference_that_is_there_is_seen():
    champion, candidate = times(np.random.default_rng(3), 1, 1500, 0)[:, 0]
    (low, _), *_ = statistics.difference_intervals(champion, 1.2 * candidate)
    assert low > 0


def test_noise_that_both_versions_met_cancels_out():
    draw = np.random.default_rng(4)
    slowed = 5 * draw.random(600)
    champion, candidate = slowed + draw.normal(4, 0.1, 600), slowed + draw.normal(4, 0.1, 600)

    def width(of_candidate):
        return np.diff(statistics.difference_intervals(champion, of_candidate))[0]

    assert width(candidate) < width(draw.permutation(candidate)) / 2


def test_a_constant_shift_is_known_exactly():
    champion = np.random.default_rng(5).lognormal(1, 1, 300)
    found = statistics.difference_intervals(champion, champion + 5)
    assert np.array(found) == pytest.approx(5)


def test_the_same_times_give_the_same_interval():
    champion, candidate = times(np.random.default_rng(6), 1, 300, 1)[:, 0]
    assert statistics.difference_intervals(champion, candidate) == statistics.difference_intervals(champion, candidate)


def test_a_single_pair_has_an_interval_too():
    assert statistics.difference_intervals([4.0], [5.0]) == [(1, 1)] * 3
