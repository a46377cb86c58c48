"""Splits that all encoders share."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.shared_splits import Splits, fold_by_fold, sample_rows

CODES = np.repeat([0, 1, 2, 3], [20, 11, 5, 1])


def test_each_row_is_held_out_once_but_the_only_one_of_a_label() -> None:
    splits = Splits.draw(CODES, seed=3)
    held = np.concatenate([splits.held(fold) for fold in splits.numbers])
    assert sorted(held.tolist()) == list(range(36))
    assert all(36 in splits.training(fold) for fold in splits.numbers)
    for fold in splits.numbers:
        assert not set(splits.held(fold)) & set(splits.training(fold))
        assert set(CODES[splits.training(fold)]) == {0, 1, 2, 3}


def test_folds_are_as_many_as_the_largest_label_has_rows() -> None:
    assert Splits.draw(np.repeat([0, 1], 3), seed=0).numbers == [0, 1, 2]


def test_shots_are_so_many_a_label_and_those_for_fewer_are_among_those_for_more() -> None:
    splits = Splits.draw(CODES, seed=3)
    for fold in splits.numbers:
        few, more = set(splits.shots(fold, 2)), set(splits.shots(fold, 5))
        assert few < more <= set(splits.training(fold))
        assert np.bincount(CODES[sorted(few)]).tolist() == [2, 2, 2, 1]
        assert np.bincount(CODES[sorted(more)]).max() == 5


def test_a_point_of_the_curve_needs_its_texts_in_half_of_the_labels() -> None:
    splits = Splits.draw(CODES, seed=3)
    assert splits.enough_for(8)  # two of four labels have them
    assert not splits.enough_for(12)


def test_another_seed_deals_other_folds() -> None:
    assert not np.array_equal(Splits.draw(CODES, 0).folds, Splits.draw(CODES, 1).folds)
    np.testing.assert_array_equal(Splits.draw(CODES, 0).folds, Splits.draw(CODES, 0).folds)


def test_a_sample_keeps_small_labels_and_shares() -> None:
    codes = np.repeat([0, 1, 2, 3], [6000, 3000, 12, 4])
    sizes = np.bincount(codes[sample_rows(codes, 900, np.random.default_rng(0))])
    assert sizes[2:].tolist() == [10, 4]
    assert sizes[0] / sizes[1] == pytest.approx(2, rel=0.02)
    assert sizes.sum() == pytest.approx(900, abs=20)


def test_few_rows_are_not_sampled() -> None:
    np.testing.assert_array_equal(sample_rows(CODES, 40, np.random.default_rng(0)), np.arange(len(CODES)))


def test_folds_keep_their_order_and_their_errors() -> None:
    assert fold_by_fold(lambda fold: -fold, [3, 1, 2]) == [-3, -1, -2]
    with pytest.raises(ZeroDivisionError):
        fold_by_fold(lambda fold: 1 // fold, [1, 0])
