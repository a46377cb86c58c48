"""What a simple classifier makes of an encoder's vectors: linear, centroid, nearest neighbours, few examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from vermilion.learn.heads import CentroidHead, FlatHead
from vermilion.learn.shared_splits import Splits, fold_by_fold
from vermilion.learn.softmax_fit import choose_c
from vermilion.types import FloatArray, IntArray

NEIGHBOURS = 10
SHOTS = (1, 2, 5, 10, 30)
INNER_FOLDS, ITERATIONS = 3, 300

Fit = Callable[[FloatArray, IntArray], Callable[[FloatArray], IntArray]]


def held_out_labels(X: FloatArray, splits: Splits, fit: Fit) -> IntArray:
    """Return the label that each row gets when it is held out, shape (n,); -1 where it never is.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    splits : Splits
    fit : callable
        Learns from rows and labels, and returns what predicts labels of rows.
    """

    def one(fold: int) -> tuple[IntArray, IntArray]:
        train, held = splits.training(fold), splits.held(fold)
        return held, fit(X[train], splits.codes[train])(X[held])

    predicted: IntArray = np.full(len(X), -1)
    for held, labels in fold_by_fold(one, splits.numbers):
        predicted[held] = labels
    return predicted


def linear(C: float) -> Fit:
    """Return what fits the flat head, multinomial logistic regression."""
    return lambda X, y: FlatHead(C=C, max_iter=ITERATIONS, warm_start=False).fit(X, y).predict


def nearest_centroid(X: FloatArray, y: IntArray) -> Callable[[FloatArray], IntArray]:
    """Learn the mean of each label's rows."""
    return CentroidHead(temperature=1.0).fit(X, y).predict


def nearest_neighbours(X: FloatArray, y: IntArray) -> Callable[[FloatArray], IntArray]:
    """Let the ten nearest rows vote, nearer ones with more weight."""
    neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(X)), weights="distance", algorithm="brute")
    return neighbours.fit(X, y).predict  # type: ignore[no-any-return]


def penalty(X: FloatArray, splits: Splits, rows: IntArray) -> float:
    """Return the C that cross-validation within these training rows finds best for a linear probe."""
    codes = np.unique(splits.codes[rows], return_inverse=True)[1]
    return choose_c(X[rows], codes, INNER_FOLDS, ITERATIONS, splits.seed)


def few_shot(X: FloatArray, splits: Splits, each: int) -> FloatArray:
    """Return the accuracy of a linear probe that knows at most `each` rows a label, fold by fold.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    splits : Splits
    each : int
        C is chosen within the few rows of the first fold, and serves all folds.

    Returns
    -------
    ndarray of shape (folds,)

    Examples
    --------
    >>> X = np.repeat(np.eye(3, 8, dtype=np.float32), 6, axis=0)
    >>> few_shot(X, Splits.draw(np.repeat([0, 1, 2], 6), seed=0, folds=3), 2).tolist()
    [1.0, 1.0, 1.0]
    """
    numbers = splits.numbers
    fit = linear(penalty(X, splits, splits.shots(numbers[0], each)))

    def one(fold: int) -> float:
        rows, held = splits.shots(fold, each), splits.held(fold)
        right = fit(X[rows], splits.codes[rows])(X[held]) == splits.codes[held]
        return float(right.mean())

    return np.array(fold_by_fold(one, numbers))
