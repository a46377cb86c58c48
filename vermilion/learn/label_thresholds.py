"""From which probability on a text gets a label: thresholds for the largest F1, one a label.

With few positives the threshold that is best on them is chance (Yang, 2001). Where probabilities mean what they say,
they alone tell what F1 to expect of each threshold (Lewis, 1995), and that needs no positives. So each label's best
threshold is drawn to the expected one, the more the fewer positives it has (docs/design/multi_label.md).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.metrics import f1_score

from vermilion.learn.label_calibration import log_odds
from vermilion.types import BoolArray, FloatArray

# With so many positives a label's best threshold weighs as much as the expected one.
POSITIVES = 100.0


def best_thresholds(proba: FloatArray, truth: BoolArray) -> FloatArray:
    """Return for each label the threshold with the largest F1 on these rows, shape (K,); 1 without a positive.

    It lies midway between two probabilities, so that it does not hang on one of them.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
    truth : ndarray of bool, shape (n, K)

    Examples
    --------
    >>> proba = np.array([[0.9], [0.3], [0.2], [0.1]])
    >>> best_thresholds(proba, np.array([[True], [True], [False], [False]])).round(2).tolist()
    [0.25]
    """
    found = np.ones(proba.shape[1])
    for label in np.flatnonzero(truth.any(axis=0)):
        order = np.argsort(-proba[:, label], kind="stable")
        on = truth[order, label]
        f1 = 2 * np.cumsum(on) / (np.arange(1, len(on) + 1) + on.sum())
        found[label] = _highest(proba[order, label].astype(np.float64), f1)
    return found


def expected_thresholds(proba: FloatArray) -> FloatArray:
    """Return for each label the threshold with the largest F1 to be expected, shape (K,).

    Expected counts stand for counts, which is close where there are many rows: of the m likeliest rows as many are
    right as their probabilities add up to.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Calibrated; of any rows that are like those to come.

    Examples
    --------
    >>> expected_thresholds(np.array([[0.9], [0.4], [0.1], [0.0]])).round(2).tolist()
    [0.25]
    """
    found = np.ones(proba.shape[1])
    for label in range(proba.shape[1] if len(proba) else 0):
        scores = np.sort(proba[:, label].astype(np.float64))[::-1]
        f1 = 2 * np.cumsum(scores) / (np.arange(1, len(scores) + 1) + scores.sum())
        found[label] = _highest(scores, f1)
    return found


def _highest(scores: FloatArray, f1: FloatArray) -> float:
    """Return the threshold below the score with the largest F1; scores fall."""
    below = np.append(scores[1:], 0.0)
    best = int(np.where(scores > below, f1, -1.0).argmax())  # no threshold parts equal scores
    return float(scores[best] + below[best]) / 2


def fit_thresholds(
    proba: FloatArray, truth: BoolArray, alike: FloatArray | None = None, positives: float = POSITIVES
) -> FloatArray:
    """Return a threshold for each label, shape (K,): its best, drawn to the expected one where it has few positives.

    In log odds, the best weighs as much as the label has positives, the expected one as much as `positives`.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Held out.
    truth : ndarray of bool, shape (n, K)
    alike : ndarray of shape (m, K), optional
        Probabilities of rows like those to come, of which nothing more is known: what is to be expected is told by
        these.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> proba = rng.random((5000, 2)) ** 2
    >>> thresholds = fit_thresholds(proba, rng.random((5000, 2)) < proba)
    >>> bool((np.abs(thresholds - expected_thresholds(proba)) < 0.05).all())
    True
    """
    count = truth.sum(axis=0)
    share = count / (count + positives)
    own = log_odds(best_thresholds(proba, truth))
    expected = log_odds(expected_thresholds(proba if alike is None else alike))
    return np.asarray(1 / (1 + np.exp(-(share * own + (1 - share) * expected))))


def f1(truth: BoolArray, said: BoolArray, average: Literal["micro", "macro"]) -> float:
    """Return the F1 of several labels a text, both of shape (n, K); a label that is nowhere counts as 0.

    Examples
    --------
    >>> f1(np.array([[True, False], [True, True]]), np.array([[True, False], [True, False]]), "macro")
    0.5
    """
    return float(f1_score(truth, said, average=average, zero_division=0))
