"""Prediction-powered inference: a few answers and a prediction of all of them say more than the answers alone."""

from __future__ import annotations

import numpy as np

from vermilion.types import BoolArray, FloatArray

STRATA = 3
# Fewer draws in a stratum say nothing of it.
LEAST_IN_STRATUM = 10


def predictors(confidence: FloatArray, n: int, sources: FloatArray | None = None) -> FloatArray:
    """Return what predicts of each row whether it is right, for a sample of `n`: confidence, and strata by it.

    The strata are to hold equally many mistakes each, if confidence is right. They depend on no answer.

    Parameters
    ----------
    confidence : ndarray of float, shape (rows,)
    n : int
        A stratum that would get fewer than ten draws is left to its neighbour.
    sources : ndarray of shape (rows, k), optional
        Further strata, as columns of 0 and 1.

    Returns
    -------
    ndarray of float, shape (rows, p)

    Examples
    --------
    >>> predictors(np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.9]), 60)
    array([[0.5, 1. ],
           [0.9, 0. ],
           [0.9, 0. ],
           [0.9, 0. ],
           [0.9, 0. ],
           [0.9, 0. ]])
    """
    ranked = np.sort(confidence)
    mistakes = np.cumsum(1 - ranked)
    ends = np.searchsorted(mistakes, mistakes[-1] * np.arange(1, STRATA) / STRATA)
    columns = [confidence[:, None].astype(np.float64)]
    edges = np.unique(ranked[np.minimum(ends, len(ranked) - 1)])
    columns += [(confidence[:, None] <= edge).astype(np.float64) for edge in edges]
    columns += [] if sources is None else [sources.astype(np.float64)]
    found = np.concatenate(columns, axis=1)
    share = found.mean(axis=0)
    fewest = np.minimum(share, 1 - share) * n
    kept = (fewest >= LEAST_IN_STRATUM) | (np.arange(found.shape[1]) == 0)
    return found[:, kept]


def regression_estimate(agreed: BoolArray, drawn: FloatArray, mean: FloatArray) -> tuple[float, float]:
    """Return the share of right rows and the variance of that estimate.

    PPI++ (Angelopoulos, Duchi and Zrnic, 2023): the mean answer, set right by how far the predictions of the sample
    are from those of all rows, times the weight that makes the variance smallest. With a stratum's indicator among
    the predictions it is their stratified form (Fisch et al., 2024), and survey statistics' regression estimator.
    A prediction that says nothing gets no weight, so the answers alone decide.

    Parameters
    ----------
    agreed : ndarray of bool, shape (n,)
    drawn : ndarray of float, shape (n, p)
        Predictions of the drawn rows.
    mean : ndarray of float, shape (p,)
        Of all rows.

    Examples
    --------
    >>> agreed = np.array([True, True, False, True, True, False])
    >>> estimate, variance = regression_estimate(agreed, agreed[:, None] * 0.5, np.array([0.4]))
    >>> round(estimate, 6), round(variance, 6)
    (0.8, 0.0)
    """
    answers = agreed.astype(np.float64)
    inside = drawn - drawn.mean(axis=0)
    weights, _, rank, _ = np.linalg.lstsq(inside, answers - answers.mean(), rcond=None)
    estimate = answers.mean() - (drawn.mean(axis=0) - mean) @ weights
    residual = answers - answers.mean() - inside @ weights
    variance = residual @ residual / max(len(answers) - 1 - int(rank), 1) / len(answers)
    return float(np.clip(estimate, 0, 1)), float(variance)
