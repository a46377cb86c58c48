"""Probabilities set right by what the expert said of random texts.

A temperature fitted on labelled texts held out speaks of the first model. The pool's student grows better with every
round while its probabilities stay as modest as they were (docs/design/pool.md). So what was thought of each random text
is kept until the expert has answered it: those answers were chosen by nobody's uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vermilion.learn.calibration import apply_temperature, fit_temperature, log_proba
from vermilion.red.problem import Problem
from vermilion.red.proposals import Model, Proposals
from vermilion.red.state import Step
from vermilion.types import FloatArray, IntArray

# Fewer random answers than this say less than the labelled texts did; older ones than these speak of an older model.
LEAST, LATEST = 40, 250


@dataclass(slots=True)
class Hindsight:
    """What was thought of random texts, and what the expert then said.

    Attributes
    ----------
    proposed : list of ndarray of shape (width + 1,)
        Probabilities of the proposals, and of all other labels together.
    places : list of int
        Where among those the answer stands.
    own : list of ndarray of shape (n_labels,)
        The head's probabilities by itself.
    answers : list of int
    """

    proposed: list[FloatArray] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    own: list[FloatArray] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def add(
        self, problem: Problem, model: Model, proposals: Proposals, step: Step, answers: IntArray
    ) -> None:
        """Note what this model thought of the random texts of a step that the expert has answered."""
        rows = np.array([step.asked[place].row for place in dict.fromkeys(step.draws)], dtype=np.intp)
        rows = rows[answers[rows] >= 0]
        if not len(rows):
            return
        rest = np.maximum(1 - proposals.proba[rows].sum(axis=1), 1e-6)
        self.proposed += list(np.column_stack([proposals.proba[rows], rest]))
        found = proposals.labels[rows] == answers[rows, None]
        self.places += np.where(found.any(axis=1), found.argmax(axis=1), found.shape[1]).tolist()
        self.own += list(model.predict_proba(problem.X_open[rows]))
        self.answers += answers[rows].tolist()

    def applied(self, model: Model, proposals: Proposals) -> tuple[Model, Proposals]:
        """Return the model and its proposals with temperatures that suit the latest random answers."""
        if len(self.answers) < LEAST:
            return model, proposals
        own = _fitted(self.own, self.answers)
        return (
            replace(model, temperature=model.temperature * own),
            replace(proposals, proba=apply_temperature(proposals.proba, _fitted(self.proposed, self.places))),
        )


def _fitted(proba: list[FloatArray], codes: list[int]) -> float:
    return fit_temperature(log_proba(np.stack(proba[-LATEST:])), np.array(codes[-LATEST:]))
