"""Rows placed in a tree: what is right, how sure it is, and which labels count."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.hierarchy import Ways
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.judged_tree import OnePath, in_tree
from vermilion.learn.metrics import estimates, measure
from vermilion.learn.metrics_tree import level_precision

# 0 over 1 and 2, 1 over 3 and 4; 5 over 6 and 7. Groups have no examples of their own.
PARENTS = (-1, 0, 0, 1, 1, -1, 5, 5)
LEAVES = np.array([2, 3, 4, 6, 7])


def some(n: int = 400, least: float = 0.6, sharp: float = 2.0) -> OnePath:
    """Return rows whose labels are drawn from their probabilities, which so are right."""
    rng = np.random.default_rng(0)
    logits = sharp * rng.normal(size=(n, len(LEAVES)))
    proba = np.zeros((n, len(PARENTS)))
    proba[:, LEAVES] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = np.array([rng.choice(len(PARENTS), p=row / row.sum()) for row in proba])
    return OnePath(true, Ways.of(proba, PARENTS).placed(least), proba, parents=PARENTS)


def test_a_row_is_rightly_placed_at_its_label_or_above() -> None:
    judged = some()
    path = [
        {0: [0], 1: [0, 1], 2: [0, 2], 3: [0, 1, 3], 4: [0, 1, 4], 6: [5, 6], 7: [5, 7]}[y]
        for y in judged.true
    ]
    expected = [said in own for said, own in zip(judged.predicted, path, strict=True)]
    assert judged.placed.tolist() == expected
    assert judged.right.sum() < judged.placed.sum() < len(judged)


def test_probabilities_that_are_right_are_held_to_their_word_where_rows_are_placed() -> None:
    sure, happened = some(4000).claims()
    assert sure.mean() == pytest.approx(happened.mean(), abs=0.02)
    assert sure.min() > 0.3, "a group is as likely as all under it"


def test_a_group_above_the_true_label_is_no_confusion_and_no_label() -> None:
    judged = some()
    mixed = judged.mixed().tocoo()
    on_path = {(2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (6, 5), (7, 5)}
    assert on_path.isdisjoint(zip(mixed.row.tolist(), mixed.col.tolist(), strict=True))
    assert mixed.data.sum() == judged.right.sum() + (~judged.placed).sum()
    assert np.flatnonzero(judged.label_figures().tally().occurs).tolist() == LEAVES.tolist()


def test_going_down_to_a_class_always_is_the_flat_decision() -> None:
    down = some(least=0.0)
    flat = OneLabel(
        np.searchsorted(LEAVES, down.true), np.searchsorted(LEAVES, down.predicted), down.proba[:, LEAVES]
    )
    tree, plain = (estimates(measure(own, np.random.default_rng(1), 50)) for own in (down, flat))
    for name in plain:
        if name != "ece":  # it is of what was decided; of a flat head of the likeliest
            assert tree[name].value == pytest.approx(plain[name].value), name
    again = in_tree(flat, LEAVES, down)
    assert (again.predicted == down.predicted).all()
    np.testing.assert_array_equal(again.proba, down.proba)


def test_a_true_group_is_as_likely_as_all_under_it() -> None:
    leaves = some()
    groups = OnePath(np.array(PARENTS)[leaves.true], leaves.predicted, leaves.proba, parents=PARENTS)
    found = dict(zip(groups.row_figures().names, groups.row_figures().at(np.ones((1, 400)))[0], strict=True))
    mass = {0: leaves.proba[:, [2, 3, 4]], 1: leaves.proba[:, [3, 4]], 5: leaves.proba[:, [6, 7]]}
    own = [mass[group][row].sum() for row, group in enumerate(groups.true.tolist())]
    assert found["log_loss"] == pytest.approx(-np.log(own).mean())


def test_precision_at_a_level_is_of_what_was_placed_there() -> None:
    judged = some()
    depth = np.array([1, 2, 2, 3, 3, 1, 2, 2])
    deep = depth[judged.predicted] >= 2
    up = np.array([-1, 1, 2, 1, 1, -1, 6, 7])  # each label's own at level 2
    expected = (up[judged.predicted] == up[judged.true])[deep].mean()
    found = level_precision(judged.true, judged.predicted, PARENTS)
    assert found.at(np.ones((1, 400)))[0, 1] == pytest.approx(expected)
