"""How sure the figures of a comparison are. Sources stand in docs/behaviour.md."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95
PERCENTILES = (50, 95, 99)
RESAMPLES = 2000
SEED = 20260401
"""Of the resampling: the same answers and times give the same report."""


def clopper_pearson(count: int, total: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact confidence interval of a share (Clopper and Pearson, 1934).

    Args:
        count: How many of the draws were such.
        total: Number of draws; of none, the share may be any.
        confidence: Least chance that the interval holds the true share.

    Returns:
        Its two ends.
    """
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(count, total - count + 1, tail)) if count > 0 else 0.0
    high = float(special.betaincinv(count + 1, total - count, 1 - tail)) if count < total else 1.0
    return low, high


def mcnemar(regressions: int, improvements: int) -> float:
    """Return the exact p-value of McNemar's test (1947): is one version better, or did chance make the difference?

    Only inputs that just one version names right say which is better. Were both as good, each such input would be
    a fair coin.

    Args:
        regressions: Inputs that only the champion names right.
        improvements: Inputs that only the candidate names right.

    Returns:
        The chance of a difference as great or greater between versions that are equally good; two-sided.
    """
    fewer, both = min(regressions, improvements), regressions + improvements
    return min(1.0, 2 * float(special.bdtr(fewer, both, 0.5)))


def percentiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values that 50, 95 and 99 % of the values do not exceed (nearest rank), along the last axis."""
    return np.quantile(values, [each / 100 for each in PERCENTILES], axis=-1, method="inverted_cdf")


def difference_intervals(
    champion: Sequence[float], candidate: Sequence[float], resamples: int = RESAMPLES, confidence: float = CONFIDENCE
) -> list[tuple[float, float]]:
    """Return the bootstrap percentile interval of each percentile's difference, candidate less champion.

    Pairs are drawn, not times: what slowed both down at once cancels out. They are drawn in blocks of neighbours (the
    circular block bootstrap, Politis and Romano, 1992), since noise comes in bursts, of about n^(1/3) pairs (Hall,
    Horowitz and Jing, 1995): pairs drawn one by one would pretend to know more than was seen.

    Args:
        champion: Its times, in the order of the requests.
        candidate: Its times, each beside the champion's that it was asked next to.
        resamples: How often pairs are drawn anew.
        confidence: How often such intervals hold the true difference.

    Returns:
        The two ends for each of `PERCENTILES`, in the unit of the times.
    """
    pairs = np.array([champion, candidate])
    number = pairs.shape[1]
    block = max(1, round(number ** (1 / 3)))
    starts = np.random.default_rng(SEED).integers(number, size=(resamples, math.ceil(number / block), 1))
    drawn = ((starts + np.arange(block)) % number).reshape(resamples, -1)[:, :number]
    of_champion, of_candidate = (percentiles(times[drawn]) for times in pairs)
    tail = (1 - confidence) / 2
    ends = np.quantile(of_candidate - of_champion, [tail, 1 - tail], axis=1)
    return [(float(low), float(high)) for low, high in ends.T]
