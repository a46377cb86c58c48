"""Two judges on the same texts: which of them is right more often, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist
from typing import Self

import numpy as np

from vermilion.types import BoolArray


@dataclass(frozen=True, slots=True)
class Paired:
    """How often each of two judges, and both, were right on the same texts.

    Attributes
    ----------
    both, first_only, second_only, neither : int
        Texts on which both were right, one alone, or none.

    Examples
    --------
    >>> found = Paired.of(np.array([True, True, True]), np.array([True, False, False]))
    >>> found.first, round(found.second, 2), round(found.gain, 2), found.p_value
    (1.0, 0.33, 0.67, 0.5)
    """

    both: int
    first_only: int
    second_only: int
    neither: int

    @classmethod
    def of(cls, first: BoolArray, second: BoolArray) -> Self:
        """Count where each was right; both of shape (n,)."""
        cells = (first & second, first & ~second, ~first & second, ~first & ~second)
        return cls(*(int(np.count_nonzero(cell)) for cell in cells))

    @property
    def n(self) -> int:
        """Texts that both judged."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def first(self) -> float:
        """Share that the first judge had right."""
        return (self.both + self.first_only) / self.n

    @property
    def second(self) -> float:
        """Share that the second judge had right."""
        return (self.both + self.second_only) / self.n

    @property
    def gain(self) -> float:
        """Share that the first had right beyond the second; negative where the second is better."""
        return (self.first_only - self.second_only) / self.n

    @property
    def p_value(self) -> float:
        """Two-sided p of McNemar's test, exact: that both are equally good, going by the texts one alone got right.

        McNemar (1947), with the binomial distribution in place of the chi-squared one.
        """
        return min(1.0, 2 * min(self.p_not_better(), self.p_not_worse()))

    def p_not_better(self) -> float:
        """One-sided p of the same test: that the first would win so often were it no better than the second."""
        return _at_most(self.second_only, self.first_only + self.second_only)

    def p_not_worse(self) -> float:
        """One-sided p of the same test: that the first would win so seldom were it no worse than the second."""
        return _at_most(self.first_only, self.first_only + self.second_only)

    def gain_interval(self, delta: float = 0.05) -> tuple[float, float]:
        """Return bounds on the gain, each of which fails with a probability of about `delta`.

        Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on
        paired data, method 10: Wilson's bounds of both shares, joined by the correlation between the judges.

        Examples
        --------
        >>> lower, upper = Paired(36, 12, 2, 0).gain_interval(0.025)
        >>> round(lower, 3), round(upper, 3)
        (0.057, 0.34)
        """
        (low_1, high_1), (low_2, high_2) = (
            wilson(share, self.n, delta) for share in (self.first, self.second)
        )
        r, gain = self._correlation(), self.gain
        down, down_2, up, up_2 = (
            self.first - low_1,
            high_2 - self.second,
            high_1 - self.first,
            self.second - low_2,
        )
        return (
            max(gain - sqrt(down**2 - 2 * r * down * down_2 + down_2**2), -1.0),
            min(gain + sqrt(up**2 - 2 * r * up * up_2 + up_2**2), 1.0),
        )

    def _correlation(self) -> float:
        """Return phi between the judges, corrected for continuity."""
        first, second = self.both + self.first_only, self.both + self.second_only
        margins = first * (self.n - first) * second * (self.n - second)
        if not margins:
            return 0.0
        together = self.both * self.neither - self.first_only * self.second_only
        return (max(together - self.n / 2, 0) if together > 0 else together) / sqrt(margins)


def _at_most(heads: int, n: int) -> float:
    """Return the probability of at most so many heads in n tosses of a fair coin, exactly.

    SciPy has it, and takes a second to import, for which a usage error would have to wait.
    """
    return float(sum(comb(n, k) for k in range(heads + 1)) / 2**n)


def wilson(share: float, n: int, delta: float = 0.05) -> tuple[float, float]:
    """Return Wilson's bounds on a proportion, each of which fails with a probability of about `delta`.

    Examples
    --------
    >>> lower, upper = wilson(1.0, 20)
    >>> round(lower, 3), upper
    (0.881, 1.0)
    """
    z = NormalDist().inv_cdf(1 - delta)
    centre, spread = share + z**2 / (2 * n), z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    lower, upper = ((centre + side * spread) / (1 + z**2 / n) for side in (-1, 1))
    # Rounding would leave the bounds of nothing and of all a hair off.
    return (0.0 if share == 0 else lower), (1.0 if share == 1 else upper)
