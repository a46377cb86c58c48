"""Tests that may be looked at after every request: fair by exact sums, honest under drift, and soon done."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from vermilion.learn.sequential import (
    Bets,
    compare,
    compare_to_limit,
    difference_bounds,
    share_bounds,
    turned,
)
from vermilion.types import FloatArray

ALPHA = 0.05
SHARES = st.floats(0, 1)


def every_outcome(n_a: int, n_b: int) -> FloatArray:
    """Return a block for each number of bad ones that the two arms can have."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(n_a + 1), np.arange(n_b + 1), indexing="ij"))
    return np.stack([np.full(len(a), n_a), a, np.full(len(a), n_b), b], axis=1).astype(np.float64)


def after(past: FloatArray, tests: int) -> Bets:
    return Bets(np.tile(Bets.none(1).log_wealth, (tests, 1)), np.tile(past, (tests, 1)))


@given(
    n=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    past=st.tuples(st.integers(20, 500), SHARES, st.integers(0, 500), SHARES),
    margin=st.one_of(st.just(0.0), st.floats(-0.99, 0.99)),
    first=SHARES,
    below=st.one_of(st.just(1.0), SHARES),
)
def test_no_member_of_the_null_makes_a_bet_pay_on_average(
    n: tuple[int, int], past: tuple[int, float, int, float], margin: float, first: float, below: float
) -> None:
    p_a = max(0.0, -margin) + first * (min(1.0, 1 - margin) - max(0.0, -margin))
    p_b = below * min(1.0, max(0.0, p_a + margin))
    blocks = every_outcome(*n)
    seen = np.array([past[0], past[0] * past[1], past[2], past[2] * past[3]])
    wealth = compare(after(seen, len(blocks)), blocks, np.full(len(blocks), margin)).log_evidence
    chance = binom.pmf(blocks[:, 1], n[0], p_a) * binom.pmf(blocks[:, 3], n[1], p_b)
    assert np.isfinite(wealth).all()
    assert chance @ np.exp(wealth) <= 1 + 1e-9


@given(
    n=st.integers(0, 30),
    past=st.tuples(st.integers(0, 500), SHARES),
    limit=st.floats(0.001, 0.999),
    below=st.one_of(st.just(1.0), SHARES),
)
def test_a_bet_against_a_limit_is_fair(n: int, past: tuple[int, float], limit: float, below: float) -> None:
    blocks = every_outcome(0, n)
    seen = np.array([0, 0, past[0], past[0] * past[1]])
    wealth = compare_to_limit(after(seen, len(blocks)), blocks, np.full(len(blocks), limit)).log_evidence
    assert binom.pmf(blocks[:, 3], n, below * limit) @ np.exp(wealth) <= 1 + 1e-9


def blocks_of(
    runs: int, looks: int, rates: Callable[[int], tuple[float, float]], share: Callable[[int], float]
) -> list[FloatArray]:
    """Draw, for each look, a block of each run; what a look holds is drawn anew each time, too."""
    rng = np.random.default_rng(0)
    found = []
    for look in range(looks):
        n = rng.poisson(60, runs)
        n_b = rng.binomial(n, share(look))
        p_a, p_b = rates(look)
        found.append(np.stack([n - n_b, rng.binomial(n - n_b, p_a), n_b, rng.binomial(n_b, p_b)], axis=1))
    return [block.astype(np.float64) for block in found]


def first_look(blocks: list[FloatArray], margin: float, shown: float = 1 / ALPHA) -> FloatArray:
    """Return for each run the requests until the evidence sufficed; infinite where it never did."""
    runs = len(blocks[0])
    bets, requests, found = Bets.none(runs), np.zeros(runs), np.full(runs, np.inf)
    for block in blocks:
        bets = compare(bets, block, np.full(runs, margin))
        requests += block[:, 0] + block[:, 2]
        reached = (bets.log_evidence >= np.log(shown)) & np.isinf(found)
        found[reached] = requests[reached]
    return found


def by_steps(look: int) -> float:
    return 0.05 if look < 15 else 0.25 if look < 30 else 0.5


CHANGING: dict[str, Callable[[int], float]] = {
    "steady": lambda _: 0.05,
    "rising and falling": lambda look: 0.05 + 0.04 * np.sin(look / 8),
    "an incident": lambda look: 0.5 if 40 <= look < 50 else 0.02,
    "an incident as the step changes": lambda look: 0.4 if look in (14, 15, 29, 30) else 0.02,
    "never": lambda _: 0.0,
    "always": lambda _: 1.0,
}


@pytest.mark.parametrize("name", CHANGING)
def test_equal_arms_are_seldom_told_apart_however_the_rate_changes(name: str) -> None:
    rate = CHANGING[name]
    blocks = blocks_of(200, 80, lambda look: (rate(look), rate(look)), by_steps)
    wrong = np.isfinite(first_look(blocks, 0.0)).mean()
    assert wrong <= ALPHA + 2.6 * (ALPHA * (1 - ALPHA) / 200) ** 0.5


