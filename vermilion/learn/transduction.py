"""Learning from the pool itself: labels spread over a graph of neighbours, and a head that learns from the result.

A few labelled texts say little of where a label ends; ten thousand open ones say a lot. A teacher learns from what
is confirmed; its probabilities are spread over the graph of nearest neighbours, in which confirmed texts stay fixed
points (label spreading, Zhou et al., 2004); a student learns from the confirmed texts and, at a lower weight, from
the labels so spread (self-training). What is proposed is the geometric mean of both. docs/design/pool.md has what
each part gains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from vermilion.learn.calibration import softmax
from vermilion.learn.flat import FlatHead
from vermilion.types import BoolArray, FloatArray, IntArray

NEIGHBOURS = 10
# Similarities are raised to this power: a neighbour at cosine .9 counts three times one at .8.
POWER = 10
SHARE, STEPS = 0.8, 12
PSEUDO_WEIGHT = 0.3
BLOCK_CELLS = 32_000_000
# Beyond so many texts, or texts times labels, the graph and the spreading would cost more than encoding does.
MOST_ROWS, MOST_CELLS = 40_000, 20_000_000


def affordable(n_rows: int, n_labels: int) -> bool:
    """Tell whether a pool is small enough to learn from as a whole.

    Examples
    --------
    >>> affordable(15_000, 150), affordable(100_000, 970)
    (True, False)
    """
    return n_rows <= MOST_ROWS and n_rows * n_labels <= MOST_CELLS


def neighbour_graph(X: FloatArray, neighbours: int = NEIGHBOURS) -> sp.csr_array:
    """Return the symmetric, normalised graph of nearest neighbours, shape (n, n).

    Entries are the tenth power of the cosine similarity over the root of both rows' sums; a text is no neighbour of
    itself. Exact search, block by block.

    Parameters
    ----------
    X : ndarray of float32, shape (n, d)
        Unit vectors.
    neighbours : int
        Of each text; its own choices and those that chose it count.

    Examples
    --------
    >>> graph = neighbour_graph(np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32), 1)
    >>> graph.toarray().round(3).tolist()
    [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    """
    n = len(X)
    count = min(neighbours, n - 1)
    if count < 1:
        return sp.csr_array((n, n), dtype=X.dtype)
    places = np.empty((n, count), dtype=np.int32)
    weights = np.empty((n, count), dtype=X.dtype)
    size = max(BLOCK_CELLS // n, 1)
    for start in range(0, n, size):
        similar = X[start : start + size] @ X.T
        own = np.arange(len(similar))
        similar[own, start + own] = -1.0
        nearest = np.argpartition(similar, n - count, axis=1)[:, n - count :]
        places[start : start + size] = nearest
        weights[start : start + size] = np.take_along_axis(similar, nearest, axis=1)
    weights = np.maximum(weights, 0.0) ** POWER
    rows = np.repeat(np.arange(n, dtype=np.int32), count)
    directed = sp.csr_array((weights.ravel(), (rows, places.ravel())), shape=(n, n))
    graph = directed.maximum(directed.T)
    scale = 1.0 / np.sqrt(np.maximum(graph.sum(axis=1), np.finfo(X.dtype).tiny)).astype(X.dtype)
    return sp.csr_array(sp.diags_array(scale) @ graph @ sp.diags_array(scale))


def spread_labels(
    graph: sp.csr_array, start: FloatArray, share: float = SHARE, steps: int = STEPS
) -> FloatArray:
    """Spread what is known of each text to its neighbours: `F <- share * graph @ F + (1 - share) * start`.

    Parameters
    ----------
    graph : csr_array of shape (n, n)
        See `neighbour_graph`.
    start : ndarray of shape (n, K)
        Probabilities; one label has all of a confirmed text's.
    share : float
        Of what comes from neighbours, 0 to 1.
    steps : int

    Returns
    -------
    ndarray of shape (n, K)
        Rows sum to 1; a row without neighbours is as it was.

    Examples
    --------
    >>> graph = neighbour_graph(np.array([[1, 0], [1, 0]], dtype=np.float32), 1)
    >>> spread_labels(graph.astype(float), np.array([[1, 0], [0.5, 0.5]]), 0.5, 20).round(2).tolist()
    [[0.83, 0.17], [0.67, 0.33]]
    """
    spread = start
    for _ in range(steps):
        spread = graph @ spread
        spread *= share
        spread += (1 - share) * start
    total: FloatArray = spread.sum(axis=1, keepdims=True)
    normalised: FloatArray = spread / total
    return normalised


@dataclass(frozen=True, slots=True)
class PoolLearner:
    """Learns from confirmed texts and from the open ones around them.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        All texts, labelled and open.
    graph : csr_array of shape (n, n)
        Of their neighbours.
    teacher, student : FlatHead
        The student is the head to keep: it needs no graph to predict.

    Examples
    --------
    >>> X = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    >>> learner = PoolLearner(X, neighbour_graph(X, 2), FlatHead(C=10.0), FlatHead(C=10.0))
    >>> learner.learn(np.array([0, -1, -1, 1, -1, -1])).argmax(axis=1).tolist()
    [0, 0, 0, 1, 1, 1]
    """

    X: FloatArray
    graph: sp.csr_array
    teacher: FlatHead
    student: FlatHead

    def learn(self, codes: IntArray) -> FloatArray:
        """Fit both heads; return what the two ways of learning think of every text, shape (n, K).

        Parameters
        ----------
        codes : ndarray of int, shape (n,)
            Label numbers of confirmed texts, -1 of open ones; every label has a confirmed text.
        """
        spread = self._spread(codes)
        self._fit_student(codes, spread, np.ones(len(codes), dtype=np.bool_))
        return geometric_mean(spread, self.student.predict_proba(self.X))

    def held_out(self, codes: IntArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return what would be thought of confirmed rows if they were not, each of shape (len(rows), K).

        Both heads are fitted anew, and what they had learned is gone.

        Returns
        -------
        proposed : ndarray
            With these rows open: what `learn` proposes for them.
        by_student : ndarray
            By a student that has never seen them, not even as open texts, as it has not seen tomorrow's.
        """
        codes = codes.copy()
        codes[rows] = -1
        spread = self._spread(codes)
        seen = np.ones(len(codes), dtype=np.bool_)
        self._fit_student(codes, spread, seen)
        proposed = geometric_mean(spread[rows], self.student.predict_proba(self.X[rows]))
        seen[rows] = False
        self._fit_student(codes, spread, seen)
        return proposed, self.student.predict_proba(self.X[rows])

    def _spread(self, codes: IntArray) -> FloatArray:
        known = codes >= 0
        self.teacher.fit(self.X[known], codes[known])
        start = self.teacher.predict_proba(self.X)
        start[known] = np.eye(start.shape[1], dtype=start.dtype)[codes[known]]
        return spread_labels(self.graph, start)

    def _fit_student(self, codes: IntArray, spread: FloatArray, seen: BoolArray) -> None:
        known = codes >= 0
        labels = np.where(known, codes, spread.argmax(axis=1))
        self.student.fit(self.X[seen], labels[seen], np.where(known, 1.0, PSEUDO_WEIGHT)[seen])


def geometric_mean(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return probabilities in proportion to the roots of the products, shape (n, K).

    Examples
    --------
    >>> geometric_mean(np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]])).round(3).tolist()
    [[0.667, 0.333]]
    """
    tiny = np.finfo(one.dtype).tiny
    return softmax(0.5 * (np.log(np.maximum(one, tiny)) + np.log(np.maximum(other, tiny))))
