"""Which decisions may be accepted unseen: the largest set whose share of errors is certified to be small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

import numpy as np
from scipy.stats import binom, hypergeom, norm

from vermilion.types import BoolArray, FloatArray, IntArray

# Thresholds to be tested: as many equal steps in the share of rows that are accepted.
STEPS = 40
# The strictest set to be tested gets at most this part of the audit, more only where it takes more to prove anything.
START = 1 / 3
# With how many errors in the strictest set a test may begin.
MOST_START_ERRORS = 12
# How likely a further audit is to prove it, and the largest one that is reckoned with.
POWER, MOST_ANSWERS = 0.8, 100_000


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Which decisions may be accepted without a look.

    Attributes
    ----------
    alpha : float
        Largest share of errors among the accepted.
    delta : float
        The probability that the share is larger after all is at most this.
    threshold : float or None
        Rows of this confidence or more are accepted; None where no set could be certified.
    accepted : int
        How many rows these are.
    n, errors : int
        Audit answers among them, and those that disagree.
    needed : int or None
        Without a threshold: about so many more audit answers; None where no number of them is likely to do.
    """

    alpha: float
    delta: float
    threshold: float | None
    accepted: int
    n: int
    errors: int
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Levels:
    """Sets of rows, each within the next, with what the audit found in them; one entry a set.

    Attributes
    ----------
    threshold : ndarray of float
        Smallest confidence in the set; falling.
    rows, n, errors : ndarray of int
        Its rows; those of them that were drawn; those drawn that are wrong.
    """

    threshold: FloatArray
    rows: IntArray
    n: IntArray
    errors: IntArray

    @classmethod
    def of(cls, agreed: BoolArray, confidence: FloatArray, drawn: BoolArray) -> Levels:
        """Make sets of the rows with confidence from a threshold up; the thresholds depend on no answer."""
        possible = np.isfinite(confidence)
        ranked = np.sort(confidence[possible])[::-1]
        if not len(ranked):
            none = np.zeros(0, dtype=np.int64)
            return cls(none.astype(np.float64), none, none, none)
        places = np.ceil(len(ranked) * np.arange(1, STEPS + 1) / STEPS).astype(np.int64) - 1
        threshold = np.unique(ranked[places])[::-1].astype(np.float64)
        sampled, wrong = confidence[drawn], confidence[drawn][~agreed]
        return cls(threshold, *(_at_least(values, threshold) for values in (ranked, sampled, wrong)))


def _at_least(values: FloatArray, thresholds: FloatArray) -> IntArray:
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


def accept(
    agreed: BoolArray, confidence: FloatArray, drawn: BoolArray, alpha: float, delta: float
) -> Acceptance:
    """Find the largest set of rows whose share of errors is certified to be at most `alpha`.

    Learn then Test (Angelopoulos et al., 2021): sets from the strictest threshold to the loosest are tested in
    this fixed order, each at `delta`, until one is not proven; so the chance of a wrong set is `delta` in all. A
    p-value is that of an exact test for draws without replacement.

    Parameters
    ----------
    agreed : ndarray of bool, shape (n,)
        Of each drawn row, in the rows' order.
    confidence : ndarray of float, shape (rows,)
        Any score; it need not be calibrated, but must not depend on the answers. -inf: never to be accepted.
    drawn : ndarray of bool, shape (rows,)
        A simple random sample.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> confidence = rng.beta(4, 0.5, 5000)
    >>> right, drawn = rng.random(5000) < confidence, np.arange(5000) < 400
    >>> found = accept(right[drawn], confidence, drawn, 0.05, 0.05)
    >>> found.accepted, round(float(1 - right[confidence >= found.threshold].mean()), 3)
    (3125, 0.026)
    >>> accept(right[:50], confidence, np.arange(5000) < 50, 0.05, 0.05).needed
    208
    """
    levels = Levels.of(agreed, confidence, drawn)
    start = first_level(levels.n, alpha, delta, len(agreed))
    passed = np.logical_and.accumulate(p_values(levels, alpha)[start:] <= delta).sum()
    if not passed:
        return Acceptance(alpha, delta, None, 0, 0, 0, answers_needed(levels, alpha, delta, len(agreed)))
    last = start + int(passed) - 1
    counts = (int(part[last]) for part in (levels.rows, levels.n, levels.errors))
    return Acceptance(alpha, delta, float(levels.threshold[last]), *counts)


