"""What a random, blind audit proves about the decisions it was drawn from: bounds on the share that is right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from scipy.stats import beta, hypergeom

from vermilion.learn.prediction_powered import predictors, regression_estimate
from vermilion.types import BoolArray, FloatArray

# Fewer answers tell too little of how answers go with confidence.
LEAST_POWERED = 100
# From this part of all rows on, to count the rows that are left gains more than confidence does.
LARGE_PART = 0.2
# What is known besides the answers may count for at most half as many more: a few mistakes that happen to be
# foreseen make a variance look smaller than it is.
MOST_GAIN = 1.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share with its bounds, each of them one-sided.

    Attributes
    ----------
    estimate, lower, upper : float
    n : int
        Answers that it rests on.
    method : str
    """

    estimate: float
    lower: float
    upper: float
    n: int
    method: str


def clopper_pearson(hits: float, n: float, delta: float) -> tuple[float, float]:
    """Return one-sided bounds on a proportion, each of which fails with probability at most `delta`.

    Clopper and Pearson (1934), for draws with replacement. An audit draws without: the hits then scatter less,
    and the lower bound keeps its promise for every share from one half, the upper for every share up to it
    (found by going through all cases of small pools). Beyond, a bound may fail a little more often than
    `delta` says: in 5.1 % of the runs for 0.05.

    Parameters
    ----------
    hits, n : float
        Successes among `n` draws; without a draw the bounds are 0 and 1. Effective numbers need not be whole.
    delta : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        `hits` is not between 0 and `n`, or `delta` not between 0 and 1.

    Examples
    --------
    >>> lower, upper = clopper_pearson(59, 59, 0.05)
    >>> round(lower, 3), upper
    (0.95, 1.0)
    """
    _check(hits, n, delta)
    lower = float(beta.ppf(delta, hits, n - hits + 1)) if hits else 0.0
    upper = float(beta.ppf(1 - delta, hits + 1, n - hits)) if hits < n else 1.0
    return lower, upper


def finite_bounds(hits: int, n: int, rows: int, delta: float) -> tuple[float, float]:
    """Return one-sided bounds on the share of `rows` of which `n` were drawn without replacement.

    Clopper and Pearson's construction with the hypergeometric distribution: exact for every pool, and tighter
    the larger the part that was drawn. All drawn, both bounds are what was found.

    Raises
    ------
    ValueError
        `hits` is not between 0 and `n`, `n` not between 0 and `rows`, or `delta` not between 0 and 1.

    Examples
    --------
    >>> [round(bound, 3) for bound in finite_bounds(57, 60, 100_000, 0.05)]
    [0.876, 0.986]
    >>> [round(bound, 3) for bound in finite_bounds(57, 60, 120, 0.05)]
    [0.9, 0.975]
    """
    _check(hits, n, delta)
    if n > rows:
        raise ValueError(f"n must be at most {rows}, the rows there are, got {n}")
    if not rows:
        return 0.0, 1.0
    return _fewest(hits, n, rows, delta) / rows, 1 - _fewest(n - hits, n, rows, delta) / rows


@cache
def _fewest(hits: int, n: int, rows: int, delta: float) -> int:
    """Return the smallest number of right rows with which so many hits are no rarer than `delta`."""
    low, high = hits, rows - (n - hits)
    while low < high:
        middle = (low + high) // 2
        if hypergeom.sf(hits - 1, rows, middle, n) > delta:
            high = middle
        else:
            low = middle + 1
    return low


def effective_bounds(estimate: float, variance: float, n: int, delta: float) -> tuple[float, float]:
    """Return one-sided bounds on a share that was estimated with this variance from `n` answers.

    Korn and Graubard (1998): Clopper and Pearson's bounds for the number of plain draws that would have the same
    variance. Near a share of 1, where few answers are wrong, bounds from the normal distribution fail in 8 to
    20 % of the runs; these keep their promise as well as Clopper and Pearson's (docs/design/certificate.md).

    Examples
    --------
    >>> plain = 0.95 * 0.05 / 200
    >>> [round(effective_bounds(0.95, variance, 200, 0.05)[0], 3) for variance in (plain, plain / 1.4)]
    [0.917, 0.923]
    >>> round(clopper_pearson(190, 200, 0.05)[0], 3)
    0.917
    """
    spread = estimate * (1 - estimate)
    gain = spread / variance / n if spread > 0 and variance > 0 else 1.0
    plain = n * min(gain, MOST_GAIN)
    # To many digits, or the product of a share and a number may pass the number.
    return clopper_pearson(min(round(estimate * plain, 9), plain), plain, delta)


def share_right(
    agreed: BoolArray,
    confidence: FloatArray,
    drawn: BoolArray,
    delta: float,
    sources: FloatArray | None = None,
) -> Bounds:
    """Return the share of all rows that is right, by a simple random sample of them.

    Below 100 answers, or where they are a fifth of all rows or more: Clopper and Pearson for draws without
    replacement. Else stratified prediction-powered inference, with the confidence as the prediction.

    Parameters
    ----------
    agreed : ndarray of bool, shape (n,)
        Of each drawn row, in the rows' order.
    confidence : ndarray of float, shape (rows,)
        The calibrated probability that each row is right. The bounds hold also where it is not calibrated.
    drawn : ndarray of bool, shape (rows,)
    delta : float
        Each bound fails with at most this probability.
    sources : ndarray of shape (rows, k), optional
        Further strata, as columns of 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> confidence = rng.beta(9, 1, 5000)
    >>> right, drawn = rng.random(5000) < confidence, np.arange(5000) < 200
    >>> found = share_right(right[drawn], confidence, drawn, 0.05)
    >>> round(found.lower, 3), found.method
    (0.803, 'stratified PPI++ with effective sample size, each bound one-sided')
    >>> round(share_right(right[:60], confidence, np.arange(5000) < 60, 0.05).lower, 3)
    0.716
    """
    n, rows, hits = len(agreed), len(confidence), int(agreed.sum())
    if n < LEAST_POWERED or n > LARGE_PART * rows:
        lower, upper = finite_bounds(hits, n, rows, delta)
        method = "Clopper-Pearson for draws without replacement, each bound one-sided"
        return Bounds(hits / n if n else 0.0, lower, upper, n, method)
    columns = predictors(confidence, n, sources)
    estimate, variance = regression_estimate(agreed, columns[drawn], columns.mean(axis=0))
    lower, upper = effective_bounds(estimate, variance, n, delta)
    method = "stratified PPI++ with effective sample size, each bound one-sided"
    return Bounds(estimate, lower, upper, n, method)


def extend(share: float, audited: float, known: float) -> float:
    """Extend a share that holds for `audited` texts to a pool whose other `known` texts agree for certain.

    A bound on the share becomes a bound for the pool. An empty pool agrees wholly.

    Examples
    --------
    >>> extend(0.9, audited=80, known=20)
    0.92
    """
    total = audited + known
    return (share * audited + known) / total if total else 1.0


def _check(hits: float, n: float, delta: float) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"hits must be between 0 and n, got {hits} of {n}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, got {delta}")
