"""Intervals: they hold the truth as often as they say, also where percentiles would not."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.bootstrap import CORRELATION, LOSS, Ratios, draw, estimate


@pytest.mark.parametrize(("n", "share"), [(20, 0.95), (60, 0.5), (200, 0.97)])
def test_bounds_of_a_share_hold_the_truth_about_as_often_as_they_say(n: int, share: float) -> None:
    random = np.random.default_rng(n)
    held = 0
    for _ in range(300):
        right = Ratios.means({"share": random.random(n) < share})
        found = draw([right], n, random, 100).estimates({})["share"]
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= share <= found.upper
    assert held / 300 > 0.91


def test_no_bound_leaves_its_figures_range() -> None:
    drawn = np.random.default_rng(0).normal(0.98, 0.05, 500)
    for scale, low, high in ((None, 0, np.inf), (CORRELATION, -1, 1), (LOSS, 0, np.inf)):
        found = estimate(0.98, drawn, 50, scale)
        assert found.lower is not None
        assert found.upper is not None
        assert low <= found.lower <= 0.98 <= found.upper <= high


@pytest.mark.parametrize(("value", "scale"), [(1.0, CORRELATION), (-1.0, CORRELATION)])
def test_a_perfect_correlation_of_few_rows_is_not_certain(value: float, scale: object) -> None:
    found = estimate(value, np.full(50, value), 20, scale)  # type: ignore[arg-type]
    assert found.lower is not None
    assert found.upper is not None
    assert found.upper - found.lower > 0.2


def test_rows_that_are_all_alike_give_no_bounds() -> None:
    found = estimate(0.4, np.full(50, 0.4), 1)
    assert (found.lower, found.upper) == (None, None)
    assert found.reason == "too few texts for an interval"


def test_a_figure_that_is_rarely_defined_has_no_bounds() -> None:
    drawn = np.full(100, np.nan)
    drawn[:10] = np.linspace(0.1, 0.9, 10)
    assert estimate(0.5, drawn).lower is None


def test_missing_values_do_not_count() -> None:
    ratios = Ratios.means({"mean": np.array([1.0, np.nan, 0.0, np.nan])})
    assert ratios.at(np.ones((1, 4))).tolist() == [[0.5]]
    assert ratios.sizes.tolist() == [2.0]
    assert np.isnan(ratios.at(np.array([[0.0, 3.0, 0.0, 1.0]]))).all()
