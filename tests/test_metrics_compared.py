"""Two models on the same rows: against SciPy's exact test, and errors that pairing makes small."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.metrics import measure
from vermilion.learn.metrics_compared import Comparison, compare


def two(n: int, seed: int, gain: float) -> tuple[Judged, Judged]:
    """Return two models of which the first has a share `gain` more right, and else the same errors."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 4, n)
    second = np.where(random.random(n) < 0.7, true, (true + 1) % 4)
    first = np.where(random.random(n) < gain, true, second)
    proba = np.full((n, 4), 0.25)
    return OneLabel(true, first, proba), OneLabel(true, second, proba)


def compared(first: Judged, second: Judged) -> Comparison:
    draws = [measure(own, np.random.default_rng(3), 150) for own in (first, second)]
    return compare(draws[0], draws[1], (first.right, second.right))


def test_mcnemar_is_as_in_scipy() -> None:
    found = compared(*two(300, 1, 0.2)).right
    expected = binomtest(found.first_only, found.first_only + found.second_only).pvalue
    assert found.p_value == pytest.approx(expected)


def test_a_gain_that_is_there_is_seen_and_its_interval_is_that_of_pairs() -> None:
    first, second = two(600, 2, 0.2)
    found = compared(first, second).differences["accuracy"]
    assert found.value == pytest.approx(first.right.mean() - second.right.mean())
    assert found.lower > 0
    assert found.p_value < 0.001
    # Rows drawn apart for each model would make it nearly twice as wide.
    apart = 2 * 1.96 * np.sqrt((first.right.var() + second.right.var()) / 600)
    assert found.upper - found.lower < 0.75 * apart


def test_where_there_is_no_gain_few_p_values_are_small() -> None:
    small = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        true = random.integers(0, 2, 150)
        both = [
            OneLabel(true, np.where(random.random(150) < 0.8, true, 1 - true), np.full((150, 2), 0.5))
            for _ in "ab"
        ]
        small += compared(*both).differences["accuracy"].p_value < 0.05
    assert small <= 6  # 2 expected


def test_the_same_model_twice_differs_by_nothing() -> None:
    first, _ = two(50, 1, 0.2)
    found = compared(first, first)
    assert all((own.value, own.p_value) == (0.0, 1.0) for own in found.differences.values())
