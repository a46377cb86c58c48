"""What the next questions of a run will buy, from what its rounds have brought so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vermilion.config import Worth
from vermilion.learn.worth import Gain, Past, expected_gain
from vermilion.red.proposals import Proposals
from vermilion.red.state import State, Step, Tally
from vermilion.types import BoolArray, FloatArray, IntArray

CALLS = 100


@dataclass(slots=True)
class Outlook:
    """Follows a run from fit to fit; a function of its proposals and answers alone, so that it replays.

    Attributes
    ----------
    weights : ndarray of int, shape (n_open,)
        Pool rows that each open text stands for.
    past : list of Past
    cost, asked : float and int
        Of all rounds' questions.
    labels, wrong : ndarray of shape (n_open,)
        Of the fit before: the head's labels, and its probabilities of being wrong.
    """

    weights: IntArray
    past: list[Past] = field(default_factory=list)
    cost: float = 0.0
    asked: int = 0
    labels: IntArray | None = None
    wrong: FloatArray | None = None

    def look(self, state: State, proposals: Proposals, last: tuple[Step, Tally] | None) -> None:
        """Take in a fit, and the step before it; an audit's texts were not chosen as the next ones will be."""
        labels, wrong = proposals.labels[:, 0], 1 - proposals.proba[:, 0].astype(np.float64)
        if (
            last is not None
            and last[0].kind == "round"
            and self.labels is not None
            and self.wrong is not None
        ):
            step, tally = last
            rows = np.array([asked.row for asked in step.asked], dtype=np.intp)
            untouched = state.answers < 0
            untouched[rows] = False
            # An answer "none of these" counts as another than the head's, but gives no label.
            corrected = tally.corrected - (tally.asked - tally.confirmed)
            changed = float(self.weights[untouched & (labels != self.labels)].sum())
            self.past.append(Past(tally.asked, corrected, float(self.wrong[rows].sum()), changed))
            self.cost, self.asked = self.cost + tally.cost_usd, self.asked + tally.asked
        self.labels, self.wrong = labels, wrong

    def gains(self, eligible: BoolArray, score: FloatArray, size: int) -> tuple[Gain | None, Gain | None]:
        """Return what 100 more questions, and one more dollar, will buy, in percentage points of the pool.

        Parameters
        ----------
        eligible : ndarray of bool, shape (n_open,)
            Texts that may be asked about.
        score : ndarray of float, shape (n_open,)
            Uncertainty: the round asks about the highest.
        size : int
            Questions of the next round.
        """
        rows = np.flatnonzero(eligible)
        if self.wrong is None or not len(rows):
            return None, None
        hardest = rows[np.argsort(-score[rows], kind="stable")[: max(size, 1)]]
        weight = float(self.weights[rows].mean())
        gain = expected_gain(self.past, self.wrong[hardest], self.wrong[rows], weight)
        if gain is None:
            return None, None
        a_call = gain.times(100 / int(self.weights.sum()))
        cost = self.cost / self.asked
        return a_call.times(CALLS), a_call.times(1 / cost) if cost else None


def not_worth_it(worth: Worth | None, calls: Gain | None, dollar: Gain | None) -> str:
    """Return why the next questions are not worth their price, or nothing.

    Examples
    --------
    >>> not_worth_it(Worth(0.2), Gain(0.1, 0.05, 0.15), None)
    'worth: 100 more questions buy 0.15 points of agreement at most, and should buy 0.2'
    >>> not_worth_it(Worth(0.2), Gain(0.1, 0.05, 0.25), None)
    ''
    """
    if worth is None:
        return ""
    gain, what = (
        (dollar, "a dollar more buys") if worth.per == "dollar" else (calls, f"{CALLS} more questions buy")
    )
    if gain is None or gain.upper >= worth.points:
        return ""
    return f"worth: {what} {gain.upper:.2g} points of agreement at most, and should buy {worth.points:g}"
