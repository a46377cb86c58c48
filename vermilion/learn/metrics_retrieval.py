"""How well scores order the candidates of each query: nDCG, reciprocal rank, recall among the first k."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.types import BoolArray, FloatArray, IntArray

RECALLS = (1, 5, 10)
DEPTH = 10


def query_figures(
    queries: IntArray, relevant: BoolArray, scores: FloatArray, k: int = DEPTH
) -> dict[str, FloatArray]:
    """Return the figures of each query that has a relevant candidate, each of shape (Q,), by the query's number.

    Candidates of equal score are taken in the order that is worst for the model, so that a constant score earns
    nothing.

    Parameters
    ----------
    queries : ndarray of int, shape (n,)
        Which query each candidate belongs to.
    relevant : ndarray of bool, shape (n,)
    scores : ndarray of shape (n,)
    k : int
        Depth of nDCG.

    Returns
    -------
    dict
        `ndcg_at_10` (Järvelin and Kekäläinen, 2002, binary gains), `mrr`, and `recall_at_1`, `_5`, `_10`: the share of
        a query's relevant candidates among its first.

    Examples
    --------
    >>> queries, relevant = np.array([0, 0, 0]), np.array([False, True, True])
    >>> found = query_figures(queries, relevant, np.array([0.9, 0.8, 0.1]))
    >>> {name: values.round(3).tolist() for name, values in found.items()}
    {'ndcg_at_10': [0.693], 'mrr': [0.5], 'recall_at_1': [0.0], 'recall_at_5': [1.0], 'recall_at_10': [1.0]}
    """
    order = np.lexsort((relevant, -scores, queries))
    groups, relevant = queries[order], relevant[order]
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    group = np.repeat(np.arange(len(starts)), np.diff([*starts, len(groups)]))
    rank = np.arange(len(groups)) - starts[group] + 1
    total = np.bincount(group, weights=relevant)
    there = total > 0

    def summed(gains: NDArray[Any]) -> FloatArray:
        sums = np.bincount(group, weights=gains * relevant, minlength=len(starts))
        return sums[there].astype(np.float64)

    ideal = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    best = ideal[np.minimum(total[there].astype(np.intp), k)]
    first = np.full(len(starts), np.iinfo(np.intp).max)
    np.minimum.at(first, group[relevant], rank[relevant])
    recalls = {f"recall_at_{depth}": summed(rank <= depth) / total[there] for depth in RECALLS}
    return {
        f"ndcg_at_{k}": summed((rank <= k) / np.log2(rank + 1)) / best,
        "mrr": 1 / first[there],
        **recalls,
    }
