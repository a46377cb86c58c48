"""What may be accepted unseen: the share of errors is held in the runs that were promised."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from vermilion.learn.acceptance import (
    Acceptance,
    Levels,
    accept,
    first_level,
    least_answers,
    p_values,
    sufficient_answers,
)

ROWS, DELTA, RUNS = 4000, 0.05, 150


def drawn_of(n: int, rng: np.random.Generator, rows: int = ROWS) -> np.ndarray:
    drawn = np.zeros(rows, dtype=bool)
    drawn[rng.choice(rows, n, replace=False)] = True
    return drawn


@pytest.mark.parametrize("kind", ["calibrated", "too sure", "of no use", "on the edge"])
@pytest.mark.parametrize(("n", "alpha"), [(100, 0.1), (400, 0.05)])
def test_the_accepted_err_too_often_in_few_runs(kind: str, n: int, alpha: float) -> None:
    rng = np.random.default_rng([n, 5])
    confidence = rng.beta(4, 0.5, ROWS)
    chance = {
        "calibrated": confidence,
        "too sure": confidence,
        "of no use": np.full(ROWS, 1 - alpha - 0.002),
    }.get(kind, np.where(confidence > 0.7, 1 - alpha - 0.002, 0.5))
    shown = confidence**0.2 if kind == "too sure" else confidence
    right = rng.random(ROWS) < chance
    wrong = share = 0.0
    for _ in range(RUNS):
        drawn = drawn_of(n, rng)
        found = accept(right[drawn], shown, drawn, alpha, DELTA)
        if found.threshold is not None:
            inside = shown >= found.threshold
            assert inside.sum() == found.accepted
            wrong += (1 - right[inside].mean()) > alpha
            share += inside.mean()
    assert wrong / RUNS <= DELTA + 3.1 * (DELTA * (1 - DELTA) / RUNS) ** 0.5
    if kind == "calibrated":
        assert share / RUNS > 0.4


def test_p_values_are_exact_at_the_smallest_count_that_is_too_many() -> None:
    levels = Levels(np.array([0.9, 0.5]), np.array([60, 200]), np.array([20, 70]), np.array([0, 3]))
    expected = [hypergeom.cdf(0, 60, 4, 20), hypergeom.cdf(3, 200, 11, 70)]
    assert p_values(levels, 0.05) == pytest.approx(expected)


def test_rows_that_must_not_be_accepted_never_are() -> None:
    confidence = np.where(np.arange(1000) < 300, -np.inf, 0.99)
    drawn = np.arange(1000) % 4 == 0
    found = accept(np.ones(250, dtype=bool), confidence, drawn, 0.05, DELTA)
    assert (found.accepted, found.n, found.errors, found.needed) == (700, 175, 0, None)


@pytest.mark.parametrize("confidence", [np.full(40, -np.inf), np.zeros(0)])
def test_without_rows_to_accept_nothing_is_certified_and_nothing_helps(confidence: np.ndarray) -> None:
    drawn = np.ones(len(confidence), dtype=bool)
    found = accept(drawn.copy(), confidence, drawn, 0.05, DELTA)
    assert found == Acceptance(0.05, DELTA, None, 0, 0, 0, None)


def test_too_small_an_audit_says_how_many_answers_are_missing_and_these_suffice() -> None:
    rng = np.random.default_rng(2)
    confidence = rng.beta(4, 0.5, ROWS)
    right = rng.random(ROWS) < confidence
    drawn = drawn_of(40, rng)
    found = accept(right[drawn], confidence, drawn, 0.05, DELTA)
    assert found.threshold is None
    assert found.needed is not None
    size, certified = 40 + found.needed, 0
    for _ in range(60):
        again = drawn_of(size, rng)
        certified += accept(right[again], confidence, again, 0.05, DELTA).threshold is not None
    assert certified / 60 > 0.5


def test_where_the_model_errs_too_often_no_number_is_named() -> None:
    rng = np.random.default_rng(3)
    drawn = drawn_of(200, rng)
    found = accept(rng.random(200) < 0.6, rng.random(ROWS), drawn, 0.05, DELTA)
    assert (found.threshold, found.needed) == (None, None)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_no_error_and_any_error_are_targets_too(alpha: float) -> None:
    drawn = drawn_of(200, np.random.default_rng(4))
    found = accept(np.arange(200) % 3 > 0, np.linspace(0, 1, ROWS), drawn, alpha, DELTA)
    assert found.accepted == (ROWS if alpha else 0)


@pytest.mark.parametrize(("errors", "alpha"), [(0, 0.05), (3, 0.05), (2, 0.2)])
def test_so_many_answers_prove_it_and_one_less_does_not(errors: int, alpha: float) -> None:
    count = least_answers(errors, alpha, DELTA)
    assert binom.cdf(errors, count, alpha) <= DELTA < binom.cdf(errors, count - 1, alpha)


def test_tests_start_where_a_third_of_the_audit_is_or_where_anything_can_be_proven() -> None:
    n = np.arange(401)
    assert first_level(n, 0.05, DELTA, 400) == least_answers(2, 0.05, DELTA)
    assert first_level(n, 0.05, DELTA, 90) == least_answers(0, 0.05, DELTA)
    assert first_level(n[:50], 0.05, DELTA, 49) == 50


def test_more_answers_are_needed_the_nearer_errors_come_to_alpha() -> None:
    counts = sufficient_answers(np.array([0.0, 0.01, 0.03, 0.045, 0.05, 0.2]), 0.05, DELTA)
    assert counts[0] == least_answers(0, 0.05, DELTA)
    assert (np.diff(counts[:5]) > 0).all()
    assert np.isinf(counts[4:]).all()
