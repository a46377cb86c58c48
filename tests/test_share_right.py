"""Bounds on the share that is right: exact ones, those that use confidence, and those that may be looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from vermilion.learn.anytime import anytime_lower
from vermilion.learn.certificate import (
    clopper_pearson,
    effective_bounds,
    finite_bounds,
    share_right,
)
from vermilion.learn.prediction_powered import predictors, regression_estimate

ROWS, DELTA, RUNS = 4000, 0.05, 200


@pytest.mark.parametrize("delta", [0.0125, 0.05, 0.3])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_bounds_of_a_finite_pool_are_exact_for_every_share(rows: int, delta: float) -> None:
    for n in sorted({0, 1, rows // 3, rows - 1, rows}):
        bounds = np.array([finite_bounds(hits, n, rows, delta) for hits in range(n + 1)])
        for right in range(rows + 1):
            chance = hypergeom.pmf(np.arange(n + 1), rows, right, n)
            assert chance[bounds[:, 0] > right / rows + 1e-12].sum() <= delta + 1e-9
            assert chance[bounds[:, 1] < right / rows - 1e-12].sum() <= delta + 1e-9


def test_bounds_of_a_finite_pool_approach_clopper_pearson_and_meet_where_all_was_drawn() -> None:
    assert finite_bounds(57, 60, 10_000_000, DELTA) == pytest.approx(clopper_pearson(57, 60, DELTA), abs=1e-5)
    assert finite_bounds(57, 60, 60, DELTA) == pytest.approx((0.95, 0.95))
    assert finite_bounds(57, 60, 100, DELTA)[0] > finite_bounds(57, 60, 1000, DELTA)[0]


@pytest.mark.parametrize(("hits", "n", "rows"), [(-1, 3, 9), (4, 3, 9), (3, 10, 9)])
def test_impossible_counts_are_refused(hits: int, n: int, rows: int) -> None:
    with pytest.raises(ValueError, match="got"):
        finite_bounds(hits, n, rows, DELTA)


@given(share=st.floats(0, 1), variance=st.floats(0, 1), n=st.integers(1, 500))
def test_effective_bounds_hold_their_estimate_between_them(share: float, variance: float, n: int) -> None:
    lower, upper = effective_bounds(share, variance, n, DELTA)
    assert 0 <= lower <= share + 1e-9
    assert share - 1e-9 <= upper <= 1


def test_a_small_variance_counts_for_half_as_many_answers_more_and_no_more() -> None:
    assert effective_bounds(0.95, 1e-9, 200, DELTA) == clopper_pearson(285, 300, DELTA)


def confidences(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and, for each, the chance that the row is right."""
    drawn = rng.beta(0.95 * 6, 0.05 * 6, ROWS)
    few = np.where(rng.random(ROWS) < 0.97, 0.995, 0.05)
    return {
        "calibrated": (drawn, drawn),
        "too sure": (drawn**0.2, drawn),
        "of no use": (rng.random(ROWS), np.full(ROWS, 0.95)),
        "turned round": (drawn, np.where(drawn > 0.8, 0.94, 0.99)),
        "mistakes foreseen": (few, np.where(few > 0.9, 0.995, 0.05)),
    }[kind]


@pytest.mark.parametrize("kind", ["calibrated", "too sure", "of no use", "turned round", "mistakes foreseen"])
@pytest.mark.parametrize("n", [60, 100, 300])
def test_the_lower_bound_holds_however_confidence_is_calibrated(kind: str, n: int) -> None:
    rng = np.random.default_rng([n, 3])
    confidence, chance = confidences(kind, rng)
    right = rng.random(ROWS) < chance
    held = width = plain = 0.0
    for _ in range(RUNS):
        drawn = np.zeros(ROWS, dtype=bool)
        drawn[rng.choice(ROWS, n, replace=False)] = True
        found = share_right(right[drawn], confidence, drawn, DELTA)
        held += found.lower <= right.mean()
        width += right.mean() - found.lower
        plain += right.mean() - clopper_pearson(int(right[drawn].sum()), n, DELTA)[0]
    # The share of runs in which a bound that holds in 95 % of them does so is above this in 999 of 1,000 tests.
    assert held / RUNS >= 0.95 - 3.1 * (0.95 * 0.05 / RUNS) ** 0.5
    if n >= 100 and kind in ("calibrated", "mistakes foreseen"):
        assert width < 0.96 * plain
    assert width < 1.03 * plain


