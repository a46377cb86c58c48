"""What the next questions are expected to buy."""

from __future__ import annotations

import numpy as np
import pytest

from vermilion.learn.worth import LEARNED, Gain, Past, expected_gain
from vermilion.types import FloatArray

CALM = Past(asked=100, corrected=40, expected=40.0, changed=0.0)
HARDEST, OTHERS = np.full(100, 0.4), np.full(1000, 0.1)


def gain_of(*past: Past, hardest: FloatArray = HARDEST, weight: float = 1.0) -> Gain:
    gain = expected_gain(past, hardest, OTHERS, weight)
    assert gain is not None
    return gain


def test_nothing_is_expected_before_a_round_was_learned_from() -> None:
    assert expected_gain([], HARDEST, OTHERS) is None
    assert expected_gain([Past(0, 0, 0.0, 0.0)], HARDEST, OTHERS) is None
    assert expected_gain([CALM], HARDEST[:0], OTHERS) is None


def test_a_head_that_knows_how_sure_it_is_is_taken_at_its_word() -> None:
    assert gain_of(CALM, CALM).estimate == pytest.approx(0.95 * 0.4 + 0.05 * 0.1)


def test_a_head_that_doubts_too_much_is_set_right_by_the_last_two_rounds() -> None:
    modest = Past(asked=100, corrected=10, expected=40.0, changed=0.0)
    assert gain_of(CALM, modest, modest).estimate == pytest.approx(gain_of(CALM, CALM).estimate / 4, rel=0.05)
    assert gain_of(modest, CALM, CALM).estimate == gain_of(CALM, CALM).estimate


def test_labels_that_still_change_promise_more_and_less_surely() -> None:
    moving = Past(asked=100, corrected=40, expected=40.0, changed=200.0)
    still, learning = gain_of(CALM, CALM), gain_of(CALM, moving)
    assert learning.estimate - still.estimate == pytest.approx(2 * LEARNED)
    assert learning.upper - learning.lower > still.upper - still.lower


def test_no_question_is_expected_to_set_more_than_its_text_right() -> None:
    sure = Past(asked=100, corrected=90, expected=20.0, changed=0.0)
    assert gain_of(sure, sure, hardest=np.full(100, 0.9)).estimate == 1
    assert gain_of(sure, sure, hardest=np.full(100, 0.9), weight=3.0).estimate == 3


def test_without_corrections_little_is_expected_but_never_nothing_for_sure() -> None:
    quiet = Past(asked=100, corrected=0, expected=10.0, changed=0.0)
    gain = gain_of(quiet, quiet, hardest=np.full(100, 0.1))
    assert 0 == gain.lower < gain.estimate < 0.01 < gain.upper < 0.05


@pytest.mark.parametrize("modesty", [0.5, 1.0, 2.0])
def test_bounds_hold_where_heads_misjudge_themselves_and_drift(modesty: float) -> None:
    """Rounds of 150 texts; the true share that is wrong, and the head's error about it, change from round to round."""
    rng, missed = np.random.default_rng(3), np.zeros(2)
    runs = 400
    for _ in range(runs):
        past = []
        for turn in range(3):
            wrong = np.clip(rng.beta(2, 3, size=150) * 0.8**turn * rng.normal(1, 0.1), 0, 1)
            said = np.clip(wrong / modesty, 0, 1)
            corrected = int((rng.random(150) < wrong).sum())
            past.append(Past(150, corrected, float(said.sum()), 0.0))
        gain = expected_gain(past[:2], said, said)
        assert gain is not None
        realised = past[2].corrected / 150
        missed += [realised < gain.lower, realised > gain.upper]
    assert (missed / runs <= 0.08).all(), missed / runs
