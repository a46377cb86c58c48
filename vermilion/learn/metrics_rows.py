"""What each row's scores are worth: figures whose mean over rows is a metric of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.learn.calibration_metrics import BINS
from vermilion.types import BoolArray, FloatArray, IntArray

CHUNK = 4_000_000  # cells of a temporary array: 32 MB
LEAST = np.finfo(np.float64).eps


def chunks(n: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that keep a temporary array of so many columns small."""
    step = max(CHUNK // max(width, 1), 1)
    return (slice(start, start + step) for start in range(0, n, step))


def by_chunk(figure: Callable[..., NDArray[Any]], *parts: NDArray[Any]) -> NDArray[Any]:
    """Return a figure of each row, computed some rows at a time."""
    n, width = len(parts[0]), parts[0].shape[1]
    return np.concatenate([figure(*(part[rows] for part in parts)) for rows in chunks(n, width)])


def ranks(proba: FloatArray, y: IntArray) -> IntArray:
    """Return the rank of each row's true label by probability, from 1, shape (n,).

    Of labels with equal probability the one with the greater number comes first, as in scikit-learn's top-k accuracy.

    Examples
    --------
    >>> ranks(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]), np.array([1, 0])).tolist()
    [2, 2]
    """

    def own(proba: FloatArray, y: IntArray) -> IntArray:
        mine = np.take_along_axis(proba, y[:, None], axis=1)
        after = np.arange(proba.shape[1]) > y[:, None]
        found: IntArray = 1 + ((proba > mine) | ((proba == mine) & after)).sum(axis=1)
        return found

    return by_chunk(own, proba, y)


def log_losses(proba: FloatArray, y: IntArray) -> FloatArray:
    """Return minus the logarithm of the true label's probability, shape (n,), in nats.

    Examples
    --------
    >>> log_losses(np.array([[0.5, 0.5]]), np.array([0])).round(4).tolist()
    [0.6931]
    """

    def own(proba: FloatArray, y: IntArray) -> FloatArray:
        whole = proba.sum(axis=1, dtype=np.float64)
        mine = np.take_along_axis(proba, y[:, None], axis=1)[:, 0].astype(np.float64) / whole
        losses: FloatArray = -np.log(np.clip(mine, LEAST, 1 - LEAST))
        return losses

    return by_chunk(own, proba, y)


def brier_scores(proba: FloatArray, y: IntArray) -> FloatArray:
    """Return the squared distance of probabilities from the truth, shape (n,); halved for two labels.

    From 0 to 2, or to 1 for two labels, as scikit-learn has it.

    Examples
    --------
    >>> brier_scores(np.array([[0.5, 0.5]]), np.array([0])).tolist()
    [0.25]
    """

    def own(proba: FloatArray, y: IntArray) -> FloatArray:
        shares = proba / proba.sum(axis=1, keepdims=True, dtype=np.float64)
        mine = np.take_along_axis(shares, y[:, None], axis=1)[:, 0]
        squares: FloatArray = (shares**2).sum(axis=1) - mine**2 + (1 - mine) ** 2
        return squares / (2 if proba.shape[1] == 2 else 1)

    return by_chunk(own, proba, y)


def mean_log_losses(proba: FloatArray, true: BoolArray) -> FloatArray:
    """Return the binary log loss of several labels a row, averaged over labels, shape (n,).

    Examples
    --------
    >>> mean_log_losses(np.array([[0.5, 0.5]]), np.array([[True, False]])).round(4).tolist()
    [0.6931]
    """

    def own(proba: FloatArray, true: BoolArray) -> FloatArray:
        mine = np.where(true, proba, 1 - proba.astype(np.float64))
        losses: FloatArray = -np.log(np.clip(mine, LEAST, 1 - LEAST)).mean(axis=1)
        return losses

    return by_chunk(own, proba, true)


def mean_brier_scores(proba: FloatArray, true: BoolArray) -> FloatArray:
    """Return the squared distance of several labels a row, averaged over labels, shape (n,), from 0 to 1."""

    def own(proba: FloatArray, true: BoolArray) -> FloatArray:
        squares: FloatArray = ((proba.astype(np.float64) - true) ** 2).mean(axis=1)
        return squares

    return by_chunk(own, proba, true)


def ranking_precisions(proba: FloatArray, true: BoolArray) -> FloatArray:
    """Return the label ranking average precision of each row, shape (n,); 1 where a row has no label.

    Examples
    --------
    >>> ranking_precisions(np.array([[0.75, 0.5, 1.0]]), np.array([[True, False, False]])).tolist()
    [0.5]
    """

    def own(proba: FloatArray, true: BoolArray) -> FloatArray:
        row, label = np.nonzero(true)
        above = proba[row] >= proba[row, label][:, None]
        shares = (above & true[row]).sum(axis=1) / above.sum(axis=1)
        count = true.sum(axis=1)
        total = np.bincount(row, weights=shares, minlength=len(true))
        precisions: FloatArray = np.divide(total, count, out=np.ones(len(true)), where=count > 0)
        return precisions

    return by_chunk(own, proba, true)


def reciprocal_ranks(proba: FloatArray, true: BoolArray) -> FloatArray:
    """Return one over the rank of the first true label of each row, shape (n,); nan where a row has none.

    Of labels with equal probability a true one comes last.

    Examples
    --------
    >>> reciprocal_ranks(np.array([[0.2, 0.7, 0.1]]), np.array([[True, False, True]])).tolist()
    [0.5]
    """

    def own(proba: FloatArray, true: BoolArray) -> FloatArray:
        best = np.where(true, proba, -np.inf).max(axis=1)
        ahead = ((proba >= best[:, None]) & ~true).sum(axis=1)
        return np.where(true.any(axis=1), 1 / (1 + ahead), np.nan)

    return by_chunk(own, proba, true)


def calibration_gaps(sure: FloatArray, happened: BoolArray, bins: int = BINS) -> FloatArray:
    """Return what each row adds to the gap of each bin of probability, shape (n, bins).

    The calibration error is the sum over bins of the absolute mean of these.

    Parameters
    ----------
    sure, happened : ndarray of shape (n,) or (n, K)
        Probabilities, and whether what they speak of happened; over K labels gaps are averaged.
    """
    sure = np.asarray(sure, dtype=np.float64).reshape(len(sure), -1)
    n, width = sure.shape
    place = np.minimum((sure * bins).astype(np.intp), bins - 1) + bins * np.arange(n)[:, None]
    gaps = (happened.reshape(n, -1) - sure) / width
    table = np.bincount(place.ravel(), gaps.ravel(), n * bins)
    return table.astype(np.float64).reshape(n, bins)
