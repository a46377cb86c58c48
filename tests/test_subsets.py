"""Dividing labels into subsets of dissimilar ones."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vermilion.errors import MissingExtraError
from vermilion.learn.subsets import greedy_subsets, label_vectors, place_label, reduced, unit_rows
from vermilion.types import FloatArray, IntArray


def directions(count: int, seed: int = 0, dimension: int = 16) -> FloatArray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dimension)))


def families(count: int, members: int, seed: int = 0) -> FloatArray:
    """Return label vectors in tight families, which ought to be torn apart."""
    rng = np.random.default_rng(seed)
    centres = directions(count, seed).repeat(members, axis=0)
    return unit_rows(centres + 0.1 * rng.normal(size=centres.shape))


def inner_similarity(vectors: FloatArray, subsets: list[IntArray]) -> float:
    """Return the mean, over labels, of the similarity to the nearest label of the same subset."""
    nearest = []
    for subset in subsets:
        similar = vectors[subset] @ vectors[subset].T
        np.fill_diagonal(similar, -1)
        nearest.extend(similar.max(axis=1))
    return float(np.mean(nearest))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 60), size=st.integers(1, 15), seed=st.integers(0, 5), shuffled=st.booleans())
def test_every_label_is_in_one_subset_and_sizes_are_even(
    count: int, size: int, seed: int, shuffled: bool
) -> None:
    rng = np.random.default_rng(seed) if shuffled else None
    subsets = greedy_subsets(directions(count, seed), size, rng)
    sizes = [len(subset) for subset in subsets]
    assert sorted(np.concatenate(subsets).tolist()) == list(range(count))
    assert len(subsets) == -(-count // size)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_members_are_less_similar_than_in_a_random_division() -> None:
    vectors = families(30, 5)
    rng = np.random.default_rng(0)
    random = inner_similarity(vectors, np.array_split(rng.permutation(150), 15))
    assert inner_similarity(vectors, greedy_subsets(vectors, 10)) < random - 0.1
    assert inner_similarity(vectors, greedy_subsets(vectors, 10, rng)) < random - 0.1


def test_families_no_larger_than_the_number_of_subsets_are_torn_apart() -> None:
    vectors = families(10, 4)
    for subset in greedy_subsets(vectors, 10):
        assert len(np.unique(subset // 4)) == 10


def test_the_order_of_the_labels_does_not_matter() -> None:
    vectors = directions(40)
    order = np.random.default_rng(1).permutation(40)
    plain = {frozenset(subset.tolist()) for subset in greedy_subsets(vectors, 7)}
    moved = {frozenset(order[subset].tolist()) for subset in greedy_subsets(vectors[order], 7)}
    assert plain == moved


def test_random_orders_divide_differently_and_repeatably() -> None:
    vectors = directions(40)
    first, again, other = (
        [s.tolist() for s in greedy_subsets(vectors, 8, np.random.default_rng(k))] for k in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_no_labels_no_subsets() -> None:
    assert greedy_subsets(np.zeros((0, 3)), 5) == []


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        greedy_subsets(directions(3), 0)


def test_a_new_label_goes_where_its_nearest_is_farthest() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    subset_of = np.array([0, 0, 1])
    assert place_label(np.array([0.8, 0.6]), vectors, subset_of, 3) == 1
    assert place_label(np.array([-0.8, 0.6]), vectors, subset_of, 3) == 0
    assert place_label(np.array([-0.8, 0.6]), vectors, subset_of, 2) == 1, "subset 0 is full"


def test_label_vectors_are_the_directions_of_the_means() -> None:
    X = directions(20)
    codes = np.arange(20) % 3
    expected = unit_rows(np.stack([X[codes == label].mean(axis=0) for label in range(3)]))
    np.testing.assert_allclose(label_vectors(X, codes, 3), expected)


def test_umap_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(
        MissingExtraError, match=r"umap-learn is not installed; pip install 'vermilion\[umap\]'"
    ):
        reduced(directions(30), 0)


def test_umap_keeps_one_unit_row_for_each_label() -> None:
    if find_spec("umap") is None:  # not imported here: what it warns of must be kept away where it is used
        pytest.skip("the extra 'umap' is not installed")
    vectors = families(10, 4).astype(np.float32)
    points = reduced(vectors, 2**32)
    assert points.shape == (40, 10)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(reduced(vectors, 0), points)
    assert not np.array_equal(reduced(vectors, 1), points)


def test_umap_leaves_few_labels_as_they_are() -> None:
    pytest.importorskip("umap", reason="the extra 'umap' is not installed", exc_type=ImportError)
    for count in (1, 2, 3, 5, 24):
        vectors = directions(count)
        np.testing.assert_array_equal(reduced(vectors, 0), vectors)
