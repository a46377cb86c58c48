"""How well scores order rows, label by label: areas under the ROC and the precision-recall curve, and the curves.

scikit-learn has the areas; here they come with what each row contributes, from one sorting a label, which is what
intervals for 1,000 labels need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from vermilion.learn.bootstrap import Ratios
from vermilion.types import BoolArray, FloatArray, IntArray

CURVE_POINTS = 200
COLUMNS = 16
NAMES = ("roc_auc", "pr_auc")


@dataclass(frozen=True, slots=True)
class Area:
    """An area under a curve.

    Attributes
    ----------
    value : float
        nan where it is not defined.
    influence : ndarray of shape (n,)
        How the area grows with a row's weight, times n; its mean is 0 (Hampel, 1974). 0 where it is not defined.
    """

    value: float
    influence: FloatArray


def areas(scores: FloatArray, positive: BoolArray) -> tuple[Area, Area]:
    """Return the area under the ROC curve, and the average precision.

    The first is how often a positive row scores above a negative one, ties by half; its influence is what each row
    brings against all rows of the other side (DeLong et al., 1988). The second is the mean precision at the positive
    rows. Neither is defined without positive rows, nor the first without negative ones.

    Parameters
    ----------
    scores : ndarray of shape (n,)
    positive : ndarray of bool, shape (n,)

    Examples
    --------
    >>> roc, pr = areas(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> roc.value, round(pr.value, 4)
    (0.75, 0.8333)
    """
    n, own = len(scores), np.sort(scores[positive])
    if not len(own):
        nothing = Area(float("nan"), np.zeros(n))
        return nothing, nothing
    # How many positive rows score less than each row, and how many at most as much: 0 below the least of them.
    low, high = np.zeros((2, n), dtype=np.intp)
    rows = np.flatnonzero(scores >= own[0])
    low[rows], high[rows] = (np.searchsorted(own, scores[rows], side) for side in ("left", "right"))
    # For each positive row in order: the rows that score at least as much, and those that score more.
    up_to = np.searchsorted(own, own, "right")
    least, more = (n - np.cumsum(np.bincount(at, minlength=len(own) + 1))[up_to - 1] for at in (high, low))
    own_least, own_more = len(own) - np.searchsorted(own, own, "left"), len(own) - up_to
    n_other = n - len(own)
    beaten = n_other - (least - own_least + more - own_more) / 2
    mine = np.minimum(low, len(own) - 1)
    roc = _roc(1 - (low + high) / (2 * len(own)), beaten[mine], positive)
    return roc, _precision(own_least, least, mine, high, positive)


def _roc(beaten_by: FloatArray, beats: FloatArray, positive: BoolArray) -> Area:
    """Return the area from the share of positive rows above each row, and the negative rows below each."""
    n, n_own = len(positive), int(positive.sum())
    n_other = n - n_own
    if not n_other:
        return Area(float("nan"), np.zeros(n))
    value = float(beaten_by[~positive].mean())
    own, other = (beats / n_other - value) * n / n_own, (beaten_by - value) * n / n_other
    return Area(value, np.where(positive, own, other))


def _precision(true: IntArray, above: IntArray, mine: IntArray, high: IntArray, positive: BoolArray) -> Area:
    """Return the average precision.

    Parameters
    ----------
    true, above : ndarray of shape (n_positive,)
        For each positive row in order, how many positive ones, and how many of all, score at least as much.
    mine, high : ndarray of shape (n,)
        Each row's place among the positive ones, and how many of them score at most as much.
    """
    precision, n_own = true / above, len(true)
    value = float(precision.mean())
    # A row counts above every positive one that scores no more than itself.
    gains, losses = (np.concatenate([[0.0], np.cumsum(part)]) for part in (1 / above, true / above**2))
    own = precision[mine] - value + gains[high]
    return Area(value, (np.where(positive, own, 0.0) - losses[high]) * len(positive) / n_own)


@dataclass(frozen=True, slots=True)
class OneVsRest:
    """Both areas of each label against all others.

    Attributes
    ----------
    roc, pr : ndarray of shape (K,)
        nan where not defined.
    figures : Ratios
        Their means over the labels for which they are defined, linearised: resamples cost a product of a vector.
    """

    roc: FloatArray
    pr: FloatArray
    figures: Ratios

    @classmethod
    def of(cls, proba: FloatArray, true: NDArray[Any], columns: IntArray | None = None) -> OneVsRest:
        """Return the areas of these columns (else all), for label numbers (n,) or an indicator matrix (n, K)."""
        n, n_labels = proba.shape
        values = np.full((2, n_labels), np.nan)
        influence, count, spread = np.zeros((2, n)), np.zeros(2), np.zeros(2)
        for number, scores in _columns(proba, np.arange(n_labels) if columns is None else columns):
            positive: BoolArray = true == number if true.ndim == 1 else true[:, number]
            n_own = int(positive.sum())
            for place, area in enumerate(areas(scores, positive)):
                if np.isfinite(area.value):
                    values[place, number] = area.value
                    influence[place] += area.influence
                    count[place] += 1
                    spread[place] += 1 / n_own + 1 / max(n - n_own, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.nansum(values, axis=1) / count
            rows = means[:, None] + influence / count[:, None]
            worth = tuple(float(size) for size in count**2 / spread)
        figures = Ratios(NAMES, rows.T, np.ones((n, 2)), (0.0, 1.0), worth)
        return cls(values[0], values[1], figures)


def _columns(proba: FloatArray, columns: IntArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield columns in one piece each; some are taken at a time, as each cell alone would cost a cache line."""
    for start in range(0, len(columns), COLUMNS):
        some = columns[start : start + COLUMNS]
        yield from zip(some.tolist(), np.ascontiguousarray(proba[:, some].T), strict=True)


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve, from left to right."""

    x: tuple[float, ...]
    y: tuple[float, ...]


def roc_points(scores: FloatArray, positive: BoolArray) -> Curve:
    """Return the ROC curve: the false positive rate across, the true positive rate up.

    Examples
    --------
    >>> roc_points(np.array([0.1, 0.9]), np.array([False, True]))
    Curve(x=(0.0, 0.0, 1.0), y=(0.0, 1.0, 1.0))
    """
    false, true, _ = roc_curve(positive, scores)
    return _thinned(false, true)


def precision_recall_points(scores: FloatArray, positive: BoolArray) -> Curve:
    """Return the precision-recall curve: the recall across, the precision up.

    Examples
    --------
    >>> precision_recall_points(np.array([0.1, 0.9]), np.array([False, True]))
    Curve(x=(0.0, 1.0, 1.0), y=(1.0, 1.0, 0.5))
    """
    precision, recall, _ = precision_recall_curve(positive, scores)
    return _thinned(recall[::-1], precision[::-1])


def _thinned(x: FloatArray, y: FloatArray) -> Curve:
    """Keep as many points as a chart can show, even along the curve's length."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.linspace(0, along[-1], CURVE_POINTS)
    keep = np.unique(np.concatenate([np.searchsorted(along, wanted).clip(0, len(x) - 1), [0, len(x) - 1]]))
    return Curve(*(tuple(round(float(v), 5) for v in part[keep]) for part in (x, y)))
