"""Two judges on the same texts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from vermilion.learn.paired import Paired, wilson


def test_counts_come_from_the_four_ways_two_judges_can_be_right() -> None:
    first = np.array([True, True, True, False, False, False])
    second = np.array([True, False, False, True, False, False])
    found = Paired.of(first, second)
    assert found == Paired(1, 2, 1, 2)
    assert (found.n, found.first, found.second) == (6, 0.5, 2 / 6)
    assert found.gain == pytest.approx(1 / 6)


def test_bounds_are_those_of_the_paper() -> None:
    """Newcombe (1998), Statistics in Medicine 17, his example of method 10."""
    assert Paired(36, 12, 2, 0).gain_interval(0.025) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_test_is_exact() -> None:
    assert Paired(40, 9, 2, 5).p_value == pytest.approx(binomtest(9, 11).pvalue)
    assert Paired(40, 9, 2, 5).p_not_better() == pytest.approx(binomtest(9, 11, alternative="greater").pvalue)
    assert Paired(40, 2, 9, 5).p_not_worse() == pytest.approx(binomtest(2, 11, alternative="less").pvalue)
    alike = Paired(7, 0, 0, 3)
    assert (alike.p_value, alike.p_not_better(), alike.p_not_worse()) == (1, 1, 1)


def test_whoever_is_proven_worse_has_an_upper_bound_below_nothing() -> None:
    """The exact test is the stricter one: what it says of the sign, the bounds say, too. All tables of 16 texts."""
    n, rejected = 16, 0
    for first_only in range(n + 1):
        for second_only in range(n + 1 - first_only):
            for both in range(n + 1 - first_only - second_only):
                found = Paired(both, first_only, second_only, n - both - first_only - second_only)
                if found.p_not_worse() <= 0.05:
                    rejected += 1
                    assert found.gain_interval(0.05)[1] < 0, found
    assert rejected > 100


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.05, 0.15), (0.2, 0.1, 0.5, 0.2), (0.4, 0.2, 0.2, 0.2)])
def test_each_bound_fails_about_as_often_as_it_says(shares: tuple[float, float, float, float]) -> None:
    rng, runs, gain = np.random.default_rng(0), 1000, shares[1] - shares[2]
    bounds = np.array(
        [Paired(*drawn).gain_interval(0.05) for drawn in rng.multinomial(50, shares, size=runs)]
    )
    assert (bounds[:, 0] > gain).mean() <= 0.08
    assert (bounds[:, 1] < gain).mean() <= 0.08
    assert (bounds[:, 0] > gain).mean() + (bounds[:, 1] < gain).mean() >= 0.05


def test_equal_judges_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(1)
    found = [Paired(*drawn) for drawn in rng.multinomial(50, (0.4, 0.2, 0.2, 0.2), size=500)]
    assert np.mean([pair.p_not_worse() <= 0.05 for pair in found]) <= 0.05
    assert np.mean([pair.p_value <= 0.05 for pair in found]) <= 0.05


def test_wilson_stays_within_nothing_and_all() -> None:
    assert wilson(0.0, 5)[0] == 0
    assert wilson(1.0, 5)[1] == 1
    lower, upper = wilson(0.5, 40, 0.025)
    assert (lower, upper) == pytest.approx((0.352, 0.648), abs=1e-3)
