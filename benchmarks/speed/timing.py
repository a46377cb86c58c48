"""Times of contestants that take turns, what they make as ratios, and how a cost grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

# A contestant does its work once and says how many seconds that took.
Contestant = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of the repeats of one piece of work.

    Examples
    --------
    >>> times = Times((2.0, 1.0, 4.0))
    >>> times.least, times.median, times.spread
    (1.0, 2.0, 4.0)
    """

    seconds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The seconds that other work on the machine disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The seconds of the middle repeat."""
        return median(self.seconds)

    @property
    def spread(self) -> float:
        """The slowest repeat as a multiple of the quickest."""
        return max(self.seconds) / self.least

    def figures(self) -> dict[str, Any]:
        """Return what is written down."""
        return {
            "least": _three(self.least),
            "median": _three(self.median),
            "spread": _three(self.spread),
            "repeats": len(self.seconds),
        }


def alternate(contestants: Mapping[str, Contestant], repeats: int) -> dict[str, Times]:
    """Let the contestants take turns, `repeats` times each.

    So a machine that slows down for a while slows all of them down. The order turns round each time.

    Examples
    --------
    >>> alternate({"a": lambda: 2.0, "b": lambda: 1.0}, 2)["b"]
    Times(seconds=(1.0, 1.0))
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for _ in range(repeats):
        for name in names:
            found[name].append(contestants[name]())
        names.reverse()
    return {name: Times(tuple(seconds)) for name, seconds in found.items()}


def stopwatch(work: Callable[[], object]) -> Contestant:
    """Return a contestant that does `work` and measures it."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed


def ratios(times: Mapping[str, Times], base: str) -> dict[str, dict[str, float]]:
    """Return how many times as long as `base` each other contestant takes, by least and by median.

    Examples
    --------
    >>> ratios({"ours": Times((1.0,)), "theirs": Times((3.0,))}, "ours")
    {'theirs': {'least': 3.0, 'median': 3.0}}
    """
    ours = times[base]
    return {
        name: {
            "least": _three(other.least / ours.least),
            "median": _three(other.median / ours.median),
        }
        for name, other in times.items()
        if name != base
    }


def growth(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent e of seconds ~ size ** e by least squares of the logarithms; 1 is linear.

    Raises
    ------
    ValueError
        Fewer than two different sizes.

    Examples
    --------
    >>> round(growth([1, 2, 4], [3, 6, 12]), 6), round(growth([1, 10], [1, 100]), 6)
    (1.0, 2.0)
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"growth needs two different sizes, got {list(sizes)}")
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _three(value: float) -> float:
    """Keep three telling digits or more: nobody's clock knows the fourth."""
    return float(f"{value:.4g}")
