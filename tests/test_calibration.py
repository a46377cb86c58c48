"""Temperature scaling and the calibration error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vermilion.learn.calibration import (
    apply_temperature,
    fit_temperature,
    log_loss,
    log_proba,
    softmax,
)
from vermilion.learn.calibration_metrics import expected_calibration_error
from vermilion.types import FloatArray, IntArray


def drawn(temperature: float, n: int = 4000, n_classes: int = 5) -> tuple[FloatArray, IntArray]:
    """Return logits and labels drawn from their softmax at a temperature, so that the right one is known."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2.0, size=(n, n_classes))
    gumbel = rng.gumbel(size=logits.shape)
    return logits, (logits / temperature + gumbel).argmax(axis=1)


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5])
def test_the_true_temperature_is_found(true: float) -> None:
    logits, y = drawn(true)
    assert fit_temperature(logits, y) == pytest.approx(true, rel=0.08)


def test_logits_and_log_probabilities_have_the_same_temperature() -> None:
    logits, y = drawn(2.0)
    assert fit_temperature(log_proba(softmax(logits)), y) == pytest.approx(
        fit_temperature(logits, y), rel=1e-3
    )


def test_no_other_temperature_has_a_smaller_loss() -> None:
    logits, y = drawn(2.5)
    best = log_loss(logits, y, fit_temperature(logits, y))
    assert all(log_loss(logits, y, other) >= best - 1e-9 for other in np.geomspace(0.05, 20, 50))


def test_scaling_repairs_the_calibration_error() -> None:
    logits, y = drawn(3.0)
    raw = softmax(logits)
    mended = apply_temperature(raw, fit_temperature(logits, y))
    assert expected_calibration_error(raw, y) > 0.2
    assert expected_calibration_error(mended, y) < 0.03


@pytest.mark.parametrize(
    ("logits", "y"),
    [
        (np.zeros((0, 3)), np.zeros(0, dtype=int)),
        (np.zeros((4, 1)), np.zeros(4, dtype=int)),
        (np.zeros((4, 3)), np.array([0, 1, 2, 0])),
    ],
    ids=["no rows", "one label", "no information"],
)
def test_where_rows_cannot_tell_it_is_one(logits: FloatArray, y: IntArray) -> None:
    assert fit_temperature(logits, y) == 1.0


@pytest.mark.parametrize("y", [np.array([0, 1]), np.array([1, 0])], ids=["all right", "all wrong"])
def test_extremes_stay_within_bounds(y: IntArray) -> None:
    logits = np.array([[5.0, -np.inf], [-np.inf, 5.0]], dtype=np.float32)
    assert 0.01 <= fit_temperature(logits, y) <= 100.0


@settings(max_examples=50, deadline=None)
@given(temperature=st.floats(0.01, 100), seed=st.integers(0, 100))
def test_rows_keep_their_sum_and_their_order(temperature: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(6, 0.3), size=8).astype(np.float32)
    scaled = apply_temperature(proba, temperature)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-5)
    assert (
        np.take_along_axis(scaled, proba.argmax(axis=1)[:, None], axis=1)[:, 0] == scaled.max(axis=1)
    ).all()


def test_applying_is_dividing_the_logits() -> None:
    logits, _ = drawn(1.0, n=50)
    np.testing.assert_allclose(apply_temperature(softmax(logits), 1.7), softmax(logits / 1.7), rtol=1e-9)


def test_the_calibration_error_is_weighted_by_bin() -> None:
    proba = np.array([[0.95, 0.05]] * 3 + [[0.55, 0.45]])
    # Three texts at .95, all right; one at .55, wrong: (3 * .05 + .55) / 4.
    assert expected_calibration_error(proba, np.array([0, 0, 0, 1])) == pytest.approx(0.175)
    assert expected_calibration_error(proba[:0], np.zeros(0, dtype=int)) == 0.0
