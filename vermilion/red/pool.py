"""The pool as something to learn from: all texts of a problem in one graph of neighbours."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vermilion.learn.calibration import apply_temperature, fit_temperature, log_proba
from vermilion.learn.flat import FlatHead
from vermilion.learn.folds import fold_numbers, row_keys
from vermilion.learn.transduction import PoolLearner, affordable, neighbour_graph
from vermilion.red.problem import Problem
from vermilion.types import FloatArray, IntArray

# Labelled texts are held out in so many parts, of which so many are tried: each costs as much as a round.
FOLDS, TRIED = 5, 2
# The student's C beside the teacher's: it learns from more texts, and many of their labels are wrong.
STUDENT_C = 0.3


@dataclass(frozen=True, slots=True)
class Pool:
    """A learner over given texts, label names if wanted, and open texts, in this order.

    Attributes
    ----------
    learner : PoolLearner
    fixed : ndarray of int
        Label numbers of the rows before the open ones.
    temperature, student_temperature : float
        Of what is proposed for open texts; of the student by itself.
    """

    learner: PoolLearner
    fixed: IntArray
    temperature: float = 1.0
    student_temperature: float = 1.0

    @staticmethod
    def possible(problem: Problem, names: int = 0) -> bool:
        """Tell whether there are open texts, and few enough with so many label names beside them."""
        rows = len(problem.X_given) + names + len(problem.X_open)
        return bool(len(problem.X_open)) and affordable(rows, len(problem.labels))

    @classmethod
    def over(cls, problem: Problem, C: float, *, names: bool) -> Self | None:
        """Return an untrained pool, or None where the problem is too large, or has no open texts."""
        named = problem.X_names if names and problem.X_names is not None else problem.X_given[:0]
        if not cls.possible(problem, len(named)):
            return None
        X = np.concatenate([problem.X_given, named, problem.X_open])
        learner = PoolLearner(X, neighbour_graph(X), *_heads(C))
        return cls(learner, np.concatenate([problem.y_given, np.arange(len(named))]))

    def learn(self, problem: Problem, answers: IntArray) -> FloatArray:
        """Fit on what is confirmed; return calibrated probabilities of the open texts, shape (n_open, K)."""
        proba = self.learner.learn(np.concatenate([self.fixed, answers]))
        return apply_temperature(proba[len(self.fixed) :], self.temperature)

    def copied(self) -> PoolLearner:
        """Return the learner with copies of its heads: to fit those leaves the pool's own as they are."""
        heads = deepcopy((self.learner.teacher, self.learner.student))
        return replace(self.learner, teacher=heads[0], student=heads[1])

    def tried(self, problem: Problem, seed: int) -> tuple[Self, IntArray, FloatArray]:
        """Hold given texts out as if they were open; return the pool, its temperatures set, and what it said.

        Returns
        -------
        pool : Pool
        rows : ndarray of int, shape (m,)
            Given texts that were held out.
        proba : ndarray of shape (m, K)
            Of those; not calibrated.
        """
        numbers = fold_numbers(problem.y_given, row_keys(problem.X_given, seed), FOLDS)
        said, own, rows = [], [], []
        for fold in range(TRIED):
            held = np.flatnonzero(numbers == fold)
            codes = np.concatenate([self.fixed, np.full(len(problem.X_open), -1)])
            codes[held] = -1
            if not len(held):
                continue
            learner = self._fresh()
            said.append(learner.learn(codes)[held])
            own.append(learner.student.predict_proba(problem.X_given[held]))
            rows.append(held)
        if not rows:
            return self, np.zeros(0, dtype=np.intp), np.zeros((0, len(problem.labels)), dtype=np.float32)
        places, proba = np.concatenate(rows), np.concatenate(said)
        codes = problem.y_given[places]
        pool = replace(
            self,
            temperature=fit_temperature(log_proba(proba), codes),
            student_temperature=fit_temperature(log_proba(np.concatenate(own)), codes),
        )
        return pool, places, proba

    def _fresh(self) -> PoolLearner:
        teacher, student = _heads(float(self.learner.teacher.C))
        return replace(self.learner, teacher=teacher, student=student)


def _heads(C: float) -> tuple[FlatHead, FlatHead]:
    """Return an unfitted teacher and student."""
    return FlatHead(C=C), FlatHead(C=STUDENT_C * C)
