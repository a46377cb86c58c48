"""Thresholds between two labels, against brute force and scikit-learn's own search."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from vermilion.config import Goal
from vermilion.learn.binary_threshold import LEAST_TAKEN, ThresholdChoice, choose_threshold
from vermilion.types import BoolArray, FloatArray


def problem(seed: int, n: int = 200, share: float = 0.2, digits: int = 2) -> tuple[FloatArray, BoolArray]:
    """Return calibrated probabilities, with ties, and what happened."""
    rng = np.random.default_rng(seed)
    proba = rng.beta(share * 2, (1 - share) * 2, size=n).round(digits)
    return proba, rng.random(n) < proba


def every_threshold(proba: FloatArray) -> FloatArray:
    values = np.unique(proba)
    return np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, values])


@pytest.mark.parametrize("seed", range(8))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    proba, positive = problem(seed)
    choice = choose_threshold(proba, positive, Goal("f1"))
    said = proba >= choice.value
    assert choice.precision == pytest.approx(precision_score(positive, said))
    assert choice.recall == pytest.approx(recall_score(positive, said))
    assert choice.f1 == pytest.approx(f1_score(positive, said))
    assert choice.false_positives == (said & ~positive).sum()
    assert choice.false_negatives == (~said & positive).sum()
    assert choice.precision_lower < choice.precision
    assert choice.recall_lower < choice.recall


@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_has_a_higher_f1(seed: int) -> None:
    proba, positive = problem(seed)
    best = max(f1_score(positive, proba >= value) for value in every_threshold(proba))
    assert choose_threshold(proba, positive, Goal("f1")).f1 == pytest.approx(best)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("wanted", [0.5, 0.8])
def test_precision_has_the_highest_recall(seed: int, wanted: float) -> None:
    proba, positive = problem(seed)
    choice = choose_threshold(proba, positive, Goal("precision", wanted))
    taken = [proba >= value for value in every_threshold(proba)]
    good = [
        recall_score(positive, said)
        for said in taken
        if said.sum() >= LEAST_TAKEN and precision_score(positive, said) >= wanted
    ]
    if good:
        assert choice.reached
        assert choice.precision >= wanted
        assert choice.recall == pytest.approx(max(good))
    else:
        assert not choice.reached


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("wanted", [0.0, 0.7, 1.0])
def test_recall_has_the_highest_precision(seed: int, wanted: float) -> None:
    proba, positive = problem(seed)
    choice = choose_threshold(proba, positive, Goal("recall", wanted))
    assert choice.reached
    assert choice.recall >= wanted
    assert choice.precision == pytest.approx(
        max(
            precision_score(positive, proba >= value)
            for value in every_threshold(proba)
            if recall_score(positive, proba >= value) >= wanted and (proba >= value).any()
        )
    )


def test_a_precision_out_of_reach_is_told_with_the_best_there_is() -> None:
    proba = np.linspace(0, 1, 101)
    positive = np.arange(101) % 2 == 0
    choice = choose_threshold(proba, positive, Goal("precision", 0.99))
    assert not choice.reached
    assert choice.precision == pytest.approx(
        max(positive[place:].mean() for place in range(101 - LEAST_TAKEN + 1))
    )
    assert f"the highest is {choice.precision:.3f}, at recall {choice.recall:.3f}" in choice.note


def test_costs_move_the_threshold_as_elkan_says_where_rows_cannot_tell() -> None:
    proba, positive = problem(0, n=30)
    choice = choose_threshold(proba, positive, Goal("cost", 1.0, 4.0))
    assert choice.value == pytest.approx(0.2)
    assert choice.chosen_by == "cost:1,4"


def test_costs_heed_rows_that_contradict_the_probabilities() -> None:
    proba = np.repeat([0.1, 0.6, 0.9], 100)
    positive = np.repeat([False, False, True], 100)
    choice = choose_threshold(proba, positive, Goal("cost", 1.0, 1.0))
    assert choice.value == pytest.approx(0.75)
    assert choice.false_positives == choice.false_negatives == 0


def test_a_fixed_threshold_is_judged_and_left_alone() -> None:
    proba, positive = problem(1)
    assert choose_threshold(proba, positive, Goal("fixed", 0.35)).value == 0.35


def test_auto_is_f1_only_where_there_are_rows_enough() -> None:
    proba, positive = problem(2)
    assert choose_threshold(proba, positive, Goal()) == choose_threshold(proba, positive, Goal("f1"))
    few = choose_threshold(proba[:12], positive[:12], Goal())
    assert few.value == 0.5
    assert few.reached
    assert "under 10 held-out texts" in few.note


@pytest.mark.parametrize(
    "goal", [Goal("f1"), Goal("precision", 0.9), Goal("recall", 0.9), Goal("cost", 1, 2)]
)
@pytest.mark.parametrize(
    "positive", [np.zeros(5, dtype=bool), np.ones(5, dtype=bool), np.zeros(0, dtype=bool)]
)
def test_one_label_alone_tells_nothing(goal: Goal, positive: BoolArray) -> None:
    choice: ThresholdChoice = choose_threshold(np.full(len(positive), 0.7), positive, goal)
    assert choice.value == 0.5
    assert not choice.reached
    assert "cannot tell" in choice.note


@pytest.mark.parametrize("given", ["auto", "f1", "cost:1,5", "precision:0.9", "recall:1", "0.25"])
def test_goals_are_read_and_written_alike(given: str) -> None:
    assert str(Goal.parse(given)) == given


@pytest.mark.parametrize(
    "given", ["", "f2", "cost:1", "cost:0,1", "cost:1,inf", "precision:1.5", "recall:", "nan", "-1"]
)
def test_other_goals_are_refused(given: str) -> None:
    with pytest.raises(Exception, match="--threshold: expected auto, f1"):
        Goal.parse(given)
