"""Retrieval figures against scikit-learn's and by hand."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import ndcg_score

from vermilion.learn.metrics_retrieval import query_figures


def test_ndcg_is_as_in_scikit_learn_where_no_scores_tie() -> None:
    random = np.random.default_rng(0)
    queries = np.repeat(np.arange(30), 25)
    scores, relevant = random.random(750), random.random(750) < 0.2
    order = random.permutation(750)  # rows of a query need not stand together
    found = query_figures(queries[order], relevant[order], scores[order])
    own, truth = scores.reshape(30, 25), relevant.reshape(30, 25)
    kept = truth.any(axis=1)
    expected = [
        ndcg_score(t[None].astype(int), s[None], k=10) for t, s in zip(truth[kept], own[kept], strict=True)
    ]
    np.testing.assert_allclose(found["ndcg_at_10"], expected)
    ranks = (-own).argsort(axis=1).argsort(axis=1) + 1
    firsts = np.where(truth, ranks, 99).min(axis=1)[kept]
    np.testing.assert_allclose(found["mrr"], 1 / firsts)
    shares = [(r[t] <= 5).mean() for r, t in zip(ranks[kept], truth[kept], strict=True)]
    np.testing.assert_allclose(found["recall_at_5"], shares)


def test_a_constant_score_earns_what_the_worst_order_earns() -> None:
    found = query_figures(np.zeros(4, dtype=int), np.array([True, False, False, False]), np.ones(4))
    assert found["mrr"].tolist() == [0.25]
    assert found["recall_at_1"].tolist() == [0.0]


def test_queries_without_a_relevant_candidate_do_not_count() -> None:
    found = query_figures(np.array([0, 1]), np.array([False, True]), np.array([0.1, 0.2]))
    assert all(values.tolist() == [1.0] for values in found.values())
    nothing = query_figures(np.array([0]), np.array([False]), np.array([0.1]))
    assert all(len(values) == 0 for values in nothing.values())
