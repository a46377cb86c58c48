"""How well scores tell right pairs from wrong ones, over all pairs and among those of one query."""

from __future__ import annotations

import numpy as np

from vermilion.learn.metrics_ranking import areas
from vermilion.learn.metrics_retrieval import DEPTH, query_figures
from vermilion.types import BoolArray, FloatArray, IntArray


def query_shares(queries: IntArray, positive: BoolArray, scores: FloatArray) -> dict[str, FloatArray]:
    """Return figures as values of queries whose mean they are, so that queries can be drawn again as a whole.

    Pairs of one query have a text in common, so queries are what is independent. An area is no mean of pairs; what
    each brings is its influence (DeLong et al., 1988), summed over the query's.

    Parameters
    ----------
    queries : ndarray of int, shape (n,)
        0 to Q - 1.
    positive : ndarray of bool, shape (n,)
    scores : ndarray of shape (n,)

    Returns
    -------
    dict of str to ndarray of shape (Q,)
        `roc_auc`; `average_precision`; `ndcg_at_10`, nan for queries whose pairs are all right or all wrong.

    Examples
    --------
    >>> found = query_shares(np.array([0, 0, 1]), np.array([True, False, True]), np.array([0.9, 0.5, 0.7]))
    >>> {name: float(np.nanmean(values)) for name, values in found.items()}
    {'roc_auc': 1.0, 'average_precision': 1.0, 'ndcg_at_10': 1.0}
    """
    count = int(queries.max()) + 1
    found = {}
    for name, area in zip(("roc_auc", "average_precision"), areas(scores, positive), strict=True):
        sums = np.bincount(queries, weights=area.influence, minlength=count)
        found[name] = area.value + sums * count / len(queries)
    return {**found, "ndcg_at_10": _ndcg(queries, positive, scores, count)}


def _ndcg(queries: IntArray, positive: BoolArray, scores: FloatArray, count: int) -> FloatArray:
    right = np.bincount(queries, weights=positive, minlength=count)
    both = (right > 0) & (right < np.bincount(queries, minlength=count))
    rows = both[queries]
    values: FloatArray = np.full(count, np.nan)
    if rows.any():
        values[both] = query_figures(queries[rows], positive[rows], scores[rows])[f"ndcg_at_{DEPTH}"]
    return values
