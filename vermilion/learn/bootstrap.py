"""Intervals by the bootstrap: rows are drawn again with replacement, as weights, so that no row is ever copied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from vermilion.learn.paired import wilson
from vermilion.types import BoolArray, FloatArray, IntArray

RESAMPLES = 1000
CONFIDENCE = 0.95
# Below this share of resamples on which a statistic is defined, what they say is not worth telling.
LEAST_DEFINED = 0.5
SMALLEST = 1e-12
TOO_FEW = "too few texts for an interval"
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

    def estimates(self, scales: Mapping[str, Scale | None]) -> dict[str, Estimate]:
        """Return each figure with its interval on its scale, else that of shares; what is not defined has None."""
        columns = zip(self.names, self.values, self.resampled.T, self.sizes, strict=True)
        return {
            name: estimate(value, drawn, size, scales.get(name, SHARE))
            for name, value, drawn, size in columns
        }


def draw(
    statistics: Sequence[Statistic],
    n: int,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    together: IntArray | None = None,
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
    together : ndarray of int, shape (n,), optional
        Numbers of groups whose rows are drawn together, for they are not independent of each other (Field and Welsh,
        2007, Bootstrapping clustered data).

    Examples
    --------
    >>> right = Ratios.means({"accuracy": np.array([1.0, 1.0, 0.0, 1.0])})
    >>> draws = draw([right], 4, np.random.default_rng(0), resamples=3)
    >>> draws.values.tolist(), draws.resampled.shape
    ([0.75], (3, 1))
    """
    groups = np.arange(n) if together is None else np.unique(together, return_inverse=True)[1]
    n_groups = int(groups.max()) + 1
    step = max(min(CELLS // n, resamples), 1)
    times = [min(step, resamples - start) for start in range(0, resamples, step)]
    parts = [_at(statistics, _weights(n_groups, some, rng)[:, groups]) for some in times]
    return Draws(
        tuple(name for statistic in statistics for name in statistic.names),
        _at(statistics, np.ones((1, n)))[0],
        np.concatenate(parts),
        np.minimum(np.concatenate([statistic.sizes for statistic in statistics]), _most(n_groups, n)),
    )


def _most(n_groups: int, n: int) -> float:
    """Return the most independent rows that a figure can be worth: groups of several rows are worth one each."""
    return n_groups if n_groups < n else np.inf


def _weights(n: int, times: int, rng: np.random.Generator) -> FloatArray:
    """Return how often each row is drawn, shape (times, n)."""
    rows = rng.integers(0, n, (times, n)) + n * np.arange(times)[:, None]
    return np.bincount(rows.ravel(), minlength=times * n).reshape(times, n).astype(np.float64)


def _at(statistics: Sequence[Statistic], weights: FloatArray) -> FloatArray:
    return np.concatenate([statistic.at(weights) for statistic in statistics], axis=1)


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale on which resamples spread evenly to both sides, from which no bound can leave a figure's range.

    Attributes
    ----------
    low, high : float
        The figure's range.
    there, back, slope : callable
        To the scale, back from it, and how fast it grows with the figure.
    """

    low: float
    high: float
    there: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]

    def interval(self, value: float, error: float, z: float) -> tuple[float, float]:
        """Return the bounds that lie `z` standard errors off, on the scale."""
        at, half = self.there(value), z * error * self.slope(value)
        return float(self.back(at - half)), float(self.back(at + half))


SHARE = Scale(0.0, 1.0, logit, expit, lambda value: 1 / (value * (1 - value)))
CORRELATION = Scale(-1.0, 1.0, math.atanh, math.tanh, lambda value: 1 / (1 - value**2))
LOSS = Scale(0.0, math.inf, math.log, math.exp, lambda value: 1 / value)


def estimate(
    value: float,
    resampled: FloatArray,
    size: float = np.inf,
    scale: Scale | None = SHARE,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return a figure with its interval: as many of the bootstrap's standard errors off as the confidence asks for.

    They are taken on the figure's own scale. At the end of its range, as when every text is right, the bootstrap takes
    luck for certainty; the bounds of a share of nothing or of all among `size` rows are given there (Wilson, 1927).

    Parameters
    ----------
    value : float
    resampled : ndarray of shape (B,)
    size : float
        Of how many rows the figure is an average.
    scale : Scale or None
        None: a gap, which is never less than 0 and which chance only widens. Its bounds are the outer ones of the
        percentiles and of the basic bootstrap (Davison and Hinkley, 1997, section 5.2).
    confidence : float

    Examples
    --------
    >>> found = estimate(0.9, np.array([0.85, 0.9, 0.95] * 50))
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.787, 0.956)
    >>> round(estimate(1.0, np.ones(100), size=20).lower, 3)
    0.839
    >>> estimate(np.nan, np.full(100, np.nan))
    Estimate(value=None, lower=None, upper=None, reason='')
    """
    if not np.isfinite(value):
        return Estimate(None, None, None)
    value, drawn = float(value), resampled[np.isfinite(resampled)]
    if len(drawn) < max(LEAST_DEFINED * len(resampled), 2):
        return Estimate(value, None, None, TOO_FEW)
    if scale is None:
        return Estimate(value, *_gap_bounds(value, drawn, confidence))
    if value in (scale.low, scale.high):
        return _at_the_end(value, scale, size, confidence)
    error = float(drawn.std(ddof=1))
    # Rows that are all alike, one row above all, do not tell how far others may be off.
    if error < SMALLEST:
        return Estimate(value, None, None, TOO_FEW)
    return Estimate(value, *scale.interval(value, error, NormalDist().inv_cdf((1 + confidence) / 2)))


def _at_the_end(value: float, scale: Scale, size: float, confidence: float) -> Estimate:
    if not math.isfinite(scale.high) or not np.isfinite(size):
        return Estimate(value, None, None, TOO_FEW)
    width = scale.high - scale.low
    share = (value - scale.low) / width
    lower, upper = wilson(share, max(round(size), 1), (1 - confidence) / 2)
    return Estimate(value, scale.low + width * lower, scale.low + width * upper)


def _gap_bounds(value: float, drawn: FloatArray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return max(0.0, float(min(low, 2 * value - high))), float(max(high, 2 * value - low))


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
    def means(
        cls, columns: Mapping[str, NDArray[Any]], limits: tuple[float, float] = (-np.inf, np.inf)
    ) -> Ratios:
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
