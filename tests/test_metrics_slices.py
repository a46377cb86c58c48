"""Groups of rows: how they are cut, what is said of small ones, and gaps by chance."""

from __future__ import annotations

import numpy as np

from vermilion.learn.bootstrap import Estimate
from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.metrics_slices import NOTHING, OTHERS, difference, groups_of, sliced, widest_gaps


def judged(n: int, share_right: float, seed: int = 0) -> Judged:
    random = np.random.default_rng(seed)
    true = random.integers(0, 3, n)
    predicted = np.where(random.random(n) < share_right, true, (true + 1) % 3)
    return OneLabel(true, predicted, np.full((n, 3), 1 / 3))


def test_every_row_is_in_one_group() -> None:
    random = np.random.default_rng(0)
    for values in (
        [str(n) for n in random.integers(0, 1000, 500)],
        [f"name {n}" for n in random.integers(0, 60, 500)],
        ["", " ", *(["x"] * 10), None],
        [*(str(n) for n in range(30)), None],
    ):
        groups = groups_of(values)
        rows = np.concatenate(list(groups.values()))
        assert sorted(rows.tolist()) == list(range(len(values)))
        assert len(groups) <= 20


def test_rare_values_go_together_and_missing_ones_have_a_group() -> None:
    groups = groups_of([f"name {n % 40}" for n in range(400)])
    assert OTHERS in groups
    assert groups_of(["1", "2", None])[NOTHING].tolist() == [2]


def test_equal_numbers_stay_together() -> None:
    groups = groups_of(["5"] * 90 + [str(n) for n in range(6, 20)])
    assert all(rows.tolist() == sorted(rows.tolist()) for rows in groups.values())
    assert max(len(rows) for rows in groups.values()) >= 90


def test_a_gap_that_is_there_is_found_and_one_by_chance_is_not() -> None:
    good, bad = judged(400, 0.95, 1), judged(400, 0.7, 2)
    parts = ((good.true, bad.true), (good.predicted, bad.predicted), (good.proba, bad.proba))
    true, predicted, proba = (np.concatenate(part) for part in parts)
    both = OneLabel(true, predicted, proba)
    rng = np.random.default_rng(0)
    found = sliced(both, {"good": np.arange(400), "bad": np.arange(400, 800)}, rng)
    gap = widest_gaps(found)[0]
    assert (gap.metric, gap.first, gap.second) == ("accuracy", "good", "bad")
    assert gap.gap.lower is not None
    assert gap.gap.lower > 0.15
    halves = sliced(both, {"even": np.arange(0, 800, 2), "odd": np.arange(1, 800, 2)}, rng)
    chance = widest_gaps(halves)[0].gap
    assert chance.lower is not None
    assert chance.lower < 0


def test_small_groups_are_said_to_be_small_and_no_gap_is_theirs() -> None:
    own = judged(100, 0.8)
    found = sliced(own, {"few": np.arange(5), "many": np.arange(5, 100)}, np.random.default_rng(0))
    assert [(group.name, group.n, group.small) for group in found] == [("few", 5, True), ("many", 95, False)]
    assert widest_gaps(found) == ()


def test_one_group_alone_has_no_others_to_compare_with() -> None:
    (whole,) = sliced(judged(50, 0.8), {"all": np.arange(50)}, np.random.default_rng(0))
    assert whole.gaps == {}


def test_a_difference_of_something_undefined_is_undefined_with_the_reason() -> None:
    gap = difference(Estimate(None, None, None, "no text has a label"), Estimate(0.5, 0.4, 0.6))
    assert (gap.value, gap.reason) == (None, "no text has a label")
    assert difference(Estimate(0.5, None, None), Estimate(0.5, 0.4, 0.6)).lower is None
