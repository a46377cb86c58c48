from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vermilion.learn import hierarchy
from vermilion.learn.decision_rules import Tree, from_json
from vermilion.learn.hierarchy import Ways, backoffs, best_backoff, levels, masses, numbered, paths
from vermilion.types import BoolArray, FloatArray, IntArray

# 0 has the children 1 and 2, 2 has 3 and 4; 5 stands alone.
PARENTS = [-1, 0, 0, 2, 2, -1]


@st.composite
def trees(draw: st.DrawFn) -> list[int]:
    """Any forest of up to 12 labels, numbered in any order."""
    n = draw(st.integers(1, 12))
    above = [draw(st.integers(-1, place - 1)) for place in range(n)]
    order = draw(st.permutations(range(n)))
    parents = [-1] * n
    for place, up in enumerate(above):
        parents[order[place]] = -1 if up < 0 else order[up]
    return parents


def random_proba(parents: list[int], n: int = 40, seed: int = 0) -> FloatArray:
    """Probabilities over all labels, groups included; some labels have none."""
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(n, len(parents))) ** 3 * (rng.random(len(parents)) < 0.7)
    weights[:, 0] += 1e-9
    rows: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return rows


def above(label: int, parents: list[int]) -> set[int]:
    found = set()
    while label >= 0:
        found.add(label)
        label = parents[label]
    return found


def slow_masses(proba: FloatArray, parents: list[int]) -> FloatArray:
    under = np.array([[a in above(b, parents) for a in range(len(parents))] for b in range(len(parents))])
    product: FloatArray = proba @ under
    return product


def slow_placed(row: FloatArray, parents: list[int], least: float) -> int:
    mass = slow_masses(row[None, :], parents)[0]
    at = -1
    while True:
        below = [label for label, up in enumerate(parents) if up == at]
        best = max(below, key=lambda label: (mass[label], -label), default=None)
        if best is None or (at >= 0 and mass[best] < max(least, row[at])):
            return at
        at = best


@given(trees())
def test_a_group_is_as_likely_as_what_stands_under_it(parents: list[int]) -> None:
    proba = random_proba(parents)
    mass = masses(proba, parents)
    np.testing.assert_allclose(mass, slow_masses(proba, parents), atol=1e-12)
    tops = [label for label, up in enumerate(parents) if up < 0]
    np.testing.assert_allclose(mass[:, tops].sum(axis=1), 1.0)
    for label, up in enumerate(parents):
        assert up < 0 or (mass[:, up] >= mass[:, label] - 1e-12).all()


@given(trees(), st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))
def test_rows_are_placed_as_a_walk_would_place_them(parents: list[int], least: float) -> None:
    proba = random_proba(parents)
    label = Ways.of(proba, parents).placed(least)
    assert label.tolist() == [slow_placed(row, parents, least) for row in proba]
    mass = masses(proba, parents)[np.arange(len(proba)), label]
    tops = np.array(parents)[label] < 0
    assert ((mass >= least - 1e-12) | tops).all()


@given(trees())
def test_decisions_agree_along_the_tree(parents: list[int]) -> None:
    chosen = Tree(tuple(parents), 0.4).decide(random_proba(parents))
    for label, up in enumerate(parents):
        assert up < 0 or (chosen[:, up] | ~chosen[:, label]).all()
    # One path a row: at most one label of each level.
    for level in levels(parents):
        assert (chosen[:, level].sum(axis=1) <= 1).all()
    assert chosen.any(axis=1).all()


def test_the_likeliest_group_goes_before_the_likeliest_class() -> None:
    proba = np.array([[0.0, 0.35, 0.0, 0.25, 0.0, 0.4], [0.0, 0.2, 0.0, 0.1, 0.1, 0.6]])
    assert proba.argmax(axis=1).tolist() == [5, 5]
    assert Ways.of(proba, PARENTS).placed(0.0).tolist() == [1, 5]


