"""Intervals by the bootstrap: rows are drawn again with replacement, as weights, so that no row is ever copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol

import numpy as np

from vermilion.learn.paired import wilson
from vermilion.types import BoolArray, FloatArray

RESAMPLES = 1000
CONFIDENCE = 0.95
# Below this share of resamples on which a statistic is defined, what they say is not worth telling.
LEAST_DEFINED = 0.5
# Weights held at a time: 16 MB.
CELLS = 2_000_000


class Statistic(Protocol):
    """Figures of rows that may count several times or not at all.

    Attributes
    ----------
    names : tuple of str, of length m
    sizes : ndarray of shape (m,)
        How many independent rows each figure is worth, as effective sample sizes.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def sizes(self) -> FloatArray: ...

    def at(self, weights: FloatArray) -> FloatArray:
        """Return the figures, shape (b, m), for how often each row counts, shape (b, n); nan where not defined."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the bounds of its interval; None where it is not defined, with the reason.

    Examples
    --------
    >>> Estimate(0.9, 0.85, 0.94).as_dict()
    {'value': 0.9, 'lower': 0.85, 'upper': 0.94}
    """

    value: float | None
    lower: float | None
    upper: float | None
    reason: str = ""

    def as_dict(self) -> dict[str, float | str | None]:
        """Return plain JSON types; the reason is there where it says something."""
        told: dict[str, float | str | None] = {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
        }
        return told | ({"reason": self.reason} if self.reason else {})


@dataclass(frozen=True, slots=True)
class Draws:
    """Figures on the rows as they are, and on rows drawn again.

    Attributes
    ----------
    names : tuple of str, of length m
    values : ndarray of shape (m,)
    resampled : ndarray of shape (B, m)
        nan where a figure is not defined on the rows drawn.
    sizes : ndarray of shape (m,)
    """

    names: tuple[str, ...]
    values: FloatArray
    resampled: FloatArray
    sizes: FloatArray

    def among(self, names: Sequence[str]) -> Draws:
        """Return these figures alone, in this order."""
        at = [self.names.index(name) for name in names]
        return Draws(tuple(names), self.values[at], self.resampled[:, at], self.sizes[at])

    def beside(self, other: Draws) -> Draws:
        """Return these figures and those of another; both were drawn equally often."""
        return Draws(
            self.names + other.names,
            np.concatenate([self.values, other.values]),
            np.hstack([self.resampled, other.resampled]),
            np.concatenate([self.sizes, other.sizes]),
        )

    def estimates(self, confidence: float = CONFIDENCE) -> dict[str, Estimate]:
        """Return each figure with its interval; what is not defined has None and no reason yet."""
        columns = zip(self.names, self.values, self.resampled.T, self.sizes, strict=True)
        return {name: estimate(value, drawn, size, confidence) for name, value, drawn, size in columns}


