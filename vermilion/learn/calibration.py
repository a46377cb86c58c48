"""Temperature scaling: one number that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from vermilion.types import FloatArray, IntArray

COLDEST, HOTTEST = 0.01, 100.0
LOG_FLOOR = -80.0


def log_softmax(logits: FloatArray) -> FloatArray:
    """Return the logarithm of the softmax of each row, computed without overflow.

    Examples
    --------
    >>> np.exp(log_softmax(np.array([[1000.0, 1000.0]]))).tolist()
    [[0.5, 0.5]]
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs: FloatArray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def softmax(logits: FloatArray) -> FloatArray:
    """Return the softmax of each row, in the dtype of `logits`; rows sum to 1.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0, -np.inf]])).tolist()
    [[0.5, 0.5, 0.0]]
    """
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def log_proba(proba: FloatArray) -> FloatArray:
    """Return the logarithm of probabilities, zeros bounded by a floor so that the result is finite.

    Examples
    --------
    >>> log_proba(np.array([[1.0, 0.0]])).tolist()
    [[0.0, -80.0]]
    """
    floor = np.full_like(proba, LOG_FLOOR)
    logs: FloatArray = np.log(proba, where=proba > 0, out=floor)
    return np.maximum(logs, LOG_FLOOR)


def log_loss(
    logits: FloatArray,
    y_index: IntArray,
    temperature: float = 1.0,
    sample_weight: FloatArray | None = None,
) -> float:
    """Return the mean of -log p(true label), in nats, after dividing by a temperature.

    Parameters
    ----------
    logits : ndarray of shape (n, K)
        Logits or log-probabilities.
    y_index : ndarray of int, shape (n,)
        Columns of the true labels.
    temperature : float
    sample_weight : ndarray of shape (n,), optional

    Examples
    --------
    >>> round(log_loss(np.array([[0.0, 0.0]]), np.array([1])), 4)
    0.6931
    """
    if not len(logits):
        return 0.0
    logs = log_softmax(logits / logits.dtype.type(temperature))
    own = -logs[np.arange(len(logs)), y_index].astype(np.float64)
    return float(np.average(own, weights=sample_weight))


def fit_temperature(logits: FloatArray, y_index: IntArray, sample_weight: FloatArray | None = None) -> float:
    """Find the temperature at which `logits / temperature` has the smallest log loss.

    Guo et al., "On Calibration of Modern Neural Networks" (2017). Give it out-of-fold predictions: on rows
    that the head has learned from, every head looks too sure. The loss is convex in 1 / temperature, so the
    search over its logarithm finds the one minimum.

    Parameters
    ----------
    logits : ndarray of shape (n, K)
        Logits or log-probabilities; both give the same temperature.
    y_index : ndarray of int, shape (n,)
        Columns of the true labels.
    sample_weight : ndarray of shape (n,), optional

    Returns
    -------
    float
        From 0.01 to 100. 1 where the rows cannot tell: none at all, a single label, no row with two
        different logits, or not one row that is wrong, where the loss falls for ever as everything sharpens.

    Examples
    --------
    >>> logits = np.array([[2.0, 0.0]] * 4)
    >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))
    >>> round(float(1 / (1 + np.exp(-2 / temperature))), 3)
    0.75
    """
    if not len(logits) or logits.shape[1] < 2:
        return 1.0
    logits = np.maximum(logits, LOG_FLOOR + logits.max(axis=1, keepdims=True))
    if not np.ptp(logits, axis=1).any() or (logits.argmax(axis=1) == y_index).all():
        return 1.0
    found = minimize_scalar(
        lambda log_t: log_loss(logits, y_index, float(np.exp(log_t)), sample_weight),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))


def apply_temperature(proba: FloatArray, temperature: float) -> FloatArray:
    """Return `proba` sharpened (temperature < 1) or flattened (> 1), each row summing to 1.

    The same as dividing the logits, since these are log-probabilities plus a constant a row. Zeros stay
    zeros, and the order of the labels stays.

    Examples
    --------
    >>> apply_temperature(np.array([[0.8, 0.2, 0.0]]), 0.5).round(4).tolist()
    [[0.9412, 0.0588, 0.0]]
    """
    if temperature == 1.0 or not proba.size:
        return proba
    largest = proba.max(axis=1, keepdims=True)
    powered = (proba / largest) ** proba.dtype.type(1.0 / temperature)
    scaled: FloatArray = powered / powered.sum(axis=1, keepdims=True)
    return scaled
