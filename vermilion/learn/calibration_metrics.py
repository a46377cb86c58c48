"""How far probabilities can be believed: calibration errors, Brier score, and the reliability diagram's numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import brier_score_loss

from vermilion.learn.paired import wilson
from vermilion.types import BoolArray, FloatArray, IntArray

BINS = 15
# Of each side of an interval.
DELTA = 0.025


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows whose largest probability falls into one bin.

    Attributes
    ----------
    low, high : float
        The bin's bounds, the upper one not included (in the last bin it is).
    n : int
        Rows.
    confidence, accuracy : float
        Mean largest probability, and share of rows whose likeliest label is right; both weighted.
    lower, upper : float
        Of the accuracy: Wilson's interval at 95 %, with as many rows as the weights are worth (Kish).
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    lower: float
    upper: float


def effective_size(weights: FloatArray) -> float:
    """Return how many equally weighted rows are as informative as these: `sum(w)**2 / sum(w**2)` (Kish, 1965).

    Examples
    --------
    >>> effective_size(np.array([1.0, 1.0, 0.0])), effective_size(np.zeros(0))
    (2.0, 0.0)
    """
    squares = float((weights.astype(np.float64) ** 2).sum())
    return float(weights.sum(dtype=np.float64)) ** 2 / squares if squares else 0.0


def expected_calibration_error(
    proba: FloatArray, y_index: IntArray, bins: int = BINS, sample_weight: FloatArray | None = None
) -> float:
    """Return the gap between the largest probability and how often it is right, averaged over texts.

    Top-label error over equal-width bins (Naeini et al., 2015).

    Parameters
    ----------
    proba : ndarray of shape (n, K)
    y_index : ndarray of int, shape (n,)
    bins : int
    sample_weight : ndarray of shape (n,), optional

    Returns
    -------
    float
        From 0 (calibrated) to 1; 0 for no rows.

    Examples
    --------
    >>> round(expected_calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1])), 4)
    0.0
    >>> round(expected_calibration_error(np.array([[0.9, 0.1]] * 2), np.array([0, 1])), 4)
    0.4
    """
    if not len(proba):
        return 0.0
    return _gap(*top_label(proba, y_index), bins, _weights(sample_weight, len(proba)))


def classwise_calibration_error(
    proba: FloatArray, y_index: IntArray, bins: int = BINS, sample_weight: FloatArray | None = None
) -> float:
    """Return the gap between each label's probability and its frequency, averaged over texts and labels.

    Classwise error over equal-width bins (Kull et al., 2019). With many labels nearly all cells are near 0 and so is
    this; compare it among calibrations of one task alone.

    Examples
    --------
    >>> round(classwise_calibration_error(np.array([[0.9, 0.1]] * 2), np.array([0, 1])), 4)
    0.4
    """
    if not len(proba):
        return 0.0
    weights = _weights(sample_weight, len(proba))
    gaps = [_gap(proba[:, k].astype(np.float64), y_index == k, bins, weights) for k in range(proba.shape[1])]
    return float(np.mean(gaps))


def brier_score(proba: FloatArray, y_index: IntArray, sample_weight: FloatArray | None = None) -> float:
    """Return the mean squared distance between probabilities and the truth, from 0 to 2 (Brier, 1950).

    Examples
    --------
    >>> brier_score(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]))
    0.25
    """
    if not len(proba):
        return 0.0
    own = proba.astype(np.float64)
    own /= own.sum(axis=1, keepdims=True)
    labels = list(range(proba.shape[1]))
    return float(
        brier_score_loss(y_index, own, labels=labels, sample_weight=sample_weight, scale_by_half=False)
    )


def reliability(
    proba: FloatArray,
    y_index: IntArray,
    bins: int = 10,
    sample_weight: FloatArray | None = None,
) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram's bins that hold rows, from the least confident to the surest.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
    y_index : ndarray of int, shape (n,)
    bins : int
    sample_weight : ndarray of shape (n,), optional

    Examples
    --------
    >>> bins = reliability(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]), bins=4)
    >>> [(b.low, b.high, b.n, b.confidence, b.accuracy) for b in bins]
    [(0.75, 1.0, 4, 0.75, 0.75)]
    """
    if not len(proba):
        return ()
    sure, right = top_label(proba, y_index)
    return _binned(sure, right, _weights(sample_weight, len(proba)), bins)


def label_reliability(proba: FloatArray, truth: BoolArray, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """Return the bins of a reliability diagram of all pairs of a text and a label, where a text may have several.

    A bin's confidence is that its texts have the label, its accuracy how many do. The intervals take pairs for
    independent, though those of one text are not quite.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
    truth : ndarray of bool, shape (n, K)
    bins : int

    Examples
    --------
    >>> bins = label_reliability(np.array([[0.1, 0.9], [0.1, 0.9]]), np.array([[False, True], [False, True]]))
    >>> [(b.low, b.n, b.accuracy) for b in bins]
    [(0.1, 2, 0.0), (0.9, 2, 1.0)]
    """
    return _binned(proba.ravel().astype(np.float64), truth.ravel(), np.ones(proba.size), bins)


def label_calibration_error(proba: FloatArray, truth: BoolArray, bins: int = BINS) -> float:
    """Return the gap between the probability of a label and how often texts have it, averaged over all pairs.

    Examples
    --------
    >>> round(label_calibration_error(np.array([[0.1, 0.9]] * 2), np.array([[False, True]] * 2)), 3)
    0.1
    """
    if not proba.size:
        return 0.0
    return _gap(proba.ravel().astype(np.float64), truth.ravel(), bins, np.ones(proba.size))


def _binned(sure: FloatArray, right: BoolArray, weights: FloatArray, bins: int) -> tuple[ReliabilityBin, ...]:
    place = _places(sure, bins)
    found = []
    for number in np.unique(place):
        rows = place == number
        if not weights[rows].sum():
            continue
        accuracy = float(np.average(right[rows], weights=weights[rows]))
        worth = max(round(effective_size(weights[rows])), 1)
        lower, upper = wilson(accuracy, worth, DELTA)
        mean = float(np.average(sure[rows], weights=weights[rows]))
        low, high = float(number / bins), float((number + 1) / bins)
        found.append(ReliabilityBin(low, high, int(rows.sum()), mean, accuracy, lower, upper))
    return tuple(found)


def top_label(proba: FloatArray, y_index: IntArray) -> tuple[FloatArray, BoolArray]:
    """Return each row's largest probability, as float64, and whether its label is the right one."""
    right: BoolArray = proba.argmax(axis=1) == y_index
    return proba.max(axis=1).astype(np.float64), right


def _weights(sample_weight: FloatArray | None, n: int) -> FloatArray:
    return np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)


def _places(values: FloatArray, bins: int) -> IntArray:
    places: IntArray = np.minimum((values * bins).astype(np.intp), bins - 1)
    return places


def _gap(values: FloatArray, happened: BoolArray, bins: int, weights: FloatArray) -> float:
    gaps = np.bincount(_places(values, bins), weights=weights * (happened - values), minlength=bins)
    return float(np.abs(gaps).sum() / max(weights.sum(), np.finfo(np.float64).tiny))