def p_values(levels: Levels, alpha: float) -> FloatArray:
    """Return for each set the probability of so few errors in the sample, if more than `alpha` of it were wrong."""
    # The smallest number of errors that is too many; rounded first, for 0.05 * 60 is a little more than 3.
    too_many = np.floor(np.round(alpha * levels.rows, 9)).astype(np.int64) + 1
    found: FloatArray = hypergeom.cdf(levels.errors, levels.rows, np.minimum(too_many, levels.rows), levels.n)
    return found


def first_level(n: IntArray, alpha: float, delta: float, size: int) -> int:
    """Return the first set to test, by the number of its answers alone: one with room for a few errors.

    A set in which a single error ends the test is a poor start. So the first one has as many answers as are needed to
    prove `alpha` with 0, 1, 2, ... errors, whichever is the most that a third of the audit covers.

    Examples
    --------
    >>> first_level(np.arange(0, 420, 20), 0.05, 0.05, 400), first_level(np.arange(0, 220, 20), 0.05, 0.05, 200)
    (7, 3)
    """
    counts = [least_answers(errors, alpha, delta) for errors in range(MOST_START_ERRORS)]
    wanted = max([count for count in counts if count <= START * size], default=counts[0])
    return int(np.searchsorted(n, wanted, side="left"))


@cache
def least_answers(errors: int, alpha: float, delta: float) -> int:
    """Return how many answers prove a share of at most `alpha` when so many of them are errors.

    Examples
    --------
    >>> least_answers(0, 0.05, 0.05), least_answers(1, 0.05, 0.05), least_answers(0, 0.0, 0.05)
    (59, 93, 100000)
    """
    if alpha <= 0:
        return MOST_ANSWERS
    low, high = errors + 1, MOST_ANSWERS
    while low < high:
        middle = (low + high) // 2
        if binom.cdf(errors, middle, alpha) <= delta:
            high = middle
        else:
            low = middle + 1
    return low


def answers_needed(levels: Levels, alpha: float, delta: float, size: int) -> int | None:
    """Return about how many more audit answers would certify some set, four times out of five.

    The sets are taken to err as the audit says, half an error added; the set that needs the fewest counts.

    Examples
    --------
    >>> levels = Levels(np.array([0.5]), np.array([1000]), np.array([40]), np.array([0]))
    >>> answers_needed(levels, 0.05, 0.05, 40)
    103
    """
    seen = np.maximum(levels.n, 1)
    answers = sufficient_answers((levels.errors + 0.5) / (seen + 1), alpha, delta)
    possible = (levels.n > 0) & (answers <= levels.rows)
    if not possible.any():
        return None
    return max(ceil(float((answers / seen)[possible].min()) * size) - size, 1)


def sufficient_answers(share: FloatArray, alpha: float, delta: float) -> FloatArray:
    """Return about how many answers prove at most `alpha`, four times out of five, where `share` of them are errors.

    By the normal distribution, which is near enough for a number that is told as "about"; at least as many as it
    takes without an error. Infinite where no number does.

    Examples
    --------
    >>> sufficient_answers(np.array([0.0, 0.01, 0.05]), 0.05, 0.05)
    array([ 59., 123.,  inf])
    """
    spread = norm.isf(delta) * sqrt(alpha * (1 - alpha)) + norm.ppf(POWER) * np.sqrt(share * (1 - share))
    room = np.where(share < alpha, alpha - share, np.nan)
    found = np.maximum(np.ceil((spread / room) ** 2), least_answers(0, alpha, delta))
    return np.where(share < alpha, found, np.inf)
