"""Retrieval of texts by texts: whether those of the same label come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from vermilion.types import BoolArray, FloatArray, IntArray

TOP = 10
BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How well each query's list is ordered.

    Attributes
    ----------
    queries : ndarray of int, shape (m,)
        The rows that were asked with: those that share a label with another.
    ndcg, reciprocal_rank : ndarray of shape (m,)
        nDCG of the first ten, and one over the place of the first row that shares a label, both from 0 to 1.
    """

    queries: IntArray
    ndcg: FloatArray
    reciprocal_rank: FloatArray


def same_label_retrieval(X: FloatArray, codes: IntArray, queries: IntArray) -> Retrieved:
    """Ask with some rows for all others by cosine; a row is relevant where its label is the query's.

    nDCG with binary relevance and the logarithmic discount of Järvelin and Kekäläinen (2002), as
    `sklearn.metrics.ndcg_score(k=10)` computes it.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Unit rows.
    codes : ndarray of int, shape (n,)
    queries : ndarray of int, shape (q,)

    Examples
    --------
    >>> X = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]])
    >>> found = same_label_retrieval(X, np.array([0, 1, 0]), np.arange(3))
    >>> found.queries.tolist(), found.ndcg.round(3).tolist(), found.reciprocal_rank.tolist()
    ([0, 2], [0.631, 0.631], [0.5, 0.5])
    """
    queries = queries[np.bincount(codes)[codes[queries]] > 1]
    return _retrieved(X, queries, lambda some: (codes[some][:, None] == codes).astype(np.float32))


def shared_label_retrieval(X: FloatArray, Y: BoolArray, queries: IntArray) -> Retrieved:
    """The same where rows have several labels: a row is worth the Jaccard index of its labels and the query's.

    So one that has all of the query's labels and no other gains 1, one that shares none 0. The reciprocal rank is that
    of the first row with any label of the query.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Unit rows.
    Y : ndarray of bool, shape (n, K)
    queries : ndarray of int, shape (q,)
        Those that share no label with another row are left out.

    Examples
    --------
    >>> X = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]])
    >>> Y = np.array([[True, True], [True, False], [True, True]])
    >>> found = shared_label_retrieval(X, Y, np.arange(1))
    >>> found.ndcg.round(3).tolist(), found.reciprocal_rank.tolist()  # the second text is half as good as the third
    ([0.86], [1.0])
    """
    labels, sizes = csr_array(Y, dtype=np.float32), Y.sum(axis=1, dtype=np.float32)
    shared = Y & (Y.sum(axis=0) > 1)
    queries = queries[shared[queries].any(axis=1)]

    def jaccard(some: IntArray) -> FloatArray:
        both = (labels[some] @ labels.T).toarray()
        either = sizes[some][:, None] + sizes - both
        shares: FloatArray = np.divide(both, either, out=both, where=either > 0)
        return shares

    return _retrieved(X, queries, jaccard)


def _retrieved(X: FloatArray, queries: IntArray, gains: Callable[[IntArray], FloatArray]) -> Retrieved:
    """Return how each query's list is ordered, some queries at a time; `gains` tells what each row is worth to them."""
    step = max(BLOCK_CELLS // max(len(X), 1), 1)
    blocks = [_block(X, some, gains(some)) for some in _runs(queries, step)]
    if not blocks:
        return Retrieved(queries, np.zeros(0), np.zeros(0))
    ndcg, reciprocal_rank = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return Retrieved(queries, ndcg, reciprocal_rank)


def _runs(queries: IntArray, step: int) -> list[IntArray]:
    return [queries[start : start + step] for start in range(0, len(queries), step)]


def _block(X: FloatArray, queries: IntArray, gains: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return nDCG and reciprocal rank of some queries; `gains`, shape (q, n), is overwritten."""
    cosines = X[queries] @ X.T
    rows = np.arange(len(queries))
    cosines[rows, queries] = -np.inf
    gains[rows, queries] = 0
    top = min(TOP, len(X) - 1)
    nearest = np.argpartition(-cosines, top - 1, axis=1)[:, :top]
    order = np.take_along_axis(nearest, np.argsort(-np.take_along_axis(cosines, nearest, 1), axis=1), 1)
    discounts = 1 / np.log2(np.arange(2, top + 2))
    found = np.take_along_axis(gains, order, axis=1) @ discounts
    first = np.where(gains > 0, cosines, -np.inf).max(axis=1, keepdims=True)
    gains.partition(gains.shape[1] - top, axis=1)
    ideal = -np.sort(-gains[:, -top:], axis=1) @ discounts
    return found / ideal, 1 / (1 + (cosines > first).sum(axis=1))