def draw(
    statistics: Sequence[Statistic], n: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Draws:
    """Return figures of n rows, and of as many rows drawn with replacement, `resamples` times (Efron, 1979).

    All statistics see the same rows drawn, and so do those of another call whose `rng` is in the same state: their
    differences are those of a paired bootstrap. Memory holds some of the weights, and the figures.

    Parameters
    ----------
    statistics : sequence of Statistic
    n : int
    rng : Generator
    resamples : int

    Examples
    --------
    >>> right = Ratios.means({"accuracy": np.array([1.0, 1.0, 0.0, 1.0])})
    >>> draws = draw([right], 4, np.random.default_rng(0), resamples=3)
    >>> draws.values.tolist(), draws.resampled.shape
    ([0.75], (3, 1))
    """
    step = max(min(CELLS // n, resamples), 1)
    starts = range(0, resamples, step)
    parts = [_at(statistics, _weights(n, min(step, resamples - start), rng)) for start in starts]
    return Draws(
        tuple(name for statistic in statistics for name in statistic.names),
        _at(statistics, np.ones((1, n)))[0],
        np.concatenate(parts),
        np.concatenate([statistic.sizes for statistic in statistics]),
    )


def _weights(n: int, times: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each row is drawn, shape (times, n)."""
    rows = rng.integers(0, n, (times, n)) + n * np.arange(times)[:, None]
    return np.bincount(rows.ravel(), minlength=times * n).reshape(times, n).astype(np.float64)


def _at(statistics: Sequence[Statistic], weights: FloatArray) -> FloatArray:
    return np.concatenate([statistic.at(weights) for statistic in statistics], axis=1)


def estimate(
    value: float, resampled: FloatArray, size: float = np.inf, confidence: float = CONFIDENCE
) -> Estimate:
    """Return a figure with its interval, by bias-corrected percentiles (Efron, 1981).

    Where no resample differs from the value, which the bootstrap takes for certainty, as when every text is right, the
    bounds of a share of nothing or of all among `size` rows are given instead (Wilson, 1927).

    Parameters
    ----------
    value : float
    resampled : ndarray of shape (B,)
    size : float
        Of how many rows the figure is an average.
    confidence : float

    Examples
    --------
    >>> estimate(1.0, np.ones(100), size=20).lower.__round__(3)
    0.839
    >>> estimate(np.nan, np.full(100, np.nan))
    Estimate(value=None, lower=None, upper=None, reason='')
    """
    if not np.isfinite(value):
        return Estimate(None, None, None)
    drawn = resampled[np.isfinite(resampled)]
    if len(drawn) < LEAST_DEFINED * len(resampled):
        return Estimate(float(value), None, None, "too few rows for an interval")
    if np.ptp(drawn) < 1e-12 and value in (0, 1) and np.isfinite(size):
        lower, upper = wilson(float(value), max(round(size), 1), (1 - confidence) / 2)
        return Estimate(float(value), lower, upper)
    lower, upper = bounds(value, drawn, confidence)
    return Estimate(float(value), lower, upper)


def bounds(value: float, drawn: FloatArray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the bias-corrected percentiles of what was drawn: where resamples lean, the bounds lean the other way."""
    normal, tail = NormalDist(), (1 - confidence) / 2
    # Half of the ties count as below, and a lean that no resample contradicts is kept finite.
    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn == value) / 2 + 0.5) / (len(drawn) + 1)
    lean = 2 * normal.inv_cdf(below)
    at = [normal.cdf(lean + normal.inv_cdf(share)) for share in (tail, 1 - tail)]
    lower, upper = np.quantile(drawn, at)
    return float(min(lower, value)), float(max(upper, value))


@dataclass(frozen=True, slots=True)
class Ratios:
    """Sums over rows, each divided by another: means, shares of some of the rows, micro-averages.

    Attributes
    ----------
    names : tuple of str, of length m
    above, below : ndarray of shape (n, m)
        What each row adds above and below the line.
    limits : tuple of float
        What a figure can be at least and at most; where rows only linearise it, resamples may pass them.
    worth : tuple of float
        How many rows each is worth, where that is not their number.
    """

    names: tuple[str, ...]
    above: FloatArray
    below: FloatArray
    limits: tuple[float, float] = (-np.inf, np.inf)
    worth: tuple[float, ...] = ()

    @classmethod
    def means(cls, columns: dict[str, FloatArray], limits: tuple[float, float] = (-np.inf, np.inf)) -> Ratios:
        """Return the means of columns of shape (n,); a nan does not count."""
        values = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
        there: BoolArray = np.isfinite(values)
        return cls(tuple(columns), np.where(there, values, 0.0), there.astype(np.float64), limits)

    @property
    def sizes(self) -> FloatArray:
        """How many rows each is worth; else as many as have something below the line."""
        if self.worth:
            return np.array(self.worth)
        counts: FloatArray = (self.below != 0).sum(axis=0).astype(np.float64)
        return counts

    def at(self, weights: FloatArray) -> FloatArray:
        """Return the ratios; nan where nothing is below the line."""
        below = weights @ self.below
        ratios = np.divide(weights @ self.above, below, out=np.full(below.shape, np.nan), where=below != 0)
        clipped: FloatArray = np.clip(ratios, *self.limits)
        return clipped
