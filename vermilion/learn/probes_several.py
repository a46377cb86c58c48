"""What simple classifiers make of an encoder's vectors where texts have several labels: scores of each label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from vermilion.learn.label_thresholds import fit_thresholds
from vermilion.learn.metrics_rows import ranking_precisions
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.learn.probes import NEIGHBOURS
from vermilion.learn.shared_splits import Splits, fold_by_fold
from vermilion.learn.subsets import unit_rows
from vermilion.types import BoolArray, FloatArray, IntArray

Fit = Callable[[FloatArray, BoolArray], Callable[[FloatArray], FloatArray]]


def held_out_scores(X: FloatArray, Y: BoolArray, splits: Splits, fit: Fit) -> FloatArray:
    """Return the score of each label for each row when it is held out, float32, shape (n, K); nan where it never is.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of bool, shape (n, K)
    splits : Splits
    fit : callable
        Learns from rows and their labels, and returns what scores labels of rows.
    """

    def one(fold: int) -> tuple[IntArray, FloatArray]:
        train, held = splits.training(fold), splits.held(fold)
        return held, fit(X[train], Y[train])(X[held])

    scores = np.full(Y.shape, np.nan, dtype=np.float32)
    for held, own in fold_by_fold(one, splits.numbers):
        scores[held] = own
    return scores


def one_vs_rest(C: float) -> Fit:
    """Return what fits a logistic regression a label; scores are probabilities."""
    return lambda X, Y: OneVsRestHead(C=C, warm_start=False).fit(X, Y).predict_proba


def label_means(X: FloatArray, Y: BoolArray) -> Callable[[FloatArray], FloatArray]:
    """Learn the direction of the mean of each label's rows; scores are cosines, 0 for a label without rows."""
    means = unit_rows(Y.T.astype(X.dtype) @ X)
    return lambda rows: np.asarray(rows @ means.T)


def neighbour_shares(X: FloatArray, Y: BoolArray) -> Callable[[FloatArray], FloatArray]:
    """Let the ten nearest rows vote for their labels, nearer ones with more weight (Spyromitros et al., 2008)."""
    nearest = KNeighborsRegressor(min(NEIGHBOURS, len(X)), weights="distance", algorithm="brute")
    return nearest.fit(X, Y.astype(np.float32)).predict  # type: ignore[no-any-return]


def label_penalty(X: FloatArray, Y: BoolArray, rows: IntArray, seed: int) -> float:
    """Return the C that cross-validation within these training rows finds best, the same for all labels."""
    return float(OneVsRestHead(random_state=seed).tuned(X[rows], Y[rows]).C)


def few_shot_ranking(X: FloatArray, Y: BoolArray, splits: Splits, each: int) -> FloatArray:
    """Return the label ranking average precision of a linear probe that knows few rows, fold by fold, shape (folds,).

    Parameters
    ----------
    X : ndarray of shape (n, d)
    Y : ndarray of bool, shape (n, K)
    splits : Splits
        Of each row's rarest label.
    each : int
        At most so many rows of each such label; C is chosen within those of the first fold.
    """
    numbers = splits.numbers
    C = label_penalty(X, Y, splits.shots(numbers[0], each), splits.seed)

    def one(fold: int) -> float:
        rows, held = splits.shots(fold, each), splits.held(fold)
        return float(ranking_precisions(one_vs_rest(C)(X[rows], Y[rows])(X[held]), Y[held]).mean())

    return np.array(fold_by_fold(one, numbers))


def decided(proba: FloatArray, Y: BoolArray, folds: IntArray) -> BoolArray:
    """Return which labels held-out rows get, shape (n, K), by thresholds fitted on the rows of the other folds.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Held out.
    Y : ndarray of bool, shape (n, K)
    folds : ndarray of int, shape (n,)
    """
    chosen = np.zeros(Y.shape, dtype=np.bool_)
    for fold in np.unique(folds):
        held = folds == fold
        chosen[held] = proba[held] >= fit_thresholds(proba[~held], Y[~held])
    return chosen
