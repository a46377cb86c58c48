"""From which probability on a text gets a label: thresholds for the largest F1, one a label.

Fitted on probabilities held out. With few positives the best threshold on them is chance (Yang, 2001, "A study of
thresholding strategies for text categorization"), so each is drawn to the one that suits all labels together, the more
the fewer positives its label has.
"""

from __future__ import annotations

import numpy as np

from vermilion.types import BoolArray, FloatArray

# A label's own threshold weighs as much as the common one at so many positives.
POSITIVES = 20.0
LEAST, MOST = 1e-6, 1 - 1e-6
# Common thresholds that are tried, evenly spaced in log odds.
GRID = 1 / (1 + np.exp(-np.linspace(-6, 4, 81)))


def f1_scores(truth: BoolArray, predicted: BoolArray) -> FloatArray:
    """Return the F1 of each label, shape (K,); 0 where it is neither true nor predicted anywhere.

    Examples
    --------
    >>> f1_scores(np.array([[1, 0], [1, 0]], dtype=bool), np.array([[1, 0], [0, 0]], dtype=bool)).round(3).tolist()
    [0.667, 0.0]
    """
    hits = (truth & predicted).sum(axis=0)
    total = truth.sum(axis=0) + predicted.sum(axis=0)
    scores: FloatArray = 2 * hits / np.maximum(total, 1)
    return scores


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
        scores, on = proba[order, label].astype(np.float64), truth[order, label]
        f1 = 2 * np.cumsum(on) / (np.arange(1, len(on) + 1) + on.sum())
        below = np.append(scores[1:], 0.0)
        f1[scores == below] = -1  # no threshold parts equal probabilities
        best = int(f1.argmax())
        found[label] = (scores[best] + below[best]) / 2
    return found


def common_threshold(proba: FloatArray, truth: BoolArray) -> float:
    """Return the one threshold for all labels with the largest macro-F1, over labels that have a positive.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.4], [0.3, 0.1]])
    >>> 0.1 < common_threshold(proba, np.array([[True, True], [True, False]])) <= 0.3
    True
    """
    used = truth.any(axis=0)
    if not used.any():
        return 0.5
    scores = [float(f1_scores(truth[:, used], proba[:, used] >= value).mean()) for value in GRID]
    return float(GRID[int(np.argmax(scores))])


def fit_thresholds(proba: FloatArray, truth: BoolArray, positives: float = POSITIVES) -> FloatArray:
    """Return a threshold for each label, shape (K,): its best, drawn to the common one where it has few positives.

    In log odds, the best weighs as much as the label has positives, the common one as much as `positives`.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Held out.
    truth : ndarray of bool, shape (n, K)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.random((500, 3)) < [0.5, 0.1, 0.0]
    >>> proba = np.where(truth, 0.4, 0.1) + 0.2 * rng.random(truth.shape)
    >>> thresholds = fit_thresholds(proba, truth)
    >>> bool((np.abs(thresholds - common_threshold(proba, truth)) < 0.1).all())
    True
    """
    own = np.clip(best_thresholds(proba, truth), LEAST, MOST)
    common = common_threshold(proba, truth)
    count = truth.sum(axis=0)
    share = count / (count + positives)
    return np.asarray(_inverse(share * _log_odds(own) + (1 - share) * _log_odds(np.asarray(common))))


def _log_odds(value: FloatArray) -> FloatArray:
    return np.log(value) - np.log1p(-value)


def _inverse(log_odds: FloatArray) -> FloatArray:
    return 1 / (1 + np.exp(-log_odds))
