"""Two models on the same rows: how far apart their figures are, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from vermilion.learn.bootstrap import CONFIDENCE, Draws
from vermilion.learn.paired import Paired
from vermilion.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the first model has of a figure.

    Attributes
    ----------
    value, lower, upper : float
        With 95 % confidence: a normal interval with the paired bootstrap's standard error.
    p_value : float
        Two-sided, that both have as much, by the same error.
    """

    value: float
    lower: float
    upper: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models have right of the same rows, and by how much their figures differ."""

    right: Paired
    differences: Mapping[str, Difference]


def compare(first: Draws, second: Draws, right: tuple[BoolArray, BoolArray]) -> Comparison:
    """Compare two models whose figures were measured on the same rows drawn.

    Whether one has more rows right than the other is told by McNemar's exact test; its interval is Newcombe's.

    Parameters
    ----------
    first, second : Draws
        From `measure` with an `rng` in the same state.
    right : pair of ndarrays of bool, shape (n,)
        Which rows each has right.

    Examples
    --------
    >>> one, other = np.array([True] * 9 + [False]), np.array([True] * 3 + [False] * 7)
    >>> nothing = Draws((), np.zeros(0), np.zeros((1, 0)), np.zeros(0))
    >>> round(compare(nothing, nothing, (one, other)).right.p_value, 4)
    0.0312
    """
    found = {}
    for name in (name for name in first.names if name in second.names):
        mine, its = first.among([name]), second.among([name])
        value = float(mine.values[0] - its.values[0])
        if np.isfinite(value):
            found[name] = _difference(value, mine.resampled[:, 0] - its.resampled[:, 0])
    return Comparison(Paired.of(*right), found)


def _difference(value: float, drawn: FloatArray) -> Difference:
    error = float(np.std(drawn[np.isfinite(drawn)], ddof=1)) if np.isfinite(drawn).sum() > 1 else 0.0
    if error == 0:
        return Difference(value, value, value, 1.0)
    normal = NormalDist()
    half = normal.inv_cdf((1 + CONFIDENCE) / 2) * error
    p_value = 2 * normal.cdf(-abs(value) / error)
    return Difference(value, value - half, value + half, p_value)
