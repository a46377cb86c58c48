"""Which of several encoders to take: figures on the same texts, their differences, and the choice with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from vermilion.learn.bootstrap import CONFIDENCE, CORRELATION, SHARE, Estimate, Ratios, Scale, draw, estimate
from vermilion.types import FloatArray

Unit = Literal["texts", "folds"]


@dataclass(frozen=True, slots=True)
class Scores:
    """One figure of one encoder, by what it is the mean of.

    Attributes
    ----------
    values : ndarray of shape (n,)
    unit : {"texts", "folds"}
        "texts": a value a text, the interval is the bootstrap's over texts. "folds": a value a fold, or of another
        group of rows that shares none with others; Student's t over them.
    scale : Scale
        From 0 to 1, or, as a silhouette, from -1 to 1.
    noise : float
        Variance of the mean that comes on top, of another source than texts; independent from encoder to encoder.

    Examples
    --------
    >>> Scores(np.array([0.5, 0.6, 0.7]), "folds").estimate()
    Estimate(value=0.6, lower=0.35..., upper=0.84..., reason='')
    """

    values: FloatArray
    unit: Unit
    scale: Scale = SHARE
    noise: float = 0.0

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """Return the mean with its interval."""
        return _mean(self, confidence)

    def ahead_of(self, other: Scores, confidence: float = CONFIDENCE) -> Estimate:
        """Return by how much this is ahead, judged value by value, with the interval of that difference.

        Raises
        ------
        ValueError
            The two are not of the same texts or folds.
        """
        if self.unit != other.unit or self.values.shape != other.values.shape:
            raise ValueError("scores of other texts or folds cannot be compared")
        between = Scores(self.values - other.values, self.unit, CORRELATION, self.noise + other.noise)
        return _mean(between, confidence)


def _mean(scores: Scores, confidence: float) -> Estimate:
    values = scores.values[np.isfinite(scores.values)]
    if not len(values):
        return Estimate(None, None, None)
    mean, n = float(values.mean()), len(values)
    if scores.unit == "texts":
        # Every encoder's texts are drawn again alike, for the seed is the same.
        draws = draw([Ratios.means({"mean": values})], n, np.random.default_rng(0))
        return estimate(mean, draws.resampled[:, 0], n, scores.scale, confidence)
    if n == 1:
        return Estimate(mean, None, None, "too few folds for an interval")
    error = np.sqrt(values.var(ddof=1) / n + scores.noise)
    width = float(student.ppf((1 + confidence) / 2, n - 1) * error)
    return Estimate(mean, mean - width, mean + width)


@dataclass(frozen=True, slots=True)
class Contender:
    """An encoder as a choice sees it: its name, its figure and its speed in texts a second."""

    name: str
    scores: Scores
    speed: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Which encoder to take for one purpose.

    Attributes
    ----------
    taken : str
    best : str
        The one with the highest figure.
    tied : tuple of str
        Those whose distance to the best is within the noise, the best among them, fastest first.
    behind : dict of str to Estimate
        How far each other one is behind the best, which is positive.
    """

    taken: str
    best: str
    tied: tuple[str, ...]
    behind: dict[str, Estimate]


def choose(contenders: Sequence[Contender]) -> Choice | None:
    """Take the fastest of those that are not clearly behind the best; None where there is nothing to compare.

    Clearly: the interval of the difference leaves 0 out, at 95 % for all comparisons together (Bonferroni).

    Examples
    --------
    >>> values = np.tile([1.0, 0.0, 1.0, 1.0], 50)
    >>> slow, fast = Contender("slow", Scores(values, "texts"), 10.0), Contender("fast", Scores(values, "texts"), 99.0)
    >>> poor = Contender("poor", Scores(values * 0, "texts"), 1000.0)
    >>> chosen = choose([slow, fast, poor])
    >>> chosen.taken, chosen.best, chosen.tied
    ('fast', 'slow', ('fast', 'slow'))
    """
    known = [one for one in contenders if np.isfinite(one.scores.values).any()]
    if not known:
        return None
    best = max(known, key=lambda one: float(np.nanmean(one.scores.values)))
    confidence = 1 - (1 - CONFIDENCE) / max(len(known) - 1, 1)
    behind = {one.name: best.scores.ahead_of(one.scores, confidence) for one in known if one is not best}
    tied = [one for one in known if one is best or not _clear(behind[one.name])]
    tied.sort(key=lambda one: -one.speed)
    return Choice(tied[0].name, best.name, tuple(one.name for one in tied), behind)


def _clear(difference: Estimate) -> bool:
    return difference.lower is not None and difference.lower > 0
