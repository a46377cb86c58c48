"""Whether an encoder's vectors fall into the labels by themselves: silhouette, and k-means against the labels."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples, v_measure_score

from vermilion.learn.shared_splits import Splits, fold_by_fold
from vermilion.types import FloatArray, IntArray

STARTS = 3


def silhouettes(X: FloatArray, codes: IntArray) -> FloatArray:
    """Return each row's silhouette by cosine distance, from -1 to 1, shape (n,) (Rousseeuw, 1987).

    How much nearer the row is to its own label's rows than to those of the nearest other label. Empty where there
    are fewer than two labels, or as many as rows.

    Examples
    --------
    >>> silhouettes(np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), np.array([0, 0, 1, 1])).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    if not 2 <= len(np.unique(codes)) < len(codes):
        return np.zeros(0)
    values: FloatArray = silhouette_samples(X, codes, metric="cosine")
    return values


def v_measures(X: FloatArray, splits: Splits) -> FloatArray:
    """Return the V-measure of k-means, k the number of labels, once without each fold, shape (folds,).

    V is the harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg, 2007). The spread over parts of
    the rows that share all but one fold is that of a jackknife.

    Examples
    --------
    >>> X = np.repeat(np.eye(3, 8), 6, axis=0)
    >>> v_measures(X, Splits.draw(np.repeat([0, 1, 2], 6), seed=0, folds=3)).tolist()
    [1.0, 1.0, 1.0]
    """

    def one(fold: int) -> float:
        rows = splits.training(fold)
        labels = splits.codes[rows]
        means = KMeans(len(np.unique(labels)), n_init=STARTS, random_state=splits.seed + fold)
        return float(v_measure_score(labels, means.fit_predict(X[rows])))

    return np.array(fold_by_fold(one, splits.numbers))
