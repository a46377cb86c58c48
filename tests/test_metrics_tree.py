"""Hierarchical figures against the worked example of their paper, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.metrics_tree import ancestors, depths, level_accuracy, tree_figures


def at_once(figures: object) -> dict[str, float]:
    n = len(figures.above)  # type: ignore[attr-defined]
    values = figures.at(np.ones((1, n)))[0].tolist()  # type: ignore[attr-defined]
    return dict(zip(figures.names, values, strict=True))  # type: ignore[attr-defined]


def test_the_worked_example_of_kiritchenko() -> None:
    """Figure 1 of Kiritchenko et al. (2006): G, below B, C and E, is taken for F, below C."""
    letters = "BCEFG"
    above = np.eye(5, dtype=bool)
    for child, its_own in {"E": "B", "F": "C", "G": "BCE"}.items():
        above[letters.index(child), [letters.index(letter) for letter in its_own]] = True
    found = at_once(tree_figures(np.array([letters.index("G")]), np.array([letters.index("F")]), above))
    assert found["hierarchical_precision"] == pytest.approx(1 / 2)
    assert found["hierarchical_recall"] == pytest.approx(1 / 4)
    assert found["hierarchical_f1"] == pytest.approx(1 / 3)


def test_without_parents_they_are_accuracy() -> None:
    true, predicted = np.array([0, 1, 2, 2]), np.array([0, 2, 2, 1])
    found = at_once(tree_figures(true, predicted, ancestors([-1, -1, -1])))
    assert set(found.values()) == {0.5}


def test_no_prediction_is_no_precision_and_no_recall() -> None:
    found = at_once(tree_figures(np.array([1]), np.array([-1]), ancestors([-1, 0])))
    assert np.isnan(found["hierarchical_precision"])
    assert found["hierarchical_recall"] == 0.0


def test_levels_count_only_texts_that_reach_them() -> None:
    # 0 over 1 over 2; 3 alone.
    parents = [-1, 0, 1, -1]
    assert depths(ancestors(parents)).tolist() == [1, 2, 3, 1]
    found = at_once(level_accuracy(np.array([2, 2, 3, 1]), np.array([2, 0, 3, 3]), parents))
    assert found == {
        "accuracy_level_1": 0.75,  # all but the last
        "accuracy_level_2": pytest.approx(1 / 3),  # the second stops above, the third has no such level
        "accuracy_level_3": 0.5,
    }