def test_a_group_with_examples_of_its_own_is_a_class() -> None:
    proba = np.array([[0.6, 0.4, 0.0], [0.45, 0.55, 0.0], [0.45, 0.5, 0.05]])
    assert Ways.of(proba, [-1, 0, -1]).placed(0.0).tolist() == [0, 1, 1]
    assert Ways.of(proba, [-1, 0, -1]).placed(0.52).tolist() == [0, 1, 0]


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    proba = random_proba(PARENTS)
    whole = Ways.of(proba, PARENTS).placed(0.6)
    monkeypatch.setattr(hierarchy, "CELLS", 18)
    assert Ways.of(proba, PARENTS).placed(0.6).tolist() == whole.tolist()


def test_no_rows_are_placed_nowhere() -> None:
    assert Ways.of(np.empty((0, 6)), PARENTS).placed(0.5).tolist() == []
    assert paths(np.empty(0, dtype=np.int64), PARENTS).shape == (0, 6)


def test_labels_without_parents_are_a_flat_tree() -> None:
    proba = np.array([[0.2, 0.5, 0.3]])
    tree = Tree((-1, -1, -1), 0.9)
    assert tree.decide(proba).tolist() == [[False, True, False]]
    assert tree.depths() == (0, 0, 0)


@pytest.mark.parametrize("parents", [[0], [1, 0], [-1, 2, 1], [5, -1]])
def test_circles_and_strangers_are_refused(parents: list[int]) -> None:
    with pytest.raises(ValueError, match="hang from the top"):
        levels(parents)
    with pytest.raises(ValueError, match="hang from the top"):
        from_json({"rule": "tree", "parents": parents, "least": 0.5, "chosen_by": ""}, len(parents))


def test_parents_are_found_by_name() -> None:
    assert numbered(["a", "b"], ["b", None]).tolist() == [1, -1]
    with pytest.raises(ValueError, match="'c' is no label"):
        numbered(["a", "b"], ["c", None])
    with pytest.raises(ValueError, match="hang from the top"):
        numbered(["a", "b"], ["b", "a"])


def test_a_rule_is_stored_and_restored() -> None:
    tree = Tree(tuple(PARENTS), 0.25, "precision:0.9")
    assert from_json(tree.to_json(), len(PARENTS)) == tree
    assert tree.depths() == (0, 1, 1, 2, 2, 0)


def as_sets(chosen: BoolArray) -> list[set[int]]:
    return [set(np.flatnonzero(row).tolist()) for row in chosen]


@given(trees())
def test_figures_of_backing_off_are_those_of_sets(parents: list[int]) -> None:
    proba = random_proba(parents)
    y: IntArray = np.random.default_rng(1).integers(len(parents), size=len(proba))
    true = as_sets(paths(y, parents))
    for found in backoffs(proba, y, parents, [0.0, 0.5, 0.9]):
        label = Ways.of(proba, parents).placed(found.least)
        said = as_sets(paths(label, parents))
        assert said == [above(number, parents) for number in label.tolist()]
        shared = sum(len(a & b) for a, b in zip(said, true, strict=True))
        assert found.precision == pytest.approx(shared / sum(map(len, said)))
        assert found.recall == pytest.approx(shared / sum(map(len, true)))
        assert found.f1 == pytest.approx(2 * shared / (sum(map(len, said)) + sum(map(len, true))))
        right = [number in ups for number, ups in zip(label.tolist(), true, strict=True)]
        assert found.right == pytest.approx(np.mean(right))
        wrong = [len(a - b) for a, b in zip(said, true, strict=True)]
        missing = [len(b - a) for a, b in zip(said, true, strict=True)]
        assert found.wrong == pytest.approx(np.mean(wrong))
        assert found.missing == pytest.approx(np.mean(missing))


def test_backing_off_makes_decisions_right_more_often_and_less_deep() -> None:
    """Leaves are mixed up with their sibling half of the time, groups never."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, 5, size=400)
    proba = np.zeros((400, 6))
    proba[:, 3] = rng.uniform(0.3, 0.7, size=400)
    proba[:, 4] = 0.95 - proba[:, 3]
    proba[:, 5] = 0.05
    found = {one.least: one for one in backoffs(proba, y, PARENTS, [0.0, 0.9])}
    assert found[0.0].right < 0.6
    assert found[0.0].deep == 1.0
    assert found[0.9].right == 1.0
    assert found[0.9].deep == 0.0
    assert best_backoff(list(found.values()), lambda one: -one.right).least == 0.9
    assert best_backoff(list(found.values()), lambda one: 0.0).least == 0.0
