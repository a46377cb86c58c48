"""Scales and biases of labels: they mend what is wrong, and leave alone what is right or unknown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from vermilion.learn.calibrators import Calibrator
from vermilion.learn.label_calibration import (
    LabelScaling,
    choose_label_scaling,
    fit_label_scaling,
    label_losses,
    log_odds,
)
from vermilion.types import BoolArray, FloatArray


def make_labels(n: int, n_labels: int = 3) -> tuple[FloatArray, BoolArray]:
    """Return probabilities that mean what they say, and what came true."""
    rng = np.random.default_rng(0)
    proba = 1 / (1 + np.exp(-2 * rng.normal(size=(n, n_labels))))
    return proba, rng.random(proba.shape) < proba


def test_losses_equal_scikit_learns() -> None:
    proba, truth = make_labels(50)
    theirs = [log_loss(truth[:, label], proba[:, label], labels=[False, True]) for label in range(3)]
    np.testing.assert_allclose(label_losses(proba, truth), theirs)


def test_it_finds_the_scale_and_the_bias() -> None:
    proba, truth = make_labels(20_000)
    wrong = 1 / (1 + np.exp(-(log_odds(proba) - [1.0, 0.0, -0.5]) / [1.0, 2.0, 0.5]))
    found = fit_label_scaling(wrong, truth)
    np.testing.assert_allclose(found.scale, [1.0, 2.0, 0.5], atol=0.08)
    np.testing.assert_allclose(found.bias, [1.0, 0.0, -0.5], atol=0.08)
    np.testing.assert_allclose(found.apply(wrong), proba, atol=0.02)


def test_weights_count_as_repeated_rows() -> None:
    proba, truth = make_labels(300)
    times = np.random.default_rng(1).integers(1, 4, 300)
    weighted = fit_label_scaling(proba, truth, times.astype(np.float64))
    repeated = fit_label_scaling(proba.repeat(times, axis=0), truth.repeat(times, axis=0))
    np.testing.assert_allclose(weighted.scale, repeated.scale)


def test_it_is_chosen_only_where_it_helps_rows_held_out() -> None:
    proba, truth = make_labels(2000)
    assert choose_label_scaling(1 / (1 + np.exp(-3 * log_odds(proba))), truth) is not None
    assert choose_label_scaling(proba[:4], truth[:4]) is None


@pytest.mark.parametrize("on", [0, 20])
def test_a_label_on_no_row_or_all_stays_finite(on: int) -> None:
    truth = np.arange(20)[:, None] < on
    found = fit_label_scaling(np.full((20, 1), 0.5), truth)
    assert np.isfinite([*found.scale, *found.bias]).all()
    assert (found.bias[0] > 0) == (on > 0)


def test_it_is_a_calibrator_and_keeps_the_dtype() -> None:
    scaling = LabelScaling((1.0,), (0.0,))
    assert isinstance(scaling, Calibrator)
    said = scaling.apply(np.array([[0.0], [0.25], [1.0]], dtype=np.float32))
    assert said.dtype == np.float32
    np.testing.assert_allclose(said, [[0.0], [0.25], [1.0]], atol=1e-6)
