"""A second layer that sees what the first says of all labels."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.label_calibration import label_losses
from vermilion.learn.label_choice import candidates, choose_label_head
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.learn.stacked_labels import StackedHead, deal, held_out_proba
from vermilion.types import BoolArray, FloatArray, Head


def make_rows(n: int = 600, seed: int = 0) -> tuple[FloatArray, BoolArray]:
    """Return rows with five labels that vectors tell, and a sixth that is on where exactly one of two of them is."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y = X[:, :5] + 0.1 * rng.normal(size=(n, 5)) > 0.1
    return X.astype(np.float32), np.column_stack([Y, Y[:, 0] & ~Y[:, 1]])


def test_tensors_restore_it() -> None:
    X, Y = make_rows(120)
    head = StackedHead(C=3.0).fit(X, Y)
    assert isinstance(head, Head)
    copy = StackedHead(**head.get_params()).from_tensors(head.to_tensors(), head.classes_)
    np.testing.assert_array_equal(copy.predict_proba(X), head.predict_proba(X))
    np.testing.assert_array_equal(head.predict(X), head.predict_proba(X) > 0.5)
    with pytest.raises(ValueError, match="5 classes need as many rows"):
        StackedHead().from_tensors(head.to_tensors(), np.arange(5))


def test_fitting_leaves_the_parameters_alone() -> None:
    X, Y = make_rows(120)
    head = StackedHead().fit(X, Y)
    assert head.get_params() == StackedHead().get_params()
    assert head.tuned(X, Y).C == head.first_.C_


def test_labels_that_tell_of_each_other_are_told_better() -> None:
    (X, Y), (new, came) = make_rows(), make_rows(4000, seed=1)
    plain, stacked = (
        head.fit(X, Y).predict_proba(new) for head in (OneVsRestHead(C=3.0), StackedHead(C=3.0))
    )
    assert label_losses(stacked, came)[5] < label_losses(plain, came)[5]


def test_held_out_rows_were_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 40)), rng.random((60, 1)) < 0.5
    head = OneVsRestHead(C=1e4)
    assert (head.fit(X, Y).predict(X) == Y).all()
    assert 0.3 < ((held_out_proba(head, X, Y, 5) > 0.5) == Y).mean() < 0.7


def test_rare_labels_are_in_every_part_whatever_the_order_of_rows() -> None:
    X, Y = make_rows(100)
    Y[:, 5] = np.arange(100) < 5
    numbers = deal(X, Y, 5, 0)
    assert sorted(numbers[:5]) == [0, 1, 2, 3, 4]
    order = np.random.default_rng(1).permutation(100)
    np.testing.assert_array_equal(deal(X[order], Y[order], 5, 0), numbers[order])


def test_the_simpler_head_is_taken_where_labels_tell_nothing_of_each_other() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = X[:, :3] + 0.5 * rng.normal(size=(300, 3)) > 0.5
    choice = choose_label_head(X, Y, candidates(Y))
    assert [trial.head for trial in choice.trials] == ["one-vs-rest", "stacked"]
    assert choice.kind == "one-vs-rest"
    assert choice.thresholds.shape == (3,)


def test_the_second_layer_is_chosen_where_it_tells_more() -> None:
    X, Y = make_rows(1500)
    choice = choose_label_head(X, Y, candidates(Y))
    assert choice.kind == "stacked"
    assert {trial.head: trial.chosen for trial in choice.trials} == {"one-vs-rest": False, "stacked": True}


def test_a_large_problem_tries_the_first_layer_alone() -> None:
    assert list(candidates(np.zeros((2000, 1000), dtype=bool))) == ["one-vs-rest"]
    assert list(candidates(np.zeros((2, 2), dtype=bool), "stacked")) == ["stacked"]


def test_one_row_is_enough_to_choose() -> None:
    choice = choose_label_head(
        np.ones((1, 2)), np.array([[True, False]]), {"one-vs-rest": OneVsRestHead(C=1.0)}
    )
    assert choice.scaling is None