def test_a_test_that_pools_over_time_would_be_misled_and_this_one_is_not() -> None:
    # The share grows while errors grow: in the sums the challenger looks worse, in no block is it.
    def rate(look: int) -> float:
        return 0.02 if look < 30 else 0.2

    blocks = blocks_of(200, 60, lambda look: (rate(look), rate(look)), by_steps)
    sums = np.sum(blocks, axis=0)
    assert ((sums[:, 3] / sums[:, 2]) > 1.4 * (sums[:, 1] / sums[:, 0])).mean() > 0.95
    assert np.isfinite(first_look(blocks, 0.0)).mean() <= 0.09


@pytest.mark.parametrize(("worse", "most"), [(0.10, 1500), (0.20, 360), (1.0, 180)])
def test_what_is_worse_is_found_soon(worse: float, most: float) -> None:
    blocks = blocks_of(100, 60, lambda _: (0.05, worse), lambda _: 0.5)
    assert np.median(first_look(blocks, 0.0)) <= most


def test_what_goes_wrong_late_is_found_too() -> None:
    blocks = blocks_of(50, 220, lambda look: (0.05, 0.05 if look < 100 else 0.15), lambda _: 0.5)
    found = first_look(blocks, 0.0)
    late = found[found > 6000]
    assert np.isfinite(found).all()
    assert np.median(late) - 6000 <= 2500


@pytest.mark.parametrize("rate", [0.0, 0.05, 1.0])
def test_an_equal_challenger_is_shown_to_be_within_the_margin(rate: float) -> None:
    blocks = [turned(block) for block in blocks_of(60, 250, lambda _: (rate, rate), lambda _: 0.5)]
    assert np.isfinite(first_look(blocks, -0.02)).mean() >= 0.95


def test_one_that_is_worse_by_the_margin_is_seldom_shown_to_be_within() -> None:
    blocks = [turned(block) for block in blocks_of(200, 120, lambda _: (0.05, 0.07), by_steps)]
    assert np.isfinite(first_look(blocks, -0.02)).mean() <= ALPHA + 0.04


def test_blocks_of_any_size_leave_finite_numbers() -> None:
    rows = [[0, 0, 0, 0], [0, 0, 7, 7], [9, 9, 0, 0], [1e9, 5e7, 1e6, 9e5], [1, 0, 1e6, 0], [1e6, 1e6, 1, 1]]
    for margin in (-1.0, -0.5, 0.0, 0.02, 1.0):
        bets = Bets.none(1)
        for row in rows * 2:
            bets = compare(bets, np.array([row], dtype=np.float64), np.array([margin]))
            assert np.isfinite(bets.log_evidence).all(), (margin, row)


def test_an_empty_block_changes_nothing() -> None:
    bets = compare(Bets.none(1), np.array([[100.0, 5, 100, 20]]), np.array([0.0]))
    again = compare(bets, np.zeros((1, 4)), np.array([0.0]))
    assert again.log_evidence == pytest.approx(bets.log_evidence)


def test_bounds_of_a_difference_hold_at_all_looks_and_draw_near() -> None:
    step = np.geomspace(0.001, 1, 25)
    deltas = np.concatenate([-step[::-1], [0.0], step])
    missed, widths = 0, []
    rng = np.random.default_rng(2)
    for _ in range(15):
        above, below = Bets.none(len(deltas)), Bets.none(len(deltas))
        outside = False
        for _ in range(60):
            row = np.array([100, rng.binomial(100, 0.05), 100, rng.binomial(100, 0.09)], dtype=np.float64)
            block = np.tile(row, (len(deltas), 1))
            above, below = compare(above, block, deltas), compare(below, turned(block), -deltas)
            low, high = difference_bounds(deltas, above.log_evidence, below.log_evidence, ALPHA)
            outside |= not low <= 0.04 <= high
        missed += outside
        widths.append(high - low)
    assert missed <= 3
    assert np.median(widths) < 0.06


def test_bounds_of_a_share_hold_at_all_looks() -> None:
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(150):
        bad = np.cumsum(rng.random(1500) < 0.03)
        bounds = [share_bounds(int(bad[n - 1]), n, ALPHA) for n in range(100, 1501, 100)]
        missed += any(not low <= 0.03 <= high for low, high in bounds)
    assert missed / 150 <= ALPHA + 0.04


@pytest.mark.parametrize(("bad", "n"), [(0, 0), (0, 1), (1, 1), (0, 10**7), (10**7, 10**7), (1, 10**9)])
def test_bounds_of_a_share_at_the_ends(bad: int, n: int) -> None:
    low, high = share_bounds(bad, n, ALPHA)
    assert 0 <= low <= (bad / n if n else 1) <= high <= 1
