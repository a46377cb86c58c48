"""What learns where a text may have several labels, from labelled texts and from answers about single labels."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from vermilion.learn.decision_rules import Thresholds
from vermilion.learn.label_calibration import LabelScaling, choose_label_scaling
from vermilion.learn.label_choice import FOLDS, LabelTrial, candidates, choose_label_head
from vermilion.learn.label_thresholds import fit_thresholds
from vermilion.learn.stacked_labels import held_out_proba
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import UNKNOWN, YES, PairState
from vermilion.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class SeveralModel:
    """A head, how its probabilities are set right, and from which on a text gets a label.

    Attributes
    ----------
    kind : str
        A key of SEVERAL.
    head : OneVsRestHead or StackedHead
        Its parameters chosen.
    scaling : LabelScaling or None
    thresholds : ndarray of shape (K,)
    trials : tuple of LabelTrial
    held_out : ndarray of shape (n_given, K)
        What it says of the labelled texts that it has not learned from, calibrated.
    """

    kind: str
    head: Any
    scaling: LabelScaling | None
    thresholds: FloatArray
    trials: tuple[LabelTrial, ...]
    held_out: FloatArray

    @classmethod
    def chosen(cls, problem: SeveralProblem, seed: int) -> Self:
        """Choose the head on the labelled texts alone, and fit it."""
        tried = candidates(problem.Y_given, seed=seed)
        choice = choose_label_head(problem.X_given, problem.Y_given, tried, clock=time.perf_counter)
        head: Any = choice.head
        head.fit(problem.X_given, problem.Y_given)
        return cls(choice.kind, head, choice.scaling, choice.thresholds, choice.trials, choice.proba)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, K)."""
        proba: FloatArray = self.head.predict_proba(X)
        return proba if self.scaling is None else self.scaling.apply(proba)

    @property
    def rule(self) -> Thresholds:
        """How its probabilities become labels."""
        return Thresholds(tuple(self.thresholds.tolist()), "f1")

    def learn(self, problem: SeveralProblem, state: PairState) -> None:
        """Fit the head on all that is known by now; scales and thresholds stay."""
        known = Known.of(problem, state)
        self.head.fit(known.X, known.Y, known=known.known)

    def settled(self, problem: SeveralProblem, state: PairState) -> SeveralModel:
        """Return the model with scales and thresholds by what is known by now.

        What the head says of labelled texts held out sets both; answers are of pairs that were chosen, and would
        mislead. What is to be expected of each threshold is told by the open texts.
        """
        known = Known.of(problem, state)
        n = len(problem.X_given)
        if n < FOLDS:
            return self
        said = held_out_proba(self.head, known.X, known.Y, FOLDS, known=known.known)[:n]
        scaling = choose_label_scaling(said, problem.Y_given)
        model = replace(self, scaling=scaling)
        held_out = said if scaling is None else scaling.apply(said)
        alike = model.predict_proba(problem.X_open) if len(problem.X_open) >= n else None
        thresholds = fit_thresholds(held_out, problem.Y_given, alike)
        return replace(model, thresholds=thresholds, held_out=held_out)


@dataclass(frozen=True, slots=True)
class Known:
    """The labelled texts, of which all labels are known, and the open ones of which some are.

    Attributes
    ----------
    X : ndarray of shape (n, d)
    Y, known : ndarray of bool, shape (n, K)
    """

    X: FloatArray
    Y: BoolArray
    known: BoolArray

    @classmethod
    def of(cls, problem: SeveralProblem, state: PairState) -> Self:
        """Gather them."""
        rows = np.flatnonzero((state.answers != UNKNOWN).any(axis=1))
        answers = state.answers[rows]
        return cls(
            np.concatenate([problem.X_given, problem.X_open[rows]]),
            np.concatenate([problem.Y_given, answers == YES]),
            np.concatenate([np.ones_like(problem.Y_given), answers != UNKNOWN]),
        )
