"""Calibrators: what they find, what they keep, when they are tried, and how they are stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vermilion.learn.answer_errors import Answers, fit_with_errors
from vermilion.learn.calibration import apply_temperature, softmax
from vermilion.learn.calibration_choice import choose_calibration, held_out_proba
from vermilion.learn.calibration_metrics import expected_calibration_error
from vermilion.learn.calibrators import (
    FITS,
    Calibrator,
    IsotonicScaling,
    VectorScaling,
    calibrated_proba,
    fit_isotonic,
    fit_vector,
    restore,
    tried,
)
from vermilion.learn.heads import HEADS
from vermilion.types import FloatArray, IntArray

EXAMPLES: tuple[Calibrator, ...] = (
    VectorScaling((1.1, 0.9, 1.0), (0.2, -0.1, 0.0)),
    IsotonicScaling((0.0, 0.3, 0.9), (0.0, 0.3, 0.95)),
)


def drawn(n: int, n_labels: int = 4, bias: float = 0.0, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Return probabilities and labels; with a bias, the first label comes more often than they say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, n_labels))
    shift = np.zeros(n_labels)
    shift[0] = bias
    return softmax(logits), (logits + shift + rng.gumbel(size=logits.shape)).argmax(axis=1)


def curved(n: int, seed: int = 0) -> tuple[FloatArray, IntArray]:
    """Return probabilities of which every tenth is plainly wrong, however sure: no temperature mends that."""
    proba, codes = drawn(n, seed=seed)
    proba = apply_temperature(proba, 0.3)
    rng = np.random.default_rng([seed, 1])
    return proba, np.where(rng.random(n) < 0.2, rng.integers(0, 4, size=n), codes)


def sure(proba: FloatArray, codes: IntArray) -> Answers:
    return Answers(proba, codes, np.ones(len(codes), dtype=bool), np.ones(len(codes)))


@pytest.mark.parametrize("calibrator", EXAMPLES, ids=lambda c: c.method)
def test_rows_sum_to_one_and_zeros_stay(calibrator: Calibrator) -> None:
    proba = np.array([[0.7, 0.3, 0.0], [0.2, 0.2, 0.6]], dtype=np.float32)
    found = calibrator.apply(proba)
    assert found.dtype == np.float32
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert found[0, 2] == 0


@pytest.mark.parametrize("calibrator", EXAMPLES, ids=lambda c: c.method)
def test_json_gives_the_same_calibrator_back(calibrator: Calibrator) -> None:
    assert restore(json.loads(json.dumps(calibrator.to_json())), 3) == calibrator


@pytest.mark.parametrize(
    "told",
    [
        {"method": "magic"},
        {"method": "vector", "scale": [1.0], "bias": [0.0]},
        {"method": "vector", "scale": [1.0, 1.0, float("nan")], "bias": [0.0, 0.0, 0.0]},
        {"method": "isotonic", "x": [0.0, 0.5], "y": [0.5, 0.4]},
        {"method": "isotonic", "x": [], "y": []},
        {"method": "isotonic", "x": [0.0, 2.0], "y": [0.0, 1.0]},
    ],
)
def test_a_damaged_calibration_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"calibration|scales|isotonic"):
        restore(told, 3)


def test_isotonic_keeps_the_order_of_labels() -> None:
    proba, codes = curved(1500)
    found = fit_isotonic(proba, codes, np.ones(len(codes))).apply(proba)
    assert (found.argmax(axis=1) == proba.argmax(axis=1)).all()


def test_vector_scaling_finds_the_label_that_comes_more_often() -> None:
    proba, codes = drawn(3000, bias=1.5)
    found = fit_vector(proba, codes, np.ones(len(codes)))
    others = np.mean(found.bias[1:])
    assert found.bias[0] - others == pytest.approx(1.5, abs=0.25)
    assert found.scale == pytest.approx([1.0] * 4, abs=0.2)


def test_weights_count_as_copies() -> None:
    proba, codes = curved(400)
    twice = np.r_[np.arange(400), np.arange(100)]
    weights = np.where(np.arange(400) < 100, 2.0, 1.0)
    for fit in FITS.values():
        one = fit(proba, codes, weights).apply(proba)
        other = fit(proba[twice], codes[twice], np.ones(500)).apply(proba)
        assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "method"),
    [(curved, "isotonic"), (lambda n: drawn(n, bias=1.5), "vector"), (drawn, None)],
    ids=["a curve", "a bias", "nothing"],
)
def test_what_is_clearly_better_is_taken_and_nothing_else(make: object, method: str | None) -> None:
    proba, codes = make(3000)  # type: ignore[operator]
    found = choose_calibration(sure(proba, codes), np.arange(3000) % 5, ("vector", "isotonic"))
    assert (found.after.method if found.after else None) == method
    assert [trial.chosen for trial in found.trials].count(True) == 1


def test_what_is_taken_lowers_the_calibration_error_on_new_rows() -> None:
    answers = sure(*curved(3000))
    found = choose_calibration(answers, np.arange(3000) % 5, ("isotonic",))
    plain = choose_calibration(answers, np.arange(3000) % 5, ())
    proba, codes = curved(20_000, seed=7)
    errors = [expected_calibration_error(c.apply(proba), codes) for c in (found, plain)]
    assert errors[0] < 0.02 < errors[1]


def test_few_rows_get_a_temperature_alone() -> None:
    weighted = np.r_[np.full(100, 50.0), np.ones(2000)]
    assert tried(150, np.ones(900)) == ()
    assert tried(150, weighted) == ()  # they are worth few rows


def test_held_out_probabilities_come_from_other_groups() -> None:
    proba, codes = drawn(200)
    codes[:40] = (proba[:40].argmax(axis=1) + 1) % 4  # one group in which all is wrong
    groups = np.repeat(np.arange(5), 40)
    found = held_out_proba(sure(proba, codes), groups, None)
    without = choose_calibration(sure(proba[40:], codes[40:]), groups[40:], ())
    assert found[:40] == pytest.approx(without.apply(proba[:40]))


@pytest.mark.parametrize("error", [0.02, 0.1, 0.25])
def test_the_share_of_wrong_answers_is_found(error: float) -> None:
    proba, truth = drawn(6000, n_labels=8)
    proba = apply_temperature(proba, 0.5)
    rng = np.random.default_rng(1)
    truth = (np.log(proba) + rng.gumbel(size=proba.shape)).argmax(axis=1)
    rival = np.argsort(-proba, axis=1)
    rival = np.where(rival[:, 0] == truth, rival[:, 1], rival[:, 0])
    codes = np.where(rng.random(6000) < error, rival, truth)
    labelled = np.arange(6000) < 1500
    codes = np.where(labelled, truth, codes)
    temperature, found = fit_with_errors(Answers(proba, codes, labelled, np.ones(6000)))
    assert found == pytest.approx(error, abs=0.015 + 0.2 * error)
    assert temperature == pytest.approx(1.0, abs=0.08)


def test_logits_are_divided_where_a_head_has_them() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)).astype(np.float32)
    y = rng.integers(0, 3, size=60)
    for kind in ("flat", "centroid"):
        head = HEADS[kind]().fit(X, y)
        expected = apply_temperature(head.predict_proba(X), 0.6)
        assert calibrated_proba(head, X, 0.6) == pytest.approx(expected, abs=1e-5)
