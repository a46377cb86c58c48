"""Expected and realised gain, put side by side."""

from __future__ import annotations

import pytest

from benchmarks.worth import Foresight, foresights, judged
from vermilion.learn.worth import Gain
from vermilion.red.record import RoundRecord


def record(number: int, agreement: float | None, gain: Gain | None, asked: int = 50) -> RoundRecord:
    return RoundRecord(number, 9, asked, asked, None, gold_agreement=agreement, gain_per_100_calls=gain)


def test_a_gain_is_what_the_next_fit_agrees_more_for_100_calls() -> None:
    gain = Gain(2.5, 1.0, 4.0)
    rounds = [record(0, 0.80, None), record(1, 0.90, gain), record(2, 0.91, gain, 100), record(3, 0.92, gain)]
    seen = foresights(rounds)
    assert [one.round for one in seen] == [1, 2]
    assert [one.realised for one in seen] == pytest.approx([2.0, 1.0])
    assert (seen[0].expected, seen[0].lower, seen[0].upper) == (2.5, 1.0, 4.0)


def test_without_gold_or_questions_there_is_nothing_to_compare() -> None:
    gain = Gain(2.5, 1.0, 4.0)
    assert foresights([record(1, None, gain), record(2, None, gain)]) == []
    assert foresights([record(1, 0.9, gain, asked=0), record(2, 0.9, gain)]) == []


def test_what_misses_its_bounds_is_counted_on_either_side() -> None:
    seen = [Foresight(n, 1.0, 0.5, 1.5, realised) for n, realised in enumerate((0.4, 1.0, 1.6, 2.0))]
    assert judged(seen) == {"n": 4, "bias": -0.25, "rmse": 0.656, "below": 0.25, "above": 0.5}
