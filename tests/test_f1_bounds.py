"""Micro-F1 certified by two samples: its bounds hold in their share of audits, and are exact where all is known."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.certificate import share_right
from vermilion.learn.f1_bounds import Audited, micro_f1_bounds
from vermilion.types import BoolArray, FloatArray

DELTA, RUNS = 0.05, 200


def population(
    pairs: int, share: float, sharpness: float, believed: float, rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Return probabilities, and which pairs are right; they are believed too little or too much."""
    odds = rng.normal(np.log(share / (1 - share)), sharpness, pairs)
    truth = rng.random(pairs) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-odds * believed)), truth


def audited(
    right: BoolArray, sure: FloatArray, n: int, rng: np.random.Generator
) -> tuple[Audited, BoolArray]:
    drawn = np.zeros(len(right), dtype=np.bool_)
    drawn[rng.permutation(len(right))[:n]] = True
    found, hits = right[drawn], int(right[drawn].sum())
    return Audited(len(right), share_right(found, sure, drawn, DELTA), hits, len(found) - hits), drawn


@pytest.mark.parametrize("size", [30, 120, 400])
@pytest.mark.parametrize(
    ("pairs", "share", "sharpness", "believed"),
    [(40_000, 0.01, 2.2, 1.0), (40_000, 0.01, 2.2, 0.5), (7_500, 0.1, 5.0, 2.0), (2_400, 0.05, 8.0, 1.0)],
)
def test_each_bound_holds_in_its_share_of_audits(
    size: int, pairs: int, share: float, sharpness: float, believed: float
) -> None:
    rng = np.random.default_rng([size, pairs, int(10 * believed)])
    proba, truth = population(pairs, share, sharpness, believed, rng)
    said = proba >= 0.35
    low = high = 0
    for _ in range(RUNS):
        given, drawn = audited(truth[said], proba[said], size // 2, rng)
        left, also = audited(~truth[~said], 1 - proba[~said], size - size // 2, rng)
        estimate, lower, upper = micro_f1_bounds(given, left, 0)
        asked = np.zeros(pairs, dtype=np.bool_)
        asked[np.flatnonzero(said)[drawn]] = asked[np.flatnonzero(~said)[also]] = True
        decided = np.where(asked, truth, said)
        now = 2 * (decided & truth).sum() / (decided.sum() + truth.sum())
        assert lower <= estimate <= upper
        low, high = low + (lower <= now + 1e-9), high + (upper >= now - 1e-9)
    least = RUNS * (1 - DELTA) - 2 * (RUNS * DELTA * (1 - DELTA)) ** 0.5
    assert min(low, high) >= least


def test_what_is_known_wholly_needs_no_bounds() -> None:
    rng = np.random.default_rng(0)
    proba, truth = population(400, 0.3, 3.0, 1.0, rng)
    said = proba >= 0.5
    given, _ = audited(truth[said], proba[said], 400, rng)
    left, _ = audited(~truth[~said], 1 - proba[~said], 400, rng)
    assert micro_f1_bounds(given, left, 7) == (1.0, 1.0, 1.0)


def test_a_pair_without_an_answer_stays_as_it_was_and_counts_as_wrong() -> None:
    right = share_right(np.array([True, False]), np.full(2, 0.5), np.ones(2, dtype=np.bool_), DELTA)
    given, left = Audited(2, right, 1, 0), Audited(2, right, 1, 1)
    assert micro_f1_bounds(given, left, 0)[0] == pytest.approx(2 * 2 / (2 * 2 + 1))


def test_without_a_single_label_there_is_nothing_to_get_wrong() -> None:
    sure = share_right(np.ones(3, dtype=np.bool_), np.ones(3), np.ones(3, dtype=np.bool_), DELTA)
    none = share_right(np.zeros(0, dtype=np.bool_), np.zeros(0), np.zeros(0, dtype=np.bool_), DELTA)
    assert micro_f1_bounds(Audited(0, none, 0, 0), Audited(3, sure, 3, 0), 0) == (1.0, 1.0, 1.0)
