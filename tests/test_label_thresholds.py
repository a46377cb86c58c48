"""Thresholds for the largest F1, checked against trying them all, and their guard for rare labels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from vermilion.learn.label_thresholds import best_thresholds, expected_thresholds, fit_thresholds
from vermilion.types import BoolArray, FloatArray


def make_labels(n: int, shares: tuple[float, ...], seed: int = 0) -> tuple[FloatArray, BoolArray]:
    """Return probabilities that mean what they say, and what came true; each label has about its share."""
    rng = np.random.default_rng(seed)
    odds = 1.5 * rng.normal(size=(n, len(shares))) + np.log(np.array(shares))
    proba = 1 / (1 + np.exp(-odds))
    return proba, rng.random(proba.shape) < proba


@pytest.mark.parametrize("seed", range(3))
def test_the_best_threshold_is_the_best_of_all(seed: int) -> None:
    proba, truth = make_labels(60, (0.5, 0.1), seed)
    proba = proba.round(1)  # with ties
    found = best_thresholds(proba, truth)
    for label in range(2):
        reached = f1_score(truth[:, label], proba[:, label] >= found[label])
        tried = [f1_score(truth[:, label], proba[:, label] >= value) for value in np.unique(proba[:, label])]
        assert reached == pytest.approx(max(tried))


def test_the_expected_threshold_is_half_the_f1_that_it_reaches() -> None:
    # Lipton, Elkan and Naryanaswamy (2014): the best threshold on calibrated probabilities is half the best F1.
    proba, truth = make_labels(200_000, (0.3, 0.02))
    found = expected_thresholds(proba)
    for label in range(2):
        reached = f1_score(truth[:, label], proba[:, label] >= found[label])
        assert found[label] == pytest.approx(reached / 2, abs=0.02)


def test_labels_without_a_positive_keep_the_expected_threshold() -> None:
    proba, _ = make_labels(50, (0.1, 0.1))
    none = np.zeros(proba.shape, dtype=bool)
    np.testing.assert_array_equal(best_thresholds(proba, none), [1, 1])
    np.testing.assert_allclose(fit_thresholds(proba, none), expected_thresholds(proba))


def test_no_rows_give_no_label() -> None:
    assert expected_thresholds(np.zeros((0, 2))).tolist() == [1, 1]


def test_rare_labels_gain_by_the_guard() -> None:
    unseen, came = make_labels(20_000, (0.01,) * 40, seed=9)
    scores = []
    for seed in range(3):
        proba, truth = make_labels(400, (0.01,) * 40, seed)
        own, drawn = best_thresholds(proba, truth), fit_thresholds(proba, truth)
        scores.append(
            [
                f1_score(came, unseen >= thresholds, average="macro", zero_division=0)
                for thresholds in (own, drawn)
            ]
        )
    own_f1, drawn_f1 = np.mean(scores, axis=0)
    assert drawn_f1 > own_f1 + 0.01


def test_many_positives_outweigh_wrong_probabilities() -> None:
    proba, truth = make_labels(50_000, (0.3,))
    shifted = proba**3  # no longer calibrated
    reached = f1_score(truth[:, 0], shifted[:, 0] >= fit_thresholds(shifted, truth)[0])
    assert reached == pytest.approx(
        f1_score(truth[:, 0], shifted[:, 0] >= best_thresholds(shifted, truth)[0]), abs=0.01
    )
