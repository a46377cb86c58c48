"""Learning from the pool: the graph, what spreads over it, and what that gains."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.flat import FlatHead
from vermilion.learn.transduction import (
    MOST_CELLS,
    MOST_ROWS,
    PoolLearner,
    affordable,
    geometric_mean,
    neighbour_graph,
    spread_labels,
)
from vermilion.types import FloatArray, IntArray


def clusters(
    seed: int = 0, n: int = 400, n_labels: int = 8, noise: float = 0.9
) -> tuple[FloatArray, IntArray]:
    """Return unit vectors around as many centres, and whose each is."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_labels
    X = rng.normal(size=(n_labels, 16))[labels] + rng.normal(scale=noise, size=(n, 16))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), labels


def test_graph_is_that_of_a_full_search(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = clusters(n=60)
    monkeypatch.setattr("vermilion.learn.transduction.BLOCK_CELLS", 7 * 60)  # blocks of 7 rows
    graph = neighbour_graph(X, 4).toarray()
    similar = X @ X.T
    np.fill_diagonal(similar, -1)
    weights = np.where(similar >= np.sort(similar, axis=1)[:, [-4]], np.maximum(similar, 0) ** 10, 0)
    weights = np.maximum(weights, weights.T)
    root = np.sqrt(weights.sum(axis=1))
    np.testing.assert_allclose(graph, weights / root[:, None] / root, atol=1e-5)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_graph_of_hardly_any_texts(n: int) -> None:
    graph = neighbour_graph(np.eye(n, 4, dtype=np.float32))
    assert graph.shape == (n, n)
    assert not graph.diagonal().any()


def test_opposite_and_lonely_texts_stay_as_they_were() -> None:
    X = np.array([[1, 0], [-1, 0], [-1, 0]], dtype=np.float32)
    start = np.array([[0.7, 0.3], [1, 0], [0.5, 0.5]], dtype=np.float32)
    spread = spread_labels(neighbour_graph(X), start)
    np.testing.assert_allclose(spread[0], start[0], atol=1e-6)
    assert spread[2, 0] > 0.6
    np.testing.assert_allclose(spread.sum(axis=1), 1, atol=1e-6)


def test_no_share_of_neighbours_changes_nothing() -> None:
    X, labels = clusters(n=40)
    start = np.eye(8, dtype=np.float32)[labels]
    np.testing.assert_allclose(spread_labels(neighbour_graph(X), start, share=0.0), start, atol=1e-6)


def test_the_pool_helps_where_labels_are_few() -> None:
    gained = []
    for seed in range(5):
        X, labels = clusters(seed)
        codes = np.full(len(X), -1)
        codes[:16] = labels[:16]  # two a label
        open_ = codes < 0
        learner = PoolLearner(X, neighbour_graph(X), FlatHead(C=10.0), FlatHead(C=10.0))
        with_pool = learner.learn(codes).argmax(axis=1)
        alone = FlatHead(C=10.0).fit(X[~open_], labels[~open_]).predict(X)
        gained.append((with_pool == labels)[open_].mean() - (alone == labels)[open_].mean())
    assert np.mean(gained) > 0.03


def test_what_is_confirmed_stays_so_for_the_student() -> None:
    X, labels = clusters(noise=0.2, n=80)
    codes = np.where(np.arange(80) < 40, labels, -1)
    codes[0] = (labels[0] + 1) % 8  # the expert says otherwise than all its neighbours
    learner = PoolLearner(X, neighbour_graph(X), FlatHead(C=1000.0), FlatHead(C=1000.0))
    learner.learn(codes)
    assert learner.student.predict(X[1:40]).tolist() == labels[1:40].tolist()


def test_learning_again_is_repeatable() -> None:
    X, labels = clusters(n=120)
    codes = np.where(np.arange(120) < 24, labels, -1)

    def learned() -> FloatArray:
        return PoolLearner(X, neighbour_graph(X), FlatHead(C=10.0), FlatHead(C=10.0)).learn(codes)

    np.testing.assert_array_equal(learned(), learned())


def test_affordable_at_its_bounds() -> None:
    assert affordable(MOST_ROWS, MOST_CELLS // MOST_ROWS)
    assert not affordable(MOST_ROWS + 1, 2)
    assert not affordable(20_001, 1000)


def test_a_zero_in_one_view_is_no_zero_for_ever() -> None:
    mean = geometric_mean(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(mean, 0.5)
