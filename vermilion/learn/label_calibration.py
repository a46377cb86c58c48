"""Probabilities of labels that do not exclude each other, set right one label at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from vermilion.learn.quasi_newton_rows import search_rows
from vermilion.types import BoolArray, FloatArray, IntArray

# A belief that scales are near 1 and biases near 0, as a standard deviation: with few positives it is left at that.
SPREAD = 0.5
STEPS, TOLERANCE = 100, 1e-9
LEAST = 1e-7
FOLDS = 5


@dataclass(frozen=True, slots=True)
class LabelScaling:
    """Each label's log odds have a scale and a bias (Platt, 1999).

    Examples
    --------
    >>> LabelScaling((1.0, 1.0), (0.0, float(np.log(3.0)))).apply(np.array([[0.5, 0.5]])).round(3).tolist()
    [[0.5, 0.75]]
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    @property
    def method(self) -> str:
        """Its name in a model folder."""
        return "label"

    def apply(self, proba: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, K), in the dtype of `proba`."""
        scale, bias = (np.asarray(values, dtype=proba.dtype) for values in (self.scale, self.bias))
        said: FloatArray = expit(log_odds(proba) * scale + bias)
        return said

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"method": self.method, "scale": list(self.scale), "bias": list(self.bias)}


def log_odds(proba: FloatArray) -> FloatArray:
    """Return the log odds of probabilities, those of 0 and 1 bounded.

    Examples
    --------
    >>> log_odds(np.array([0.5, 0.0])).round(1).tolist()
    [0.0, -16.1]
    """
    bounded = np.clip(proba, LEAST, 1 - LEAST)
    odds: FloatArray = np.log(bounded) - np.log1p(-bounded)
    return odds


def fit_label_scaling(
    proba: FloatArray, truth: BoolArray, weights: Sequence[float] | FloatArray | None = None
) -> LabelScaling:
    """Fit each label's scale and bias by log loss, held near 1 and 0 where rows say little.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Held out.
    truth : ndarray of bool, shape (n, K)
    weights : ndarray of shape (n,), optional

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random((4000, 1)) < 0.2
    >>> round(float(fit_label_scaling(np.full((4000, 1), 0.5), truth).apply(np.array([[0.5]]))[0, 0]), 1)
    0.2
    """
    odds = log_odds(proba.astype(np.float64))
    weight = np.ones(len(odds)) if weights is None else np.asarray(weights, dtype=np.float64)
    identity = np.tile([1.0, 0.0], (odds.shape[1], 1))

    def losses(point: FloatArray, labels: IntArray) -> tuple[FloatArray, FloatArray]:
        said, on = odds[:, labels] * point[:, 0] + point[:, 1], truth[:, labels]
        off = (expit(said) - on) * weight[:, None]
        away = (point - identity[labels]) / SPREAD
        loss = weight @ np.logaddexp(0, np.where(on, -said, said)) + 0.5 * (away**2).sum(axis=1)
        slope = np.column_stack([np.einsum("nk,nk->k", off, odds[:, labels]), off.sum(axis=0)])
        return loss, slope + away / SPREAD

    found = search_rows(losses, identity, tol=TOLERANCE, max_iter=STEPS).x
    return LabelScaling(tuple(found[:, 0].tolist()), tuple(found[:, 1].tolist()))


def label_losses(proba: FloatArray, truth: BoolArray) -> FloatArray:
    """Return the mean log loss of each label in nats, shape (K,).

    Examples
    --------
    >>> label_losses(np.array([[0.5], [0.5]]), np.array([[True], [False]])).round(3).tolist()
    [0.693]
    """
    odds = log_odds(proba.astype(np.float64))
    loss: FloatArray = np.logaddexp(0, np.where(truth, -odds, odds)).mean(axis=0)
    return loss


def choose_label_scaling(proba: FloatArray, truth: BoolArray) -> LabelScaling | None:
    """Return the scaling where it lowers the log loss of rows held out from it, else None.

    Parameters
    ----------
    proba, truth : ndarray of shape (n, K)
        Held out from the head, in no particular order of rows.
    """
    part = np.arange(len(proba)) % FOLDS
    scaled = proba.astype(np.float64)
    for fold in range(FOLDS):
        held = part == fold
        if held.any() and not held.all():
            scaled[held] = fit_label_scaling(proba[~held], truth[~held]).apply(proba[held].astype(np.float64))
    better = len(proba) > FOLDS and label_losses(scaled, truth).sum() < label_losses(proba, truth).sum()
    return fit_label_scaling(proba, truth) if better else None
