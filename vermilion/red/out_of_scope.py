"""Open texts that no label fits: what the expert refused to the last, and what looks foreign to all labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn.certificate import clopper_pearson
from vermilion.learn.flat import FlatHead
from vermilion.learn.out_of_scope import (
    OutOfScope,
    ScoreTrial,
    choose_score,
    fit_out_of_scope,
    foreign_share,
    rows_needed,
)
from vermilion.red.problem import Problem
from vermilion.red.state import State
from vermilion.types import BoolArray, FloatArray, Head


@dataclass(frozen=True, slots=True)
class Foreign:
    """How foreign each open text looks.

    Attributes
    ----------
    model : OutOfScope
        What says so; the saved model carries it.
    p_values : ndarray of shape (n_open,)
        NaN where the expert has given a label.
    flagged : ndarray of bool, shape (n_open,)
        Texts that get no label for their looks; only where the run has a rate of false alarms.
    """

    model: OutOfScope
    p_values: FloatArray
    flagged: BoolArray


@dataclass(frozen=True, slots=True)
class Drawn:
    """The latest random texts: for how many the expert found no label, how many there are, what they speak for.

    Attributes
    ----------
    refused, texts : int
    rows, known : int
        Pool rows that they were drawn from, and those that have a label from the expert.
    """

    refused: int = 0
    texts: int = 0
    rows: int = 0
    known: int = 0


@dataclass(slots=True)
class Watch:
    """Finds what looks foreign, from all that is confirmed by then; the score is chosen once.

    Attributes
    ----------
    head : Head
        The run's; where it is flat, its C serves here, too, and what it has learned is the start.
    """

    problem: Problem
    settings: RunSettings
    head: Head
    chosen: tuple[str, tuple[ScoreTrial, ...]] | None = field(default=None, init=False)

    def find(self, state: State) -> Foreign:
        """Learn from given and confirmed texts, hold given ones out, and score all that are open."""
        problem, rate = self.problem, self.settings.out_of_scope
        C: float | Literal["cv"] = self.head.C if isinstance(self.head, FlatHead) else "cv"
        given = problem.X_given, problem.y_given
        if self.chosen is None:
            self.chosen = choose_score(*given, C, self.settings.seed)
        answered = np.flatnonzero(state.answers >= 0)
        more = problem.X_open[answered], state.answers[answered]
        start = self.head if isinstance(self.head, FlatHead) and hasattr(self.head, "coef_") else None
        model = fit_out_of_scope(given, more, self.chosen[0], C, self.chosen[1], start)
        open_ = np.flatnonzero(state.answers < 0)
        p_values = np.full(len(state.answers), np.nan)
        p_values[open_] = model.p_values(model.scores(problem.X_open[open_]))
        return Foreign(replace(model, rate=rate), p_values, p_values <= (rate or -1.0))


def told(
    problem: Problem, settings: RunSettings, foreign: Foreign, state: State, drawn: Drawn
) -> dict[str, Any]:
    """Return what the summary tells of out-of-scope texts.

    Returns
    -------
    dict
        `score` and `labels_left_out` (AUROC of each score); `held_out` labelled texts; `rate` of false alarms, as it
        was set, and `rate_at_most`, what the held-out texts let it be; `looks_foreign`: the share of the pool that is
        out of scope at least, judged by looks; `refused`: the share for which the expert finds no label among those
        shown, with bounds; `note`, where there is something to say.
    """
    model, rate, n = foreign.model, settings.out_of_scope, len(foreign.model.held_out)
    looks = np.where(state.answers >= 0, 1.0, foreign.p_values)
    found: dict[str, Any] = {
        "score": model.score,
        "labels_left_out": {trial.score: trial.auroc for trial in model.trials},
        "held_out": n,
        "rate": rate,
        "looks_foreign": round(foreign_share(looks, problem.weights), 6)
        if n and problem.weights.any()
        else None,
        "refused": refused_share(drawn, settings.confidence),
    }
    if rate is not None:
        found["rate_at_most"] = int(rate * (n + 1) + 1e-9) / (n + 1)
        if n < rows_needed(rate):
            found["note"] = (
                f"a rate of {rate:g} needs {rows_needed(rate):,} labelled texts to hold out, there are {n:,}:"
                " nothing is flagged"
            )
    return found


def refused_share(drawn: Drawn, confidence: float) -> dict[str, float] | None:
    """Return the share of pool rows that the expert finds no label for, with Clopper and Pearson's bounds.

    Rows that have a label from the expert have one for certain; the random texts speak for the others.

    Examples
    --------
    >>> refused_share(Drawn(refused=10, texts=100, rows=800, known=200), 0.95)["share"]
    0.08
    """
    if not drawn.texts:
        return None
    lower, upper = clopper_pearson(drawn.refused, drawn.texts, (1 - confidence) / 2)
    part = drawn.rows / (drawn.rows + drawn.known)
    shares = {"share": drawn.refused / drawn.texts, "lower": lower, "upper": upper}
    counts = {"refused": drawn.refused, "n": drawn.texts, "confidence": confidence}
    return {name: round(share * part, 6) for name, share in shares.items()} | counts
