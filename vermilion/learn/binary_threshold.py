"""Of two labels: from which probability on a text is the positive one. Chosen on rows held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from vermilion.config import Goal
from vermilion.learn.paired import wilson
from vermilion.types import BoolArray, FloatArray, IntArray

# With fewer rows of either label held out, the best threshold is an accident, and `auto` leaves it at one half.
LEAST_ROWS = 10
# What fewer rows above a threshold say of its precision is not worth heeding.
LEAST_TAKEN = 10
# By so many standard errors a threshold must cost less than the one that follows from the costs alone.
CLEARLY = 1.0
DELTA = 0.05


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """A threshold, and what it did on the rows held out.

    Attributes
    ----------
    value : float
        Rows of at least this probability are positive.
    chosen_by : str
        The goal, as in "precision:0.9".
    reached : bool
        False where no threshold has the precision that was wanted.
    precision, recall, f1 : float
        Of the positive label; precision is NaN where no row is positive.
    precision_lower, recall_lower : float
        Lower bounds at 95 % (Wilson), as if the threshold had been given; one that was picked for its precision
        flatters it a little.
    false_positives, false_negatives : int
    n, positives : int
        Rows held out, and those of the positive label.
    note : str
        What a reader must know; empty where all is well.
    """

    value: float
    chosen_by: str
    reached: bool
    precision: float
    recall: float
    f1: float
    precision_lower: float
    recall_lower: float
    false_positives: int
    false_negatives: int
    n: int
    positives: int
    note: str = ""


def choose_threshold(proba: FloatArray, positive: BoolArray, goal: Goal) -> ThresholdChoice:
    """Choose the threshold that serves the goal best on rows held out.

    Parameters
    ----------
    proba : ndarray of shape (n,)
        Calibrated probability of the positive label, of rows that were not learned from.
    positive : ndarray of bool, shape (n,)
    goal : Goal
        "f1": the highest F1. "cost": the lowest cost; where rows cannot tell, FP / (FP + FN), which is the best
        threshold on right probabilities (Elkan, 2001). "precision": the highest recall at that precision; where it
        cannot be had, the highest precision. "recall": the highest precision at that recall.

    Examples
    --------
    >>> proba, positive = np.array([0.1, 0.2, 0.3, 0.9] * 10), np.array([False, False, True, True] * 10)
    >>> choice = choose_threshold(proba, positive, Goal("f1"))
    >>> choice.value, choice.f1
    (0.25, 1.0)
    """
    fewest = min(np.count_nonzero(positive), np.count_nonzero(~positive))
    if goal.by == "auto" and fewest >= LEAST_ROWS:
        goal = Goal("f1")
    if goal.by == "fixed":
        return _judged(proba, positive, (goal.value, True, ""), goal)
    if goal.by == "auto" or not fewest:
        least = LEAST_ROWS if goal.by == "auto" else 1
        note = f"the threshold stays at 0.5: under {least} held-out texts of one label cannot tell of a better one"
        return _judged(proba, positive, (0.5, goal.by == "auto", note), Goal("fixed", 0.5))
    return _judged(proba, positive, CHOICES[goal.by](_Curve.of(proba, positive), goal), goal)


@dataclass(frozen=True, slots=True)
class _Curve:
    """What each threshold that tells rows apart would do, from the lowest to the highest."""

    values: FloatArray
    precision: FloatArray
    recall: FloatArray
    proba: FloatArray
    positive: BoolArray

    @classmethod
    def of(cls, proba: FloatArray, positive: BoolArray) -> _Curve:
        """Take every distinct probability as a threshold; there is a positive row."""
        precision, recall, values = precision_recall_curve(positive, proba)
        return cls(values, precision[:-1], recall[:-1], proba, positive)

    def between(self, place: int) -> float:
        """Return the middle between a value and the one below it: the same rows here, and the safest elsewhere."""
        below = float(self.values[place - 1]) if place else 0.0
        return (below + float(self.values[place])) / 2

    @property
    def f1(self) -> FloatArray:
        """Of each threshold."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / np.where(total > 0, total, 1.0)

    @property
    def taken(self) -> IntArray:
        """How many rows reach each threshold."""
        return len(self.proba) - np.searchsorted(np.sort(self.proba), self.values)


Found = tuple[float, bool, str]


def _by_f1(curve: _Curve, goal: Goal) -> Found:
    best = np.flatnonzero(curve.f1 == curve.f1.max())
    # Of thresholds that tie, the one nearest to one half.
    middles = [curve.between(int(place)) for place in best]
    return min(middles, key=lambda value: abs(value - 0.5)), True, ""


def _by_cost(curve: _Curve, goal: Goal) -> Found:
    """Return the threshold that follows from the costs, unless another is clearly cheaper on these rows."""
    usual = goal.value / (goal.value + goal.other)
    losses = np.where(curve.positive, goal.other, goal.value)

    def cost(value: float) -> FloatArray:
        return np.where((curve.proba >= value) != curve.positive, losses, 0.0)

    wrong = curve.taken - curve.recall * curve.positive.sum(), (1 - curve.recall) * curve.positive.sum()
    cheapest = curve.between(int(np.argmin(goal.value * wrong[0] + goal.other * wrong[1])))
    saved = cost(usual) - cost(cheapest)
    clearly = saved.mean() > CLEARLY * saved.std() / len(saved) ** 0.5
    return (cheapest if clearly else usual), True, ""


def _by_precision(curve: _Curve, goal: Goal) -> Found:
    """Return the lowest threshold of the wanted precision; where there is none, that of the highest."""
    enough = curve.taken >= min(LEAST_TAKEN, len(curve.proba))
    good = np.flatnonzero(enough & (curve.precision >= goal.value))
    if len(good):
        return curve.between(int(good[0])), True, ""
    best = int(np.argmax(np.where(enough, curve.precision, -1.0)))
    told = f"precision {goal.value:g} cannot be reached on texts held out: the highest is {curve.precision[best]:.3f}"
    return curve.between(best), False, f"{told}, at recall {curve.recall[best]:.3f}"


def _by_recall(curve: _Curve, goal: Goal) -> Found:
    """Return the threshold of the highest precision among those of the wanted recall; there always is one."""
    good = np.flatnonzero(curve.recall >= goal.value)
    best = good[np.flatnonzero(curve.precision[good] == curve.precision[good].max())[-1]]
    return curve.between(int(best)), True, ""


CHOICES: dict[str, Callable[[_Curve, Goal], Found]] = {
    "f1": _by_f1,
    "cost": _by_cost,
    "precision": _by_precision,
    "recall": _by_recall,
}


def _judged(proba: FloatArray, positive: BoolArray, found: Found, goal: Goal) -> ThresholdChoice:
    """Say what a threshold does on these rows."""
    value, reached, note = found
    taken = proba >= value
    right, n_taken, n_positive = (int(np.count_nonzero(rows)) for rows in (taken & positive, taken, positive))
    precision = right / n_taken if n_taken else np.nan
    recall = right / n_positive if n_positive else np.nan
    return ThresholdChoice(
        value=value,
        chosen_by=str(goal),
        reached=reached,
        precision=precision,
        recall=recall,
        f1=2 * right / max(n_taken + n_positive, 1),
        precision_lower=wilson(precision, n_taken, DELTA)[0] if n_taken else 0.0,
        recall_lower=wilson(recall, n_positive, DELTA)[0] if n_positive else 0.0,
        false_positives=n_taken - right,
        false_negatives=n_positive - right,
        n=len(proba),
        positives=n_positive,
        note=note,
    )
