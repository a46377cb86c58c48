"""What the next questions will buy: the expected gain in agreement, with bounds. See docs/design/worth.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from vermilion.types import FloatArray

# Of a round's questions, the random share; the others go to the texts most likely to be wrong.
RANDOM_SHARE = 0.05
# The head's probabilities are set right by so many rounds' corrections. How far that still drifts to the next round,
# what a changed label is worth one round later, and how far that is off, were measured.
ROUNDS, DRIFT = 2, 0.2
LEARNED, LEARNED_SPREAD = 0.14, 0.1
DELTA = 0.05


@dataclass(frozen=True, slots=True)
class Past:
    """What one round brought.

    Attributes
    ----------
    asked : int
        Questions answered.
    corrected : int
        Answers with another label than the head's.
    expected : float
        How many the head thought it would be: the sum of its probabilities of being wrong.
    changed : float
        Pool rows not asked about to which the next fit gave another label.
    """

    asked: int
    corrected: int
    expected: float
    changed: float


@dataclass(frozen=True, slots=True)
class Gain:
    """An expected gain and its bounds, each of which fails with a probability of about 5 %."""

    estimate: float
    lower: float
    upper: float

    def times(self, factor: float) -> Gain:
        """Return the gain in another unit.

        Examples
        --------
        >>> Gain(0.5, 0.25, 1.0).times(2)
        Gain(estimate=1.0, lower=0.5, upper=2.0)
        """
        return Gain(factor * self.estimate, factor * self.lower, factor * self.upper)


def expected_gain(
    past: Sequence[Past], hardest: FloatArray, others: FloatArray, weight: float = 1.0
) -> Gain | None:
    """Return by how many pool rows agreement with the expert will grow with each question of the next round.

    A question gains in two ways. It sets right what it asks about, if the head was wrong: the head's own probability
    of that, times the ratio of corrections to expectation in the last rounds. And it teaches about other texts: in
    proportion to the labels that the last fit changed, since that is what fades as learning comes to its end.

    Parameters
    ----------
    past : sequence of Past
        Rounds, the latest last; audits left out, for they ask of random texts.
    hardest, others : ndarray of float
        The head's probability of being wrong: on the texts that the next round asks of, and on all that it may draw.
    weight : float
        Pool rows that a text stands for, on average.

    Returns
    -------
    Gain or None
        None before a round was learned from, or with nothing left to ask about.

    Examples
    --------
    >>> import numpy as np
    >>> calm = Past(asked=100, corrected=30, expected=40.0, changed=0.0)
    >>> gain = expected_gain([calm, calm], np.full(100, 0.4), np.full(1000, 0.1))
    >>> round(gain.estimate, 2), round(gain.lower, 2), round(gain.upper, 2)
    (0.29, 0.15, 0.42)
    """
    recent = [one for one in past if one.asked][-ROUNDS:]
    if not recent or not len(hardest):
        return None
    corrected, thought = (
        sum(one.corrected for one in recent) + 0.5,
        sum(one.expected for one in recent) + 0.5,
    )
    wrong = (1 - RANDOM_SHARE) * float(hardest.mean()) + RANDOM_SHARE * float(others.mean())
    direct = min(wrong * corrected / thought, 1.0)
    changed = recent[-1].changed / recent[-1].asked
    variance = weight**2 * direct * ((1 - direct) / len(hardest) + direct * (1 / corrected + DRIFT**2))
    # How many labels change, and how many of those for the better, is a count itself.
    variance += (LEARNED_SPREAD * changed) ** 2 + 0.5 * weight * changed / len(hardest)
    estimate = weight * direct + LEARNED * changed
    spread = NormalDist().inv_cdf(1 - DELTA) * sqrt(variance)
    return Gain(estimate, max(estimate - spread, 0.0), estimate + spread)
