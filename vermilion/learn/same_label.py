"""Retrieval of texts by texts: whether those of the same label come first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vermilion.types import FloatArray, IntArray

TOP = 10
BLOCK_CELLS = 16_000_000


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How well each query's list is ordered.

    Attributes
    ----------
    queries : ndarray of int, shape (m,)
        The rows that were asked with: those that are not alone in their label.
    ndcg, reciprocal_rank : ndarray of shape (m,)
        nDCG of the first ten, and one over the place of the first row of the same label, both from 0 to 1.
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
    sizes = np.bincount(codes)
    queries = queries[sizes[codes[queries]] > 1]
    step = max(BLOCK_CELLS // max(len(X), 1), 1)
    blocks = [_block(X, codes, queries[start : start + step]) for start in range(0, len(queries), step)]
    if not blocks:
        return Retrieved(queries, np.zeros(0), np.zeros(0))
    return Retrieved(
        queries,
        np.concatenate([block[0] for block in blocks]),
        np.concatenate([block[1] for block in blocks]),
    )


def _block(X: FloatArray, codes: IntArray, queries: IntArray) -> tuple[FloatArray, FloatArray]:
    cosines = X[queries] @ X.T
    rows = np.arange(len(queries))
    cosines[rows, queries] = -np.inf
    relevant = codes[queries][:, None] == codes
    relevant[rows, queries] = False
    top = min(TOP, len(X) - 1)
    nearest = np.argpartition(-cosines, top - 1, axis=1)[:, :top]
    order = np.take_along_axis(nearest, np.argsort(-np.take_along_axis(cosines, nearest, 1), axis=1), 1)
    discounts = 1 / np.log2(np.arange(2, top + 2))
    gains = np.take_along_axis(relevant, order, axis=1) @ discounts
    ideal = np.cumsum(discounts)[np.minimum(relevant.sum(axis=1), top) - 1]
    first = np.where(relevant, cosines, -np.inf).max(axis=1, keepdims=True)
    return gains / ideal, 1 / (1 + (cosines > first).sum(axis=1))
