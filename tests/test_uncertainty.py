"""How unsure a head is, and which texts are chosen to be asked about."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy as scipy_entropy

from vermilion.config import UNCERTAINTY_CHOICES
from vermilion.learn import uncertainty
from vermilion.learn.uncertainty import (
    SCORES,
    candidate_counts,
    disagreement,
    entropy,
    least_confidence,
    likeliest,
    margin,
    select,
    spread,
)
from vermilion.types import FloatArray, IntArray


def rows(seed: int, n: int = 30, n_labels: int = 6, dtype: type = np.float64) -> FloatArray:
    """Return probabilities from nearly flat to nearly certain, some of them exactly 0 and 1."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_labels, 10.0 ** rng.uniform(-2, 1)), size=n)
    proba[0] = np.eye(n_labels)[0]
    proba[1] = 1 / n_labels
    found: FloatArray = proba.astype(dtype)
    return found


def unit(seed: int, n: int, dimension: int) -> FloatArray:
    X = np.random.default_rng(seed).normal(size=(n, dimension))
    found: FloatArray = X / np.linalg.norm(X, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_is_that_of_scipy(dtype: type) -> None:
    proba = rows(0, n=200, n_labels=40, dtype=dtype)
    found = entropy(proba)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, scipy_entropy(proba, base=2, axis=1), rtol=1e-5, atol=1e-6)


@given(
    proba=arrays(
        st.sampled_from([np.float32, np.float64]),
        st.tuples(st.integers(0, 12), st.integers(1, 30)),
        # Few different values make ties of every kind, at the last place taken, too.
        elements=st.sampled_from([0.0, -0.0, 0.125, 0.25, 1.0]) | st.floats(0, 1, width=32),
    ),
    width=st.integers(1, 31),
)
def test_the_likeliest_are_the_first_columns_of_a_stable_sort(proba: FloatArray, width: int) -> None:
    before = proba.copy()
    np.testing.assert_array_equal(
        likeliest(proba, width), np.argsort(-proba, axis=1, kind="stable")[:, :width]
    )
    np.testing.assert_array_equal(proba, before)


@given(seed=st.integers(0, 10_000), n_labels=st.integers(2, 30))
def test_scores_stay_within_their_bounds(seed: int, n_labels: int) -> None:
    proba = rows(seed, n_labels=n_labels)
    assert ((margin(proba) >= 0) & (margin(proba) <= 1 + 1e-12)).all()
    assert ((entropy(proba) >= 0) & (entropy(proba) <= np.log2(n_labels) + 1e-9)).all()
    assert ((least_confidence(proba) >= 0) & (least_confidence(proba) <= 1 - 1 / n_labels + 1e-12)).all()


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_least_where_certain_and_greatest_where_flat(name: str) -> None:
    score = SCORES[name](rows(3, n=100))
    assert score[0] == 0 == score.min()
    assert score[1] == pytest.approx(score.max())


@pytest.mark.parametrize("name", SCORES)
def test_for_two_labels_all_scores_rank_alike(name: str) -> None:
    first = np.linspace(0.5, 1.0, 50)
    score = SCORES[name](np.column_stack([first, 1 - first]))
    assert (np.diff(score) < 0).all()


def test_the_settings_know_every_score() -> None:
    assert {*SCORES, "committee"} == set(UNCERTAINTY_CHOICES)


@given(seed=st.integers(0, 10_000), n_labels=st.integers(2, 30))
def test_margin_is_one_minus_the_gap_of_the_sorted_row(seed: int, n_labels: int) -> None:
    proba = rows(seed, n_labels=n_labels)
    ordered = np.sort(proba, axis=1)
    np.testing.assert_allclose(margin(proba), 1 - (ordered[:, -1] - ordered[:, -2]), atol=1e-12)


def test_a_single_label_is_certain() -> None:
    only = np.ones((4, 1), dtype=np.float32)
    for score in SCORES.values():
        assert score(only).tolist() == [0.0] * 4
    assert candidate_counts(only).tolist() == [1] * 4


