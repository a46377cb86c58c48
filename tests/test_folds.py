"""Rows dealt out to folds by groups: whole, alike in whatever order they come, and no class unknown."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.folds import row_keys, splits, whole_fold_numbers
from vermilion.learn.heads import FlatHead
from vermilion.learn.model_choice import choose_head
from vermilion.types import IntArray


def dealt(codes: IntArray, groups: IntArray, folds: int = 5, seed: int = 0) -> IntArray:
    return whole_fold_numbers(codes, row_keys(rows(len(codes)), seed), groups, folds)


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(9).normal(size=(n, 4)).astype(np.float32)


def test_groups_are_whole_and_folds_alike() -> None:
    groups, codes = np.repeat(np.arange(60), 5), np.tile([1, 0, 0, 0, 0], 60)
    numbers = dealt(codes, groups)
    assert all(len(set(numbers[groups == group])) == 1 for group in range(60))
    assert np.bincount(numbers).tolist() == [60] * 5
    assert np.bincount(numbers, codes).tolist() == [12] * 5


def test_the_order_of_rows_and_the_numbers_of_groups_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    groups, codes = rng.integers(0, 30, 200), rng.integers(0, 3, 200)
    X, order = rows(200), rng.permutation(200)
    first = whole_fold_numbers(codes, row_keys(X), groups, 4)
    other = whole_fold_numbers(codes[order], row_keys(X[order]), (1000 - 7 * groups)[order], 4)
    np.testing.assert_array_equal(first[order], other)


@pytest.mark.parametrize("seed", range(20))
def test_no_class_is_ever_missing_from_training(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 60))
    groups, codes = rng.integers(0, rng.integers(1, 12), n), rng.integers(0, 5, n)
    codes = np.unique(codes, return_inverse=True)[1]
    numbers = dealt(codes, groups, int(rng.integers(2, 6)), seed)
    for train, held in splits(numbers):
        assert set(codes[train]) == set(codes)
        assert set(groups[train]).isdisjoint(groups[held])


def test_what_a_query_tells_is_not_told_twice() -> None:
    """Each query's pairs have one label, by nothing but the query: another query's cannot be known."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 6)
    X = (rng.normal(size=(40, 30))[groups] + 0.1 * rng.normal(size=(240, 30))).astype(np.float32)
    y = rng.permutation(np.repeat([0, 1], 20))[groups]
    leaked, honest = (
        choose_head(X, y, {"flat": FlatHead(C=1.0)}, groups=own)[1][0] for own in (None, groups)
    )
    assert leaked.accuracy > 0.95
    assert honest.accuracy < 0.7
