"""Confusions: counts against scikit-learn's matrix, and groups that hang together."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import confusion_matrix as reference

from vermilion.learn.metrics_confusion import confusion_matrix, confusions, mixed_up


def test_counts_are_as_in_scikit_learn() -> None:
    random = np.random.default_rng(0)
    true, predicted = random.integers(0, 30, (2, 500))
    expected = reference(true, predicted, labels=range(30))
    assert (confusion_matrix(true, predicted, 30).toarray() == expected).all()
    found = confusions(confusion_matrix(true, predicted, 30), np.bincount(true, minlength=30), most=900)
    assert found.errors == expected.sum() - np.trace(expected)
    assert sum(pair.count for pair in found.pairs) == found.errors
    assert all(expected[pair.true, pair.predicted] == pair.count for pair in found.pairs)


def test_groups_hang_together_by_what_is_often_mixed_up() -> None:
    counts = np.diag([20] * 6)
    counts[0, 1] = counts[1, 2] = 5  # 0, 1 and 2 hang together
    counts[3, 4] = 1  # once is chance
    found = confusions(csr_array(counts), counts.sum(axis=1))
    assert [sorted(group.labels) for group in found.groups] == [[0, 1, 2]]
    assert (found.groups[0].errors, found.groups[0].texts) == (10, 70)


def test_no_errors_are_no_confusions() -> None:
    found = confusions(confusion_matrix(np.array([0, 1]), np.array([0, 1]), 2), [1, 1])
    assert (found.errors, found.pairs, found.groups) == (0, (), ())


def test_a_thousand_labels_stay_sparse() -> None:
    random = np.random.default_rng(0)
    true = random.integers(0, 1000, 20_000)
    predicted = np.where(random.random(20_000) < 0.8, true, true ^ 1)
    found = confusions(confusion_matrix(true, predicted, 1000), np.bincount(true, minlength=1000))
    assert len(found.pairs) == 30
    assert all(sorted(group.labels) == [min(group.labels), min(group.labels) ^ 1] for group in found.groups)


def test_several_labels_count_what_came_in_the_place_of_what() -> None:
    true = np.array([[True, True, False], [False, True, False]])
    predicted = np.array([[True, False, True], [False, False, True]])
    assert mixed_up(true, predicted).toarray().tolist() == [[0, 0, 0], [0, 0, 2], [0, 0, 0]]