def test_disagreement_is_the_mean_divergence_from_the_mean() -> None:
    probas = np.stack([rows(seed, n=50) for seed in range(3)])
    mean = probas.mean(axis=0)
    expected = np.mean([scipy_entropy(member, mean, base=2, axis=1) for member in probas], axis=0)
    np.testing.assert_allclose(disagreement(probas), expected, atol=1e-9)


def test_members_that_agree_do_not_differ_however_unsure_they_are() -> None:
    proba = rows(1, dtype=np.float32)
    np.testing.assert_allclose(disagreement(np.stack([proba] * 4)), 0, atol=1e-6)


@given(
    seed=st.integers(0, 10_000),
    mass=st.floats(0.5, 0.999),
    least=st.integers(1, 8),
    more=st.integers(0, 20),
)
def test_candidates_are_the_fewest_that_hold_the_mass(seed: int, mass: float, least: int, more: int) -> None:
    proba, most = rows(seed, n_labels=12), least + more
    counts = candidate_counts(proba, mass, least, most)
    assert ((counts >= min(least, 12)) & (counts <= min(most, 12))).all()
    ordered = -np.sort(-proba, axis=1)
    for row, count in zip(ordered, counts.tolist(), strict=True):
        if count < min(most, 12):
            assert row[:count].sum() >= mass - 1e-6
        if count > least:
            assert row[: count - 1].sum() < mass


def test_a_sum_short_of_one_by_rounding_needs_no_more_labels_than_there_are() -> None:
    proba = np.full((2, 3), 1 / 3, dtype=np.float32) - np.float32(1e-4)
    assert candidate_counts(proba, mass=1.0).tolist() == [3, 3]


def greedy(ranked: IntArray, X: FloatArray, count: int, limit: float) -> list[int]:
    """Say in plain words what `spread` does, one pair at a time."""
    taken: list[int] = []
    for row in ranked.tolist():
        if len(taken) < count and all(X[row] @ X[other] <= limit for other in taken):
            taken.append(row)
    passed_over = [row for row in ranked.tolist() if row not in taken]
    chosen = {*taken, *passed_over[: count - len(taken)]}
    return [row for row in ranked.tolist() if row in chosen]


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    count=st.integers(0, 70),
    limit=st.sampled_from([0.0, 0.6, 0.95]),
    block=st.sampled_from([1, 7, 1024]),
)
def test_spread_keeps_the_order_and_the_count(
    seed: int, n: int, count: int, limit: float, block: int
) -> None:
    X = unit(seed, 60, 3)
    ranked = np.random.default_rng(seed).permutation(60)[:n]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uncertainty, "BLOCK", block)
        chosen = spread(ranked, X, count, limit)
    assert len(chosen) == min(count, n)
    places = [ranked.tolist().index(row) for row in chosen.tolist()]
    assert places == sorted(set(places))
    if n <= count + 32:  # all that is ranked is looked at
        assert chosen.tolist() == greedy(ranked, X, count, limit)


def test_near_identical_texts_are_asked_once_across_blocks() -> None:
    X = np.tile(unit(0, 500, 64), (4, 1))
    chosen = spread(np.arange(2000), X, 400)
    assert len({row % 500 for row in chosen.tolist()}) == 400
    # More are wanted than there are distinct ones: the passed-over fill up, the most wanted first.
    assert spread(np.arange(2000), X, 700).tolist() == list(range(700))


@given(
    seed=st.integers(0, 10_000),
    mask=st.lists(st.booleans(), min_size=40, max_size=40),
    count=st.integers(0, 50),
)
def test_only_eligible_rows_are_selected(seed: int, mask: list[bool], count: int) -> None:
    scores = np.random.default_rng(seed).choice([0.1, 0.5, 0.9], size=40)
    eligible = np.array(mask)
    chosen = select(scores, eligible, unit(seed, 40, 4), count)
    assert len(chosen) == min(count, eligible.sum()) == len(set(chosen.tolist()))
    assert eligible[chosen].all()


def test_the_most_uncertain_come_first_and_ties_go_to_the_earlier_row() -> None:
    scores = np.random.default_rng(0).choice([0.1, 0.5, 0.9], size=300)
    expected = sorted(range(300), key=lambda row: (-scores[row], row))
    assert select(scores, np.ones(300, dtype=bool), np.eye(300), 250).tolist() == expected[:250]
