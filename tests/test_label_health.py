"""Health of labels: what was planted is found, and clean labels are left alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vermilion.learn.calibration import apply_temperature
from vermilion.learn.heads import FlatHead
from vermilion.learn.label_health import (
    confident_joint,
    merges,
    silhouette,
    splits,
    starving,
    suspects,
    two_means,
)
from vermilion.learn.model_choice import hold_out
from vermilion.types import FloatArray, IntArray

K, EACH, D = 20, 24, 16


@dataclass(frozen=True)
class Blobs:
    """Clouds of texts, one a label."""

    X: FloatArray
    y: IntArray

    def judged(self, y: IntArray | None = None) -> FloatArray:
        """Return calibrated probabilities out of fold, labelled so."""
        said = hold_out(FlatHead(C=10.0), self.X, self.y if y is None else y)
        assert len(said.rows) == len(self.y)
        return apply_temperature(said.proba, said.temperature)


def blobs(seed: int, spread: float = 0.22) -> Blobs:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(K, D))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    X = centres.repeat(EACH, axis=0) + rng.normal(scale=spread, size=(K * EACH, D))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return Blobs(X.astype(np.float32), np.repeat(np.arange(K), EACH))


@pytest.mark.parametrize("share", [0.05, 0.10])
def test_flipped_labels_are_found_with_the_precision_that_is_expected(share: float) -> None:
    found, planted, right, expected = 0, 0, 0, []
    for seed in range(4):
        cloud, rng = blobs(seed), np.random.default_rng([seed, 1])
        wrong = rng.choice(len(cloud.y), round(share * len(cloud.y)), replace=False)
        y = cloud.y.copy()
        y[wrong] = (y[wrong] + rng.integers(1, K, size=len(wrong))) % K
        suspected = suspects(cloud.judged(y), y)
        hits = np.isin(suspected.rows, wrong)
        found, planted, right = found + len(hits), planted + len(wrong), right + int(hits.sum())
        expected.append(suspected.expected_precision)
        # The surest come first: the first half is no worse than the second.
        assert hits[: len(hits) // 2].mean() >= hits[len(hits) // 2 :].mean() - 0.05
        assert (suspected.suggested[hits] == cloud.y[suspected.rows[hits]]).mean() > 0.9

    assert right / planted > 0.65
    assert right / found > 0.85
    assert right / found == pytest.approx(np.mean(expected), abs=0.12)


def test_clean_labels_give_hardly_a_suspect_no_merge_and_no_split() -> None:
    for seed in range(4):
        cloud = blobs(seed)
        proba = cloud.judged()
        assert len(suspects(proba, cloud.y).rows) <= 0.02 * len(cloud.y)
        assert merges(proba, cloud.y, cloud.X) == ()
        assert splits(cloud.X, cloud.y, K, np.random.default_rng(seed)) == ()


def test_one_label_under_two_names_is_to_be_merged() -> None:
    found = 0
    for seed in range(6):
        cloud, rng = blobs(seed), np.random.default_rng([seed, 2])
        y = cloud.y.copy()
        y[(y == 3) & (rng.random(len(y)) < 0.5)] = K
        pairs = [pair.labels for pair in merges(cloud.judged(y), y, cloud.X)]
        assert set(pairs) <= {(3, K)}
        found += len(pairs)

    assert found >= 4


def test_two_labels_under_one_name_are_to_be_split() -> None:
    for seed in range(4):
        cloud = blobs(seed)
        y = np.where(cloud.y == 5, 4, cloud.y)
        y = np.where(y > 5, y - 1, y)
        (one,) = splits(cloud.X, y, K - 1, np.random.default_rng(seed))
        assert one.label == 4
        shares = [np.mean(cloud.y[half] == 4) for half in one.halves]
        assert max(shares) > 0.9
        assert min(shares) < 0.1
        assert one.separation >= one.usual


def test_what_starves_is_told_with_its_reason() -> None:
    known = np.array([30, 2, 30, 30])
    recall, held = np.array([0.9, 0.0, 0.1, 0.9]), np.array([30, 2, 30, 30])

    found = starving(known, np.array([90, 80, 90, 3]), recall, held)

    assert [(one.label, one.why) for one in found] == [
        (1, "few texts"),
        (2, "low recall"),
        (3, "hardly used"),
    ]


def test_low_recall_of_a_few_texts_proves_nothing() -> None:
    known = np.array([4, 4])
    assert starving(known, np.array([9, 9]), np.array([0.25, 1.0]), known) == ()


def test_a_label_without_texts_out_of_fold_is_of_nobody() -> None:
    joint, confident = confident_joint(np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]), np.array([0, 1]))

    assert confident.tolist() == [0, 1]
    assert joint.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_silhouette_is_that_of_scikit_learn_by_squared_distance() -> None:
    from sklearn.metrics import silhouette_score

    rng = np.random.default_rng(0)
    X, second = rng.normal(size=(30, 5)), rng.random(30) < 0.4
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)

    assert silhouette(X, second) == pytest.approx(silhouette_score(squared, second, metric="precomputed"))


def test_equal_rows_are_one_cloud() -> None:
    X = np.ones((20, 3), dtype=np.float32) / np.sqrt(3, dtype=np.float32)

    half = two_means(X)
    assert half.all() or not half.any() or silhouette(X, half) <= 0
    assert splits(np.concatenate([X, -X]), np.repeat([0, 1], 20), 2, np.random.default_rng(0)) == ()
