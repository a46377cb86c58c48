"""What an audit proves: checked against scipy, exactly on small pools, and by seeded runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom

from vermilion.learn.certificate import clopper_pearson, extend


@given(n=st.integers(0, 300), share=st.floats(0, 1), delta=st.floats(0.001, 0.5))
def test_the_bounds_are_those_of_scipy(n: int, share: float, delta: float) -> None:
    hits = round(share * n)
    lower, upper = clopper_pearson(hits, n, delta)
    assert 0 <= lower <= upper <= 1
    if n == 0:
        assert (lower, upper) == (0, 1)
        return
    for found, side, end in ((lower, "greater", "low"), (upper, "less", "high")):
        interval = binomtest(hits, n, alternative=side).proportion_ci(1 - delta, "exact")
        assert found == pytest.approx(getattr(interval, end), abs=1e-9)


def test_more_hits_and_less_confidence_raise_the_lower_bound() -> None:
    by_hits = [clopper_pearson(hits, 50, 0.05)[0] for hits in range(51)]
    assert (np.diff(by_hits) > 0).all()
    assert by_hits[0] == 0
    by_delta = [clopper_pearson(45, 50, delta)[0] for delta in (0.001, 0.01, 0.05, 0.2)]
    assert (np.diff(by_delta) > 0).all()


@pytest.mark.parametrize(("hits", "n"), [(-1, 10), (11, 10), (1, 0)])
def test_impossible_counts_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"got {hits} of {n}"):
        clopper_pearson(hits, n, 0.05)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan")])
def test_a_delta_that_is_no_probability_is_refused(delta: float) -> None:
    with pytest.raises(ValueError, match="delta must be between 0 and 1"):
        clopper_pearson(5, 10, delta)


def failure(n: int, pool: int, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how probable it is that each bound fails, for every number of hits in the pool from 0 up.

    Exact: draws without replacement have a hypergeometric number of hits.
    """
    bounds = np.array([clopper_pearson(hits, n, delta) for hits in range(n + 1)])
    inside = np.arange(pool + 1)[:, None]
    chance = hypergeom.pmf(np.arange(n + 1)[None, :], pool, inside, n)
    above = bounds[None, :, 0] > inside / pool + 1e-12
    below = bounds[None, :, 1] < inside / pool - 1e-12
    return (chance * above).sum(axis=1), (chance * below).sum(axis=1)


@pytest.mark.parametrize("delta", [0.0125, 0.025, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("pool", [2, 7, 20, 59, 150])
def test_without_replacement_a_bound_holds_where_the_docstring_says(pool: int, delta: float) -> None:
    for n in {1, 2, min(3, pool), max(pool // 4, 1), pool // 2, pool - 1, pool}:
        lower_fails, upper_fails = failure(n, pool, delta)
        share = np.arange(pool + 1) / pool
        assert lower_fails[share >= 0.5].max() <= delta + 1e-9
        assert upper_fails[share <= 0.5].max() <= delta + 1e-9


def test_in_the_extreme_a_bound_fails_a_little_more_often_as_the_docstring_says() -> None:
    lower_fails, upper_fails = failure(3, 59, 0.05)
    assert 0.0505 < lower_fails.max() < 0.0513
    assert upper_fails.max() == pytest.approx(lower_fails.max())


@pytest.mark.parametrize("known", [0, 700])
@pytest.mark.parametrize(("right", "n"), [(0.5, 40), (0.9, 60), (0.97, 128), (0.99, 300)])
def test_the_certificate_of_a_pool_holds_in_its_share_of_runs(right: float, n: int, known: int) -> None:
    """Draw many audits of a pool whose agreement is known; count the runs in which the bound is above it."""
    rng, delta, audited, runs = np.random.default_rng(0), 0.05, 900, 2000
    agrees = np.arange(audited) < round(right * audited)
    true = (agrees.sum() + known) / (audited + known)
    failed = 0
    for _ in range(runs):
        hits = int(rng.choice(agrees, size=n, replace=False).sum())
        lower, _ = clopper_pearson(hits, n, delta)
        failed += extend(lower, audited, known) > true + 1e-12
    assert 0 < failed / runs <= delta


def test_looks_that_share_their_delta_fail_together_no_more_often_than_it() -> None:
    """Early audits spend half of what is left, the last one all: any of three may fail in 5 % of runs."""
    rng, audited, n, runs = np.random.default_rng(1), 600, 80, 1500
    agrees = np.arange(audited) < 540
    failed = 0
    for _ in range(runs):
        hits = [int(rng.choice(agrees, size=n, replace=False).sum()) for _ in range(3)]
        bounds = [
            clopper_pearson(h, n, delta)[0] for h, delta in zip(hits, (0.025, 0.0125, 0.0125), strict=True)
        ]
        failed += max(bounds) > 0.9
    assert failed / runs <= 0.05


@given(share=st.floats(0, 1), audited=st.integers(0, 1000), known=st.integers(0, 1000))
def test_extending_counts_agreeing_texts(share: float, audited: int, known: int) -> None:
    found = extend(share, audited, known)
    assert found * (audited + known) == pytest.approx(
        share * audited + known if audited + known else 0, abs=1e-6
    )
    assert min(share, 1) - 1e-12 <= found <= 1 + 1e-12


def test_a_pool_without_open_texts_agrees_wholly() -> None:
    assert extend(0.2, 0, 50) == extend(0.2, 0, 0) == 1.0
