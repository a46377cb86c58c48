"""Two models on the same rows: how far apart their figures are, and whether that may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vermilion.learn.bootstrap import Draws, bounds
from vermilion.learn.paired import Paired
from vermilion.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more the first model has of a figure.

    Attributes
    ----------
    value, lower, upper : float
        With 95 % confidence, by bias-corrected percentiles of the paired bootstrap.
    p_value : float
        Two-sided, that both have as much.
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
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn) or np.ptp(drawn) == 0:
        return Difference(value, value, value, 1.0)
    # The one that was seen counts as a draw, so that no p is 0 (Davison and Hinkley, 1997, section 4.2.5).
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p_value = min(1.0, 2 * (beyond + 1) / (len(drawn) + 1))
    return Difference(value, *bounds(value, drawn), p_value)
