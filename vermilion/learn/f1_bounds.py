"""What a random, blind audit proves of micro-F1 where a text may have several labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from vermilion.learn.certificate import Bounds


@dataclass(frozen=True, slots=True)
class Audited:
    """Pairs of a text and a label that a model decided alike, and what an audit found of them.

    Attributes
    ----------
    pairs : int
    right : Bounds
        On the share that was right before the audit put right what it found.
    hits, mended : int
        Of the pairs drawn: those found right, and those found wrong, which are right now. A pair that had no answer is
        neither.
    """

    pairs: int
    right: Bounds
    hits: int
    mended: int

    def rest(self, share: float) -> tuple[float, float]:
        """Return how many pairs stay as they were decided, and are right or wrong, if `share` of all was right."""
        drawn_wrong = self.right.n - self.hits
        right = min(max(share * self.pairs, self.hits), self.pairs - drawn_wrong)
        return right, self.pairs - self.mended - right


def micro_f1_bounds(given: Audited, left: Audited, known: int) -> tuple[float, float, float]:
    """Return micro-F1 of all pairs as they are decided now: estimate, lower and upper bound, each one-sided.

    Two samples are put together, one of the labels given and one of those not given, each with bounds of its own that
    fail with the probability delta. Where both were at their bounds at once is far worse than delta; how far F1 moves
    with either of them alone adds up as standard errors do (MOVER: Zou and Donner, 2008). That each bound fails in
    at most delta of the audits is tested by simulation.

    Parameters
    ----------
    given, left : Audited
        Labels that the model gave, and that it did not give.
    known : int
        Labels that the expert gave before the audit, which are right by definition.

    Examples
    --------
    >>> given = Audited(1000, Bounds(0.9, 0.85, 0.94, 100, ""), 90, 10)
    >>> left = Audited(9000, Bounds(0.99, 0.96, 1.0, 100, ""), 99, 1)
    >>> [round(figure, 3) for figure in micro_f1_bounds(given, left, 50)]
    [0.914, 0.806, 0.96]
    """
    f1 = _f1(given, left, known, given.right.estimate, left.right.estimate)

    def away(precise: float, complete: float) -> float:
        return hypot(
            f1 - _f1(given, left, known, precise, left.right.estimate),
            f1 - _f1(given, left, known, given.right.estimate, complete),
        )

    lower = max(f1 - away(given.right.lower, left.right.lower), 0.0)
    return f1, lower, min(f1 + away(given.right.upper, left.right.upper), 1.0)


def _f1(given: Audited, left: Audited, known: int, given_right: float, left_right: float) -> float:
    """Return micro-F1 if these shares of both were right before the audit."""
    found, wrong = given.rest(given_right)
    _, missed = left.rest(left_right)
    right = known + found + left.mended
    return 2 * right / (2 * right + wrong + missed) if right + wrong + missed else 1.0