def test_below_a_hundred_answers_and_in_a_small_pool_the_bound_is_the_exact_one() -> None:
    rng = np.random.default_rng(0)
    for n, rows in ((99, 5000), (150, 300)):
        agreed, drawn = rng.random(n) < 0.9, np.arange(rows) < n
        found = share_right(agreed, rng.random(rows), drawn, DELTA)
        assert found.method.startswith("Clopper-Pearson")
        assert (found.lower, found.upper) == finite_bounds(int(agreed.sum()), n, rows, DELTA)


def test_strata_have_draws_enough_or_are_left_out() -> None:
    confidence = np.linspace(0.5, 0.999, 1000)
    assert predictors(confidence, 400).shape == (1000, 3)
    assert predictors(confidence, 20).shape == (1000, 1)
    rare = (np.arange(1000) < 3)[:, None].astype(float)
    assert predictors(confidence, 400, rare).shape == (1000, 3)
    assert predictors(np.ones(50), 400).shape == (50, 1)


def test_a_prediction_that_says_nothing_leaves_the_mean_answer() -> None:
    agreed = np.arange(100) % 20 > 0
    estimate, variance = regression_estimate(agreed, np.ones((100, 2)), np.ones(2))
    assert estimate == pytest.approx(0.95)
    assert variance == pytest.approx(agreed.var(ddof=1) / 100)


@pytest.mark.parametrize("rows", [None, 500])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_looking_at_every_answer_the_bound_fails_in_few_runs(share: float, rows: int | None) -> None:
    rng = np.random.default_rng(7)
    pool = np.arange(500) < 500 * share
    failed = 0
    for _ in range(RUNS):
        agreed = rng.permutation(pool)[:100] if rows else rng.random(100) < share
        failed += bool((anytime_lower(agreed, DELTA, rows) > share + 1e-12).any())
    assert failed / RUNS <= 0.05 + 3.1 * (0.95 * 0.05 / RUNS) ** 0.5


def test_looking_as_often_at_a_bound_made_for_one_look_fails_too_often() -> None:
    rng = np.random.default_rng(8)
    agreed = rng.random((RUNS, 200)) < 0.9
    hits = agreed.cumsum(axis=1)
    table = np.array(
        [[clopper_pearson(h, n, DELTA)[0] if h <= n else 0 for h in range(201)] for n in range(20, 201, 20)]
    )
    looks = np.array([table[place, hits[:, n - 1]] for place, n in enumerate(range(20, 201, 20))])
    assert (looks.max(axis=0) > 0.9).mean() > 0.08


def test_a_bound_for_any_time_never_falls_and_gains_from_a_pool_that_runs_out() -> None:
    agreed = np.random.default_rng(9).random(300) < 0.93
    free, finite = anytime_lower(agreed, DELTA), anytime_lower(agreed, DELTA, rows=400)
    assert (np.diff(free) >= 0).all()
    assert (finite >= free - 2e-3).all()
    assert finite[-1] > free[-1] + 0.01
    assert len(anytime_lower(np.zeros(0, dtype=bool), DELTA)) == 0
    assert not anytime_lower(np.zeros(30, dtype=bool), DELTA).any()


def test_where_each_round_is_better_the_bound_is_one_for_the_last() -> None:
    rng, failed = np.random.default_rng(10), 0
    shares = np.repeat([0.8, 0.85, 0.88, 0.9, 0.9], 20)
    for _ in range(RUNS):
        failed += bool(anytime_lower(rng.random(100) < shares, DELTA)[-1] > 0.9)
    assert failed / RUNS <= 0.05
