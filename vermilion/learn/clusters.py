"""Whether an encoder's vectors fall into the labels by themselves: silhouette, and k-means against the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_samples, v_measure_score

from vermilion.learn.shared_splits import fold_by_fold
from vermilion.types import FloatArray, IntArray

STARTS, GROUPS = 10, 20
# Of so many clusters each start is an average already: V spreads by .0005 from start to start, and a start takes 8 s.
MANY_LABELS, FEWER_STARTS = 300, 3
# MiB of cosines at a time; scikit-learn would take a GiB.
WORKING_MEMORY = 128


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
    with config_context(working_memory=WORKING_MEMORY):
        values: FloatArray = silhouette_samples(X, codes, metric="cosine")
    return values


@dataclass(frozen=True, slots=True)
class Clustered:
    """How well k-means found the labels.

    Attributes
    ----------
    starts : ndarray of shape (10,), or (3,) where there are hundreds of labels
        V-measure of each start: the harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg, 2007).
    groups : ndarray of shape (20,)
        Pseudo-values of a jackknife over groups of texts (Tukey, 1958), the clusters as they are; their mean is that of
        the starts, their spread that of the texts.
    """

    starts: FloatArray
    groups: FloatArray


def cluster(X: FloatArray, codes: IntArray, seed: int) -> Clustered:
    """Run k-means from ten starts, k the number of labels, and compare its clusters with the labels.

    Starts differ as much as samples of texts do: many of them are averaged, rather than the best of a few taken.
    With hundreds of labels starts differ little, and three are enough.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    codes : ndarray of int, shape (n,)
    seed : int

    Examples
    --------
    >>> found = cluster(np.repeat(np.eye(3, 8), 7, axis=0), np.repeat([0, 1, 2], 7), seed=0)
    >>> len(found.starts), len(found.groups), bool(np.isclose(found.groups.mean(), found.starts.mean()))
    (10, 20, True)
    """
    count = len(np.unique(codes))

    def one(start: int) -> IntArray:
        means = KMeans(count, n_init=1, random_state=seed * STARTS + start)
        labels: IntArray = means.fit_predict(X)
        return labels

    found = fold_by_fold(one, list(range(STARTS if count < MANY_LABELS else FEWER_STARTS)))
    starts = np.array([v_measure_score(codes, clusters) for clusters in found])
    groups = np.random.default_rng([seed, 34]).permutation(len(codes)) % min(GROUPS, len(codes))
    without = np.mean([_without_each(codes, clusters, groups) for clusters in found], axis=0)
    pseudo = -(len(without) - 1) * (without - without.mean())
    return Clustered(starts, starts.mean() + pseudo)


def _without_each(codes: IntArray, clusters: IntArray, groups: IntArray) -> FloatArray:
    """Return the V-measure of the same clusters without each group of texts."""
    kept = [groups != group for group in range(int(groups.max()) + 1)]
    return np.array([v_measure_score(codes[rows], clusters[rows]) for rows in kept])
